"""How much memory an image takes while it is decoded, told from its header.

Bytes a pixel at the peak, measured with Pillow 13 on images of 16 million pixels; rounded up.
"""

from __future__ import annotations

from PIL import ImageFile

from labeller.deep_colour import is_deep_colour

# Mode: when it is shrunk before anything else is done to it, and when it is not
_PEAKS = {
    "1": (6, 6),
    "L": (2, 6),
    "P": (6, 6),
    "RGB": (5, 5),
    "CMYK": (7, 9),
    "LA": (9, 14),
    "RGBA": (9, 14),
}
_OTHER_MODES = (9, 14)
_NUMBERS = 10  # 16 bits or more of grey, stretched by their range
_CLEAR_COLOUR = 15  # a palette or a colour that stands for transparency
_DEEP = 22
_STRETCHED, _BLOCK = 40, 4_000_000  # bytes a number, in blocks: see labeller.stretching
_CONVERTED = 4  # a colour profile, or a turn
_WEBP = 12  # its decoder keeps three canvases
_TIFF = 4  # a strip may be the whole image
_COEFFICIENTS = 2  # of each channel, of a JPEG whose scans are many, at its full size
_TILE_SIDES = (322, 323)  # tags of TIFF


def estimate_bytes(image: ImageFile.ImageFile, size: tuple[int, int], shrinks: bool) -> int:
    """Return what decoding an image takes at the peak, as upright RGB.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened, perhaps drafted, and not loaded.
    size : tuple of int
        Width and height in pixels before it was drafted.
    shrinks : bool
        Whether less than all of its pixels are wanted.
    """
    pixels = image.width * image.height
    return pixels * _peak(image, shrinks) + _beside(image, size)


def _peak(image: ImageFile.ImageFile, shrinks: bool) -> int:
    """Return the bytes of a pixel."""
    if is_deep_colour(image):
        return _DEEP
    if _is_grey_number(image):
        return _NUMBERS
    shrunk, whole = _PEAKS.get(image.mode, _OTHER_MODES)
    bytes_ = shrunk if shrinks else whole
    if image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        bytes_ = _CLEAR_COLOUR
    if not shrinks and ("icc_profile" in image.info or "exif" in image.info):
        bytes_ += _CONVERTED
    return bytes_ + {"WEBP": _WEBP, "TIFF": _TIFF}.get(image.format or "", 0)


def _is_grey_number(image: ImageFile.ImageFile) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _beside(image: ImageFile.ImageFile, size: tuple[int, int]) -> int:
    """Return what is needed that is not counted by the pixels it gives."""
    stretched = 3 if is_deep_colour(image) else int(_is_grey_number(image))
    blocks = _STRETCHED * min(_BLOCK, stretched * image.width * image.height)
    if image.format in ("JPEG", "MPO"):
        return _COEFFICIENTS * size[0] * size[1] * len(image.getbands())
    if image.format == "TIFF":
        width, height = (int(getattr(image, "tag_v2").get(tag, 0)) for tag in _TILE_SIDES)  # noqa: B009
        return blocks + 4 * width * height
    return blocks
