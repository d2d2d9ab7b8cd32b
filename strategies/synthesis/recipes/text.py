"""Text: a caption, a date."""

from __future__ import annotations

import numpy as np
from PIL import Image

from strategies.synthesis.recipes.augly_image import asset
from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe

#: fonts of AugLy whose tables begin with the printable ASCII characters
FONTS = ("SourceSansPro-Regular", "OpenSans-Bold", "Impact", "Lobster_1.3")
FIRST_CHARACTER = 32  # AugLy takes places in a font's table, which starts with the space
LEAST_PIXELS = 4  # a smaller font shows nothing
COLOURS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "yellow": (255, 221, 0),
    "red": (220, 20, 20),
}
COLOUR = Choice("color", tuple(COLOURS), "its colour")
WORDS = ("SAMPLE", "draft", "New!", "look at this", "(c) photo", "for sale", "LIVE", "page 7")


@recipe(
    "text",
    Choice("text", WORDS, "what it says"),
    Choice("font", FONTS, "in which letters"),
    Span("font_size", 0.07, 0.15, "their height, as a share of the shorter side"),
    COLOUR,
    Span("x_pos", 0.02, 0.4, "where it begins, from the left"),
    Span("y_pos", 0.02, 0.85, "where it begins, from above"),
)
def overlay_text(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Write words over it, as captions and watermarks are."""
    return _write(augment, image, values, [str(values["text"])], str(values["font"]))


@recipe(
    "text",
    Span("font_size", 0.05, 0.09, "its height, as a share of the shorter side"),
    COLOUR,
    Span("x_pos", 0.02, 0.4, "where it begins, from the left"),
    Span("y_pos", 0.02, 0.78, "where it begins, from above"),
    augly=("overlay_text",),
)
def timestamp(augment: Augment, image: Image.Image, values: Values, seed: int) -> Image.Image:
    """Print date and time on it in two lines, as cameras do."""
    rng = np.random.default_rng(seed)
    year, month, day, hour, minute = rng.integers([1998, 1, 1, 0, 0], [2030, 13, 29, 24, 60])
    lines = [f"{year}-{month:02}-{day:02}", f"{hour:02}:{minute:02}"]
    return _write(augment, image, values, lines, "OpenSans-Bold")


def _write(
    augment: Augment, image: Image.Image, values: Values, lines: list[str], font: str
) -> Image.Image:
    """Write lines over a picture, in letters that are no smaller than can be seen."""
    least = min(1.0, LEAST_PIXELS / min(image.size))
    return augment(
        "overlay_text",
        image,
        text=[[ord(character) - FIRST_CHARACTER for character in line] for line in lines],
        font_file=asset("fonts", f"{font}.ttf"),
        font_size=max(least, float(values["font_size"])),
        color=COLOURS[str(values["color"])],
        x_pos=float(values["x_pos"]),
        y_pos=float(values["y_pos"]),
    )


RECIPES = (overlay_text, timestamp)
