"""Colours of 16 bits a channel, of which Pillow keeps only the upper byte.

The file is decoded twice: as Pillow does, and with the order of the bytes turned round, which
gives the lower ones. (Of a compressed TIFF that keeps each channel by itself, Pillow gives the
upper bytes both times.)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

from PIL import Image, ImageFile

_LOWER = {
    "16B": "16L",
    "16L": "16B",
    "16N": "16B" if sys.byteorder == "little" else "16L",
}
_CHANNELS = frozenset("RGBA")
_BITS_PER_SAMPLE = 258  # tag of TIFF
_GREY_ALPHA = "LA;16B"  # of PNG; read as RGBA of 8 bits it gives both bytes of both channels
# Of colours that were multiplied by their alpha, Pillow undoes that in the upper bytes only.
_COLOURS = frozenset({"RGB", "RGBA", "RGBX", "LA"})


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an image that was opened, and not yet loaded, has colours of 16 bits a channel."""
    if not isinstance(image, ImageFile.ImageFile) or image.mode not in ("RGB", "RGBA"):
        return False
    names = [_raw_mode(tile) for tile in image.tile]
    deep = [
        name.partition(";")[2] in _LOWER and name.partition(";")[0] in _COLOURS for name in names
    ]
    return bool(deep) and (all(deep) or _is_planar(image, names))


def load_deep_colour(
    image: ImageFile.ImageFile, file: BinaryIO, formats: tuple[str, ...]
) -> Image.Image:
    """Return an image for which :func:`is_deep_colour` is true in 8 bits, by its own range.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened from `file`, not loaded.
    file : binary file
    formats : tuple of str
        Those that `file` may have.

    Returns
    -------
    PIL.Image.Image
        Mode RGB or RGBA, with the `info` and the `format` of `image`.
    """
    from labeller.stretching import colour, grey_alpha  # numpy, late: few images are deep

    info, name = dict(image.info), image.format
    if [_raw_mode(tile) for tile in image.tile] == [_GREY_ALPHA]:
        image.tile = [_with_raw_mode(image.tile[0], "RGBA")]
        image.load()
        shown = grey_alpha(image)
    else:
        names = [_whole_name(image, _raw_mode(tile)) for tile in image.tile]
        image.tile = [_with_raw_mode(*pair) for pair in zip(image.tile, names, strict=True)]
        image.load()
        file.seek(0)
        with Image.open(file, formats=formats) as lower:
            lower.tile = [
                _with_raw_mode(tile, _lower_name(name))
                for tile, name in zip(lower.tile, names, strict=True)
            ]
            lower.load()
            shown = colour(image, lower)
    info.pop("transparency", None)  # it is in the alpha channel now
    shown.info, shown.format = info, name
    return shown


def _is_deep(name: str) -> bool:
    channels, _, order = name.partition(";")
    return channels in _COLOURS and order in _LOWER


def _is_planar(image: ImageFile.ImageFile, names: Sequence[str]) -> bool:
    """Whether each tile of a TIFF holds one channel; Pillow then forgets how many bits it has."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    return bool(names) and set(names) <= _CHANNELS and set(bits or ()) == {16}


def _whole_name(image: ImageFile.ImageFile, name: str) -> str:
    """Return a tile's raw mode with its bits and order of bytes."""
    if name not in _CHANNELS:
        return name
    prefix = getattr(image, "tag_v2").prefix  # noqa: B009 - only TIFF files have it
    return f"{name};16{'L' if prefix == b'II' else 'B'}"


def _lower_name(name: str) -> str:
    channels, _, order = name.partition(";")
    return f"{channels};{_LOWER[order]}"


def _raw_mode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])


def _with_raw_mode(tile: Any, name: str) -> Any:
    args = name if isinstance(tile.args, str) else (name, *tile.args[1:])
    return tile._replace(args=args)
