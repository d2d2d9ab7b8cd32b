"""Images as squares of pixels, which is how networks see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labeller.config import ResizeMethod
from labeller.errors import ImageError
from labeller.imaging import open_rgb

Bytes = NDArray[np.uint8]


METHODS: tuple[ResizeMethod, ...] = get_args(ResizeMethod)
GREY = (127, 127, 127)  # nothing to a network, whose inputs are centred about there


@dataclass(frozen=True, slots=True)
class Resize:
    """How an image becomes a square of `side` pixels.

    ``"squish"`` does not keep proportions, so that nothing is cut off; ``"crop"`` keeps the square
    in the middle; ``"pad"`` shows all of it, with grey at both ends of the shorter side.
    """

    side: int
    method: ResizeMethod = "squish"


def square(image: Image.Image, resize: Resize) -> Bytes:
    """Return an RGB image as a square array (side, side, 3)."""
    return np.asarray(to_square(image, resize), np.uint8)


def to_square(image: Image.Image, resize: Resize) -> Image.Image:
    """Resize an RGB image to a square, bilinearly and with antialiasing."""
    side, (width, height) = resize.side, image.size
    if resize.method == "pad":
        longest = max(width, height)
        shape = max(1, round(width * side / longest)), max(1, round(height * side / longest))
        canvas = Image.new("RGB", (side, side), GREY)
        canvas.paste(_resized(image, shape), ((side - shape[0]) // 2, (side - shape[1]) // 2))
        return canvas
    if resize.method == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        return _resized(image, (side, side), (left, top, left + short, top + short))
    return _resized(image, (side, side))


def _resized(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=3.0)


def read_into(
    pixels: Bytes, paths: Sequence[str], resize: Resize, max_pixels: int
) -> list[tuple[int, str, str]]:
    """Decode image files into an array (n, side, side, 3), as many of its rows as there are paths.

    Returns
    -------
    list of (int, str, str)
        Row, reason and mend of each image that cannot be read; its pixels are left as they were.
    """
    bad = []
    for row, path in enumerate(paths):
        try:
            pixels[row] = square_of(path, resize, max_pixels)
        except ImageError as error:
            bad.append((row, error.reason, error.mend))
        except OSError as error:
            reason = f"it cannot be read to its end ({error.strerror or error})"
            bad.append((row, reason, "Check the disk it lies on."))
    return bad


def square_of(path: Path | str, resize: Resize, max_pixels: int) -> Bytes:
    """Decode an image file, no larger than needed, to a square array (side, side, 3).

    Raises
    ------
    ImageError
        When it cannot be read, or has more than `max_pixels`.
    """
    return square(open_rgb(path, max_pixels, cover=resize.side), resize)
