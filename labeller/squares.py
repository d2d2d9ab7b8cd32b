"""Images as squares of pixels, which is how networks see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labeller.imaging import open_rgb

Bytes = NDArray[np.uint8]


def square(image: Image.Image, size: int) -> Bytes:
    """Resize an RGB image to a square array (size, size, 3).

    Proportions are not kept, so that nothing is cut off.
    """
    resized = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized, np.uint8)


def square_of(path: Path | str, size: int, max_pixels: int) -> Bytes:
    """Decode an image file, no larger than needed, to a square array (size, size, 3).

    Raises
    ------
    ImageError
        When it cannot be read, or has more than `max_pixels`.
    """
    return square(open_rgb(path, max_pixels, cover=size), size)
