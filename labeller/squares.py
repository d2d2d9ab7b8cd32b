"""Images as squares of pixels, which is how networks see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labeller.errors import ImageError
from labeller.imaging import open_rgb

Bytes = NDArray[np.uint8]


def square(image: Image.Image, size: int) -> Bytes:
    """Resize an RGB image to a square array (size, size, 3).

    Proportions are not kept, so that nothing is cut off.
    """
    resized = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized, np.uint8)


def read_into(pixels: Bytes, paths: Sequence[str], max_pixels: int) -> list[tuple[int, str, str]]:
    """Decode image files into an array (n, size, size, 3), as many of its rows as there are paths.

    Returns
    -------
    list of (int, str, str)
        Row, reason and mend of each image that cannot be read; its pixels are left as they were.
    """
    bad = []
    for row, path in enumerate(paths):
        try:
            pixels[row] = square_of(path, pixels.shape[1], max_pixels)
        except ImageError as error:
            bad.append((row, error.reason, error.mend))
        except OSError as error:
            reason = f"it cannot be read to its end ({error.strerror or error})"
            bad.append((row, reason, "Check the disk it lies on."))
    return bad


def square_of(path: Path | str, size: int, max_pixels: int) -> Bytes:
    """Decode an image file, no larger than needed, to a square array (size, size, 3).

    Raises
    ------
    ImageError
        When it cannot be read, or has more than `max_pixels`.
    """
    return square(open_rgb(path, max_pixels, cover=size), size)
