"""Images for a fastai learner, read and resized as the model itself gets them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from fastai.data.transforms import Transform
from fastai.vision.core import PILImage
from numpy import ndarray
from PIL import Image

from labeller.imaging import decode, open_rgb, orientation
from labeller.pixels import to_rgb
from labeller.squares import Resize, square


class Square(Transform):  # type: ignore[misc]
    """From a file, its bytes, an array or a Pillow image to an upright RGB square.

    fastai's own reading knows no EXIF orientation, lays no transparency over white, and cuts 16
    bits down to 8 otherwise than this program does.

    Parameters
    ----------
    resize : Resize
    max_pixels : int
        Files with more are refused with `ImageError`.
    """

    input_types = (Path, str, bytes, ndarray, Image.Image)  # what fastai's `predict` lets through

    def __init__(self, resize: Resize, max_pixels: int) -> None:
        super().__init__()
        self.resize, self.max_pixels = resize, max_pixels

    def encodes(self, item: Any) -> Any:
        """Return a fastai image of side × side pixels."""
        if isinstance(item, Path | str):
            image = open_rgb(item, self.max_pixels, cover=self.resize.side)
        elif isinstance(item, bytes):
            image = decode(BytesIO(item), self.max_pixels, cover=self.resize.side).image
        else:
            given = Image.fromarray(item) if isinstance(item, ndarray) else item
            given.load()
            image = to_rgb(given, orientation(given))
        return PILImage.create(square(image, self.resize))


class Named(Transform):  # type: ignore[misc]
    """From anything to one class: fastai wants a label to set its pipeline up.

    Parameters
    ----------
    class_name : str
    """

    def __init__(self, class_name: str) -> None:
        super().__init__()
        self.class_name = class_name

    def encodes(self, _item: object) -> str:
        """Return the name."""
        return self.class_name
