"""Do two pictures show the same once one is shifted, scaled or turned a little? Pure arithmetic."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter

Floats = NDArray[np.float64]

SIDE = 48  # pixels that pictures are scaled to
STEPS = {4: 6, 2: 5, 1: 4}  # how often the fit is bettered, by how many pixels become one
FURTHEST = 0.5  # change of scale, or shift in half pictures, beyond which there is no fit
STILL = 1e-3
EDGE = 0.14  # of the picture that is not compared: what is turned has corners of another colour
DETAIL = 2.0  # pixels; what is coarser is no detail
ALIKE = 0.95  # correlation of the detail of the same picture


def grey_square(image: Image.Image) -> Floats:
    """Return an image as grey levels (48, 48)."""
    size = (SIDE, SIDE)
    return np.asarray(image.convert("L").resize(size, Image.Resampling.BILINEAR), np.float64)


def agreement(one: Floats, other: Floats) -> float:
    """Return how much the detail of two pictures agrees once they lie on each other.

    The second is fitted on the first by an affine map, from coarse to fine; of that only the centre
    counts.

    Parameters
    ----------
    one, other : array of float, shape (48, 48)

    Returns
    -------
    float
        A correlation, at most 1; 0 where no fit is found.

    References
    ----------
    Baker, S., Matthews, I. Lucas-Kanade 20 Years On: A Unifying Framework. International Journal of
    Computer Vision 56, 2004 (the inverse compositional algorithm).
    """
    fit = np.eye(3)
    for pixels, steps in STEPS.items():
        still, moving = _shrunk(one, pixels), _shrunk(other, pixels)
        slopes = _slopes(still)
        for _ in range(steps):
            warped = _warped(moving, fit)
            seen = ~np.isnan(warped)
            if seen.mean() < FURTHEST:
                return 0.0
            change = _change(still, warped, slopes, seen)
            fit = fit @ np.linalg.inv(np.eye(3) + change)
            if np.abs(fit - np.eye(3)).max() > FURTHEST:
                return 0.0
            if np.abs(change).max() < STILL:
                break
    warped = _warped(other, fit)
    seen = ~np.isnan(warped)
    edge = round(EDGE * SIDE)
    centre = np.zeros_like(seen)
    centre[edge:-edge, edge:-edge] = seen[edge:-edge, edge:-edge]
    details = (_detail(one)[centre], _detail(np.where(seen, warped, one))[centre])
    return _correlation(*details)


def _shrunk(levels: Floats, pixels: int) -> Floats:
    side = len(levels) // pixels
    return np.asarray(levels.reshape(side, pixels, side, pixels).mean(axis=(1, 3)))


@cache
def _places(side: int) -> Floats:
    """Return for each pixel its place (n, 3): across and down from the centre, and 1."""
    centre = (side - 1) / 2
    down, across = (np.mgrid[:side, :side] - centre) / centre
    return np.stack([across, down, np.ones_like(across)], axis=-1).reshape(-1, 3)


def _slopes(levels: Floats) -> Floats:
    """Return how each pixel (n, 6) changes with the first two rows of the map."""
    down, across = np.gradient(_even(levels), 2 / (len(levels) - 1))
    places = _places(len(levels))
    return np.hstack([across.reshape(-1, 1) * places, down.reshape(-1, 1) * places])


def _even(levels: Floats) -> Floats:
    return np.asarray((levels - levels.mean()) / (levels.std() + STILL))


def _warped(levels: Floats, fit: Floats) -> Floats:
    """Return a picture seen through a map, NaN where that leads outside."""
    centre = (len(levels) - 1) / 2
    turn = fit[1::-1, 1::-1]  # the library has rows first
    shift = fit[1::-1, 2] * centre + centre - turn @ np.full(2, centre)
    return np.asarray(affine_transform(levels, turn, shift, order=1, cval=np.nan))


def _change(still: Floats, warped: Floats, slopes: Floats, seen: NDArray[Any]) -> Floats:
    """Return the change (3, 3) of the map that would bring the pictures closer."""
    gap = _even(warped[seen]) - _even(still[seen])
    part = slopes[seen.ravel()]
    square = part.T @ part
    found = np.linalg.solve(square + 1e-6 * (np.trace(square) + 1) * np.eye(6), part.T @ gap)
    return np.vstack([found.reshape(2, 3), np.zeros(3)])


def _detail(levels: Floats) -> Floats:
    return np.asarray(levels - gaussian_filter(levels, DETAIL))


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    strength = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / strength if strength > STILL else 0.0
