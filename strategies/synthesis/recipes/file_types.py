"""Types of files, for an AugLy that is loaded where the system library libmagic is not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from PIL import Image, UnidentifiedImageError

_NAME = "magic"  # python-magic, which loads libmagic when it is imported
_OTHER = "application/octet-stream"


@contextmanager
def libmagic_or_pillow() -> Iterator[None]:
    """Let AugLy be imported inside, with or without libmagic.

    It asks python-magic for nothing but whether a file is an image, a sound or a video, and the
    functions for images never ask. Where python-magic finds no library, its place is taken by a
    module that answers by Pillow, only while AugLy is imported: nobody else meets it.
    """
    try:
        importlib.import_module(_NAME)
    except (ImportError, OSError, AttributeError):  # none there, or one that cannot be used
        stand_in = ModuleType(_NAME, __doc__)
        stand_in.from_file = type_of_file  # type: ignore[attr-defined]
        sys.modules[_NAME] = stand_in
        try:
            yield
        finally:
            sys.modules.pop(_NAME, None)
    else:
        yield


def type_of_file(filename: str, mime: bool = False) -> str:
    """Return the type of an image file as python-magic's `from_file` does; all others are data."""
    try:
        with Image.open(filename) as image:
            name = image.format or ""
            return Image.MIME.get(name, _OTHER) if mime else f"{name} image data"
    except UnidentifiedImageError:
        return _OTHER if mime else "data"
