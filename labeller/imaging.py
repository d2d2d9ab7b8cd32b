"""Open images of every kind as upright RGB, and say in plain words why one cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

# Plugins are named so that opening never has to import all of Pillow's formats to find one.
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from labeller.decode_memory import estimate_bytes
from labeller.decode_room import ROOM
from labeller.deep_colour import is_deep_colour, load_deep_colour
from labeller.errors import ImageError
from labeller.file_kinds import HEAD
from labeller.image_reasons import broken, irregular, unidentified, unopenable
from labeller.pixels import reduced, to_rgb
from labeller.png_metadata import tolerate_metadata

PLUGINS = (
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    GifImagePlugin,
    BmpImagePlugin,
    TiffImagePlugin,
)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
)
OTHER_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".tga", ".ppm", ".pgm", ".exr"}
    | {".dcm", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"}
)
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}


# Pillow's own limit is one for the whole process and only half enforced (it warns, then raises at
# twice the size). Every size is checked here, before decoding, against the project's limit.
Image.MAX_IMAGE_PIXELS = None
tolerate_metadata()


@dataclass(frozen=True, slots=True)
class Decoded:
    """An upright RGB image, possibly shrunk, with facts of its file.

    `width` and `height` are those of the whole upright image, in pixels. `plain` says that a
    browser shows the file's own bytes just as `image`.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    plain: bool


def open_rgb(
    path: Path | str, max_pixels: int, max_side: int | None = None, cover: int | None = None
) -> Image.Image:
    """Read an image file as upright RGB.

    Parameters
    ----------
    path : path
        The file.
    max_pixels : int
        Images with more pixels are refused before anything is decoded.
    max_side : int, optional
        Longest side of the result, in pixels; JPEGs are then decoded at a fraction of the cost.
    cover : int, optional
        Instead of `max_side`: the shorter side reaches so many pixels, if the image has them, and
        less than twice as many. For who resizes once more.

    Returns
    -------
    PIL.Image.Image
        Mode RGB: EXIF orientation applied, transparency over white, first frame, more than 8 bits
        stretched from the image's 0.1 to its 99.9 percentile, CMYK and colour profiles converted
        to sRGB.

    Raises
    ------
    ImageError
        With the reason and the mend, when the file cannot be read as an image, or takes more memory
        than decoding may (`labeller.decode_room`).
    """
    with opened(path) as file:
        return decode(file, max_pixels, max_side, cover).image


def decode_rgb(data: bytes, max_pixels: int, max_side: int | None = None) -> Image.Image:
    """Read an image from the bytes of its file; otherwise as :func:`open_rgb`."""
    return decode(BytesIO(data), max_pixels, max_side).image


@contextmanager
def opened(path: Path | str) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a pipe or device never blocks.

    Raises
    ------
    ImageError
        When it is missing, unreadable, empty or no file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise unopenable(error) from error
    except ValueError as error:
        raise ImageError("its name holds a null byte", "Mend the name.") from error
    refusal = irregular(os.fstat(descriptor))
    if refusal is not None:
        os.close(descriptor)
        raise refusal
    with os.fdopen(descriptor, "rb") as file:
        yield file


def decode(
    file: BinaryIO, max_pixels: int, max_side: int | None = None, cover: int | None = None
) -> Decoded:
    """Decode an open image file.

    Parameters and errors are those of :func:`open_rgb`.
    """
    head = file.read(HEAD)
    file.seek(0)
    with _explained(head):
        image = _identified(file, head, max_pixels)
        width, height = image.size
        wanted = cover or max_side
        if wanted is not None:
            # A JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that is large enough: half the
            # time of starting from twice the size, and 0.4 grey levels of 255 further off. (Both
            # sides stay at least as long as they are asked to be.)
            image.draft(None, (wanted, wanted))
        deep = is_deep_colour(image)
        with _room(image, (width, height), shrinks=wanted is not None):
            pixels = load_deep_colour(image, file, FORMATS) if deep else image
            pixels.load()
            turn, name = orientation(image), _format(image)
            plain = not deep and _is_plain(image, turn)
            if cover is not None:
                # Whoever covers resizes once more: whole steps are quick, and leave room for it.
                rgb = to_rgb(reduced(pixels, cover), turn)
            else:
                rgb = to_rgb(pixels, turn, max_side)
            del image, pixels  # before the next one has the room
    if turn >= 5:
        width, height = height, width
    return Decoded(rgb, width, height, name, plain)


def is_plain(path: Path | str, max_pixels: int) -> bool:
    """Whether a browser shows the file's own bytes as :func:`open_rgb` reads them.

    Of most formats it reads little more than the header; a PNG may say behind its pixels how it is
    turned.

    Raises
    ------
    ImageError
        When the file cannot be opened as an image, or is larger than may be decoded.
    """
    with opened(path) as file:
        head = file.read(HEAD)
        file.seek(0)
        with _explained(head), _identified(file, head, max_pixels) as image:
            if is_deep_colour(image):
                return False
            with _room(image, image.size, shrinks=True):
                return _is_plain(image, orientation(image))


@contextmanager
def _explained(head: bytes) -> Iterator[None]:
    """Say in plain words what a decoder raises."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(
            "it does not fit into the memory that decoding may take",
            "Shrink it, or raise decode_memory_mb in project.toml if the machine has more.",
        ) from error
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged files
        raise broken(error, head) from error


def _room(
    image: ImageFile.ImageFile, size: tuple[int, int], shrinks: bool
) -> AbstractContextManager[None]:
    return ROOM.taken(estimate_bytes(image, size, shrinks), f"its {size[0]:,} × {size[1]:,} pixels")


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 when there is none or it is damaged."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF is no reason to lose the image
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _identified(file: BinaryIO, head: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header and refuse what is no image or too large, before any decoding."""
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise unidentified(head) from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"its {width:,} × {height:,} pixels are more than the limit of {max_pixels:,}",
            "Shrink it, or raise max_image_pixels in project.toml if you trust the file.",
        )
    return image


def _is_plain(image: Image.Image, turn: int) -> bool:
    """Whether a browser needs no help: upright, opaque, still, and of 8 bits."""
    return (
        _format(image) in MEDIA_TYPES
        and turn == 1
        and image.mode in ("1", "L", "P", "RGB")
        and not image.has_transparency_data
        and not getattr(image, "is_animated", False)
    )


def _format(image: Image.Image) -> str:
    """Name the format; a camera's MPO is a JPEG with more pictures behind it."""
    name = image.format or ""
    return "JPEG" if name == "MPO" else name
