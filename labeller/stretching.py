"""From numbers of more than 8 bits to greys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

_BLOCK = 4_000_000  # pixels worked on at once


def grey(image: Image.Image) -> Image.Image:
    """Return an image of mode I, I;16 or F as mode L, by :func:`stretched`."""
    return Image.fromarray(stretched(np.asarray(image)))


def stretched(values: Array) -> npt.NDArray[np.uint8]:
    """Scale numbers to 0..255 so that the smallest is black and the largest white.

    Parameters
    ----------
    values : ndarray of int or float, shape (height, width)
        NaN and infinities become black. When all values are equal there is no range to go by:
        integers are then taken as 16-bit and floats as running from 0 to 1.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    lows, highs = [], []
    for block in _blocks(values):
        finite = block[np.isfinite(block)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = min(lows, default=0.0), max(highs, default=0.0)
    if low == high:
        full = 65_535.0 if np.issubdtype(values.dtype, np.integer) else 1.0
        low, high = min(low, 0.0), max(high, full)
    out = np.empty(values.shape, np.uint8)
    for block, target in zip(_blocks(values), _blocks(out), strict=True):
        grey = (block.astype(np.float64) - low) * (255.0 / (high - low))
        target[...] = np.rint(np.where(np.isfinite(grey), grey, 0.0)).astype(np.uint8)
    return out


def _blocks(values: Array) -> Iterator[Array]:
    """Cut an image into views of some rows each, so that no whole copy is made."""
    rows = max(1, _BLOCK // max(1, values.shape[1]))
    for start in range(0, values.shape[0], rows):
        yield values[start : start + rows]
