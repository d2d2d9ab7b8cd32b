"""From any mode Pillow reads to upright 8-bit RGB: what is shown is what is trained on."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageChops, ImageCms

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SPACES = {"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L"}
# The mode in which the colours of another one are converted
_COLOURS = dict.fromkeys(("P", "PA", "RGBA", "RGBX", "LA"), "RGB") | dict.fromkeys(
    ("1", "I", "I;16", "I;16B", "I;16L", "F"), "L"
)
GAP = 3  # by which Pillow, too, finds a resize fair: its reducing_gap
_RESIZABLE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})


def to_rgb(image: Image.Image, orientation: int, max_side: int | None = None) -> Image.Image:
    """Return a loaded image as upright RGB.

    Values of more than 8 bits are stretched from the image's 0.1 to its 99.9 percentile,
    transparency is laid over white, and an embedded colour profile is converted to sRGB.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode; its pixels must be loaded.
    orientation : int
        EXIF orientation, 1 to 8; others count as 1.
    max_side : int, optional
        Longest side of the result, in pixels; smaller images keep their size.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.
    """
    profile = image.info.get("icc_profile")
    # Pillow flips every CMYK JPEG as Adobe stores it; files without Adobe's mark are not flipped.
    plain_cmyk = image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info
    image = shrunk(_eight_bit(image), max_side)
    if plain_cmyk:
        image = ImageChops.invert(image)
    if image.mode in ("LA", "RGBA"):
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image.convert("RGB"), mask=image.getchannel("A"))
        image = canvas
    if isinstance(profile, bytes):
        image = _in_srgb(image, profile)
    turn = _TURNS.get(orientation)
    upright = image if turn is None else image.transpose(turn)
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def shrunk(image: Image.Image, max_side: int | None) -> Image.Image:
    """Return the image with its longest side at most `max_side` pixels, never enlarged."""
    longest = max(image.size)
    if max_side is None or longest <= max_side:
        return image
    width, height = (max(1, round(side * max_side / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def reduced(image: Image.Image, side: int) -> Image.Image:
    """Return a large image shrunk by a whole number of times, its shorter side 3 × `side` or more.

    So much is left that a resize to `side` gives the pixels that it gives of the whole image, to
    the eye and to a network. One in which a colour stands for transparency is left as it is: a mean
    of it is another colour.
    """
    factor = min(image.size) // (GAP * side)
    if factor < 2 or image.mode not in _RESIZABLE or "transparency" in image.info:
        return image
    small = image.reduce(factor)
    small.info, small.format = image.info, image.format
    return small


def _eight_bit(image: Image.Image) -> Image.Image:
    """Turn every mode into one of L, LA, RGB, RGBA, CMYK."""
    if image.mode.startswith("I") or image.mode == "F":
        # numpy is more than half of an import worker's start, and few images are deep
        from labeller.stretching import grey

        return grey(image)
    if image.has_transparency_data:
        return image if image.mode in _RESIZABLE - {"L", "RGB"} else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _RESIZABLE else image.convert("RGB")


def is_srgb(profile: bytes) -> bool:
    """Whether a colour profile calls itself sRGB (in ASCII or UTF-16, as profiles do)."""
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


def is_convertible(profile: bytes, mode: str) -> bool:
    """Whether an embedded colour profile says what the colours of an image of a mode are."""
    return is_srgb(profile) or _transform(profile, _COLOURS.get(mode, mode)) is not None


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB; a profile that is broken or for another mode is passed over."""
    if is_srgb(profile):
        return image
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    return ImageCms.applyTransform(image, transform) or image


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a profile to sRGB, None when it cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if _SPACES.get(source.profile.xcolor_space) != mode:
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
