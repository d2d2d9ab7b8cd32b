"""What happens to an image file before a model sees it, in words and for programs.

This is the one place that says it: model cards and the file beside an exported model both take it
from here. `labeller.imaging`, `labeller.deep_colour`, `labeller.pixels`, `labeller.stretching` and
`labeller.squares` do it; whoever changes them changes the words here. A test does what these words
say, with Pillow and numpy alone, and compares with what the program predicts.
"""

from __future__ import annotations

from typing import Any

from labeller.config import ResizeMethod
from labeller.pixels import GAP
from labeller.squares import Resize
from labeller.stretching import PERCENT

DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # Pillow's, of more than 8 bits

Step = dict[str, Any]

_RESIZING: dict[ResizeMethod, str] = {
    "squish": "Resize to {side} × {side} pixels, squeezed: nothing is cut off and no border is "
    "added.",
    "crop": "Cut out the square in the middle, as long as the shorter side, and resize it to "
    "{side} × {side} pixels.",
    "pad": "Resize so that the longer side has {side} pixels, proportions kept (the shorter side "
    "rounded, at least 1), and put it into the middle of {side} × {side} pixels of grey (127, "
    "127, 127); an odd pixel of border lies right or below.",
}


def steps(resize: Resize) -> list[Step]:
    """Return what is done to an image file, in order.

    Parameters
    ----------
    resize : Resize
        How images become the squares that the model sees.

    Returns
    -------
    list of dict
        JSON values: ``step``, a name; ``text``, what is done; and numbers that it is done with.
    """
    side = resize.side
    return [
        {
            "step": "open",
            "frame": 0,
            "text": "Open the file with Pillow, or anything that decodes the same pixels. Of a "
            "file with several pages or frames take the first.",
        },
        {
            "step": "shrink",
            "side": side,
            "least": GAP * side,
            "modes": ["L", "LA", "RGB", "RGBA", "CMYK"],
            "text": f"Shrink a large image by a whole number first: the shorter side divided by "
            f"{GAP * side}, rounded down, where that is 2 or more and the mode is L, LA, RGB, RGBA "
            f"or CMYK without a transparent colour. Each pixel is the mean of a square (Pillow's "
            f"reduce; colours count by their alpha). A JPEG is decoded at 1/2, 1/4 or 1/8 before "
            f"(Pillow's draft), the smallest of which both sides keep {side} pixels.",
        },
        {
            "step": "stretch",
            "modes": list(DEEP_MODES),
            "low_percentile": PERCENT,
            "high_percentile": 100 - PERCENT,
            "no_data_tag": 42_113,
            "text": f"Grey of more than 8 bits (Pillow's modes I, I;16 and F) and colours of 16 "
            f"bits a channel (of which Pillow gives only the upper 8) become 8 bits: the {PERCENT} "
            f"percentile of the image becomes 0 and the {100 - PERCENT} percentile 255, linear "
            f"between and cut off beyond, one range for all channels. Left out before the "
            f"percentiles are taken: NaN and infinity, the number that a TIFF's GDAL tag 42113 "
            f"names as no data (all of these become 0), and up to four numbers that lie farther "
            f"from all others than those, sixteen or more, lie apart. Where the percentiles are "
            f"equal, the smallest and the largest value take their place; where all values are, "
            f"integers run from 0 to 65,535, others from 0 to 1. Grey of a TIFF whose zero is "
            f"white is inverted after that. A transparent value or an alpha channel stays what it "
            f"is, in its upper 8 bits.",
        },
        {
            "step": "plain_modes",
            "text": "Where a colour counts as transparent (a palette with transparency, a PNG's "
            "tRNS) the image becomes RGBA. Any other palette becomes RGB, and black and white "
            "become grey (L) of 0 and 255.",
        },
        {
            "step": "invert_cmyk",
            "text": "Invert a CMYK JPEG that has no Adobe marker, if it was opened with Pillow, "
            "which inverts every CMYK JPEG: the marker says that it is stored inverted.",
        },
        {
            "step": "lay_over",
            "colour": [255, 255, 255],
            "text": "Lay transparency over white: colour × alpha + white × (1 − alpha). Hidden "
            "colours never count. The image is RGB from here on, grey with alpha too.",
        },
        {
            "step": "to_srgb",
            "text": "Convert an embedded ICC colour profile to sRGB (perceptual intent, as "
            "Pillow's ImageCms.profileToProfile does). A profile that contains the word sRGB, that "
            "is damaged, or that is for another kind of colours than the image now has (RGB, grey "
            "or CMYK) is passed over.",
        },
        {
            "step": "upright",
            "tag": 274,
            "text": "Turn and mirror the image as its EXIF orientation (tag 274) says.",
        },
        {
            "step": "to_rgb",
            "text": "Make RGB of what is not: grey in all three channels; CMYK without a profile "
            "by Pillow's convert, which is (255 − ink) × (255 − black) / 255.",
        },
        {
            "step": "resize",
            "method": resize.method,
            "width": side,
            "height": side,
            "filter": "bilinear",
            "antialias": True,
            "text": f"{_RESIZING[resize.method].format(side=side)} Bilinear with antialiasing, as "
            f"Pillow's resize does; a bilinear resize without antialiasing gives other pixels.",
        },
        {
            "step": "bytes",
            "dtype": "uint8",
            "shape": ["n", side, side, 3],
            "channels": "RGB",
            "text": f"Give the bytes, 0 to 255, as (n, {side}, {side}, 3): rows, columns, then "
            f"red, green and blue. Scaling and normalisation are in the model.",
        },
    ]


def words(resize: Resize) -> str:
    """Return :func:`steps` as a numbered list in Markdown."""
    return "\n".join(f"{number}. {one['text']}" for number, one in enumerate(steps(resize), 1))
