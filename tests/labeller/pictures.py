"""Images for the tests: encoded bytes of every kind, and folders full of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]


def ramp(width: int = 64, height: int = 48) -> Array:
    """Return grey values that grow from left (0) to right (255)."""
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


def colours(width: int = 64, height: int = 48) -> Image.Image:
    """Return an image whose four corners tell every turn: red grows rightwards, green downwards."""
    red = ramp(width, height)
    green = ramp(height, width).T
    return Image.fromarray(np.dstack([red, green, np.full_like(red, 128)]))


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo(seed: int, side: int = 40) -> bytes:
    """Return a small JPEG that differs from every other seed's."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels).resize((side, side)), "JPEG", quality=90)


def write(path: Path, data: bytes) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def folder_of(root: Path, number: int, name: Callable[[int], str] = "{}.jpg".format) -> Path:
    """Fill a folder with photos 0 to `number` - 1."""
    for seed in range(number):
        write(root / name(seed), photo(seed))
    return root
