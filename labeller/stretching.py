"""From numbers of more than 8 bits to the 8 that are shown and trained on.

The darkest and the brightest value are the 0.1 and the 99.9 percentile of the image, so that a
dead pixel does not decide. A number that stands for "no data" is left out before: the one that the
file names (GDAL's tag), and up to four numbers that lie farther from all others than those lie
apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

PERCENT = 0.1  # of the pixels that may be darker than black, and as many brighter than white
FEW, MANY = 4, 16  # different numbers: at most so many stand for "no data", beside so many of data
_BLOCK = 4_000_000  # pixels worked on at once
_SAMPLE = 2_000_000  # values by which the range of a larger image is found
_NO_DATA_TAG, _PHOTOMETRIC = 42_113, 262  # of TIFF files; the first by GDAL


def grey(image: Image.Image) -> Image.Image:
    """Return an image of mode I, I;16 or F as mode L, or LA where it has a transparent value."""
    values = np.asarray(image)
    shades = stretched(values, _no_data(image))
    shown = Image.fromarray(255 - shades if _is_white_zero(image) else shades)
    key = image.info.get("transparency")
    if isinstance(key, int):
        shown.putalpha(_opaque(values != key))
    return shown


def grey_alpha(image: Image.Image) -> Image.Image:
    """Return mode LA of an image whose R, G are bytes of a 16-bit grey, and B, A of its alpha."""
    pixels = np.asarray(image)
    values = pixels[..., 0].astype(np.uint16) << 8 | pixels[..., 1]
    alpha = Image.fromarray(np.ascontiguousarray(pixels[..., 2]))
    return Image.merge("LA", [Image.fromarray(stretched(values)), alpha])


def colour(high: Image.Image, low: Image.Image) -> Image.Image:
    """Return the upper and lower bytes of 16-bit colours as 8 bits, one range for all channels.

    Parameters
    ----------
    high, low : PIL.Image.Image
        Of one size and mode, RGB or RGBA. The alpha channel keeps its upper bytes.
    """
    upper, lower = np.asarray(high), np.asarray(low)
    values = upper[..., :3].astype(np.uint16) << 8 | lower[..., :3]
    flat = values.reshape(len(values), -1)  # rows of channels: a view
    shown = Image.fromarray(stretched(flat).reshape(values.shape))
    key = high.info.get("transparency")
    if high.mode == "RGBA":
        shown.putalpha(high.getchannel("A"))
    elif isinstance(key, tuple):
        shown.putalpha(_opaque((values != np.array(key, np.uint16)).any(axis=2)))
    return shown


def stretched(values: Array, no_data: float | None = None) -> Bytes:
    """Scale numbers to 0..255: the 0.1 percentile is black, the 99.9 percentile white.

    Parameters
    ----------
    values : ndarray of int or float, shape (height, width)
        NaN and infinities become black. When all values are equal there is no range to go by:
        integers are then taken as 16-bit and floats as running from 0 to 1.
    no_data : float, optional
        A number that stands for none; it becomes black.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    low, high = _range(values, no_data)
    out = np.empty(values.shape, np.uint8)
    for block, target in zip(_blocks(values), _blocks(out), strict=True):
        scaled = (block.astype(np.float64) - low) * (255.0 / (high - low))
        shown = np.isfinite(scaled)
        if no_data is not None:
            shown &= block != no_data
        target[...] = np.rint(np.clip(np.where(shown, scaled, 0.0), 0.0, 255.0)).astype(np.uint8)
    return out


def _range(values: Array, no_data: float | None) -> tuple[float, float]:
    """Return the numbers that become black and white."""
    sample = _sample(values)
    sample = sample[np.isfinite(sample)]
    if no_data is not None:
        sample = sample[sample != no_data]
    sample = _without_outliers(sample.astype(np.float64))
    if not sample.size:
        return 0.0, 1.0
    # Whole values of the image, never means of two: the last one alone never decides.
    low = float(np.percentile(sample, PERCENT, method="higher"))
    high = float(np.percentile(sample, 100 - PERCENT, method="lower"))
    if low >= high:
        low, high = float(sample.min()), float(sample.max())
    if low == high:
        full = 65_535.0 if np.issubdtype(values.dtype, np.integer) else 1.0
        low, high = min(low, 0.0), max(high, full)
    return low, high


def _sample(values: Array) -> Array:
    """Return all values of an image, or of a large one two million drawn by a fixed seed."""
    flat = values.reshape(-1)
    if flat.size <= _SAMPLE:
        return flat
    return flat[np.random.default_rng(0).integers(0, flat.size, _SAMPLE)]


def _without_outliers(sample: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Leave out numbers that lie farther from all others than those lie apart.

    Such a gap takes more than half of the range, so that less than half of the greys would be left
    for the rest. Few numbers beside many are "no data", or dead; few beside few are a drawing.
    """
    for _ in range(FEW):
        numbers = np.unique(sample)
        if len(numbers) <= MANY:
            break
        gaps = np.diff(numbers)
        at = int(gaps.argmax())
        below, above = at + 1, len(numbers) - at - 1
        if gaps[at] <= (numbers[-1] - numbers[0]) / 2 or max(below, above) < MANY:
            break
        if below <= FEW:
            sample = sample[sample > numbers[at]]
        elif above <= FEW:
            sample = sample[sample <= numbers[at]]
        else:
            break
    return sample


def _no_data(image: Image.Image) -> float | None:
    """Return the number that a TIFF file says stands for none."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        with suppress(TypeError, ValueError):
            return float(str(tags.get(_NO_DATA_TAG)).strip("\0 "))
    return None


def _is_white_zero(image: Image.Image) -> bool:
    """Whether a TIFF file's zero is white; Pillow turns that round for 8 bits only."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC) == 0


def _opaque(mask: npt.NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))


def _blocks(values: Array) -> Iterator[Array]:
    """Cut an image into views of some rows each, so that no whole copy is made."""
    rows = max(1, _BLOCK // max(1, values.shape[1]))
    for start in range(0, values.shape[0], rows):
        yield values[start : start + rows]
