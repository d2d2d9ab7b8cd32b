"""Emoji: a sticker in front."""

from __future__ import annotations

from PIL import Image

from strategies.synthesis.recipes.augly_image import asset
from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe

SMILEYS = (
    "grinning_face",
    "face_with_tears_of_joy",
    "smiling_face_with_heart_eyes",
    "smiling_face_with_sunglasses",
    "winking_face_with_tongue",
    "loudly_crying_face",
    "pouting_face",
    "face_with_medical_mask",
    "ghost",
    "red_heart",
    "blue_heart",
    "kiss_mark",
)


@recipe(
    "emoji",
    Choice("emoji", SMILEYS, "which one"),
    Span("emoji_size", 0.12, 0.3, "its height, as a share of the picture's"),
    Span("opacity", 0.7, 1.0, "how little shows through"),
    Span("x", 0.0, 1.0, "how far to the right"),
    Span("y", 0.0, 1.0, "how far down"),
)
def overlay_emoji(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Stick a smiley on it."""
    size = float(values["emoji_size"])
    across = min(1.0, size * image.height / image.width)  # emoji are square
    return augment(
        "overlay_emoji",
        image,
        emoji_path=asset("twemojis", "smileys", f"{values['emoji']}.png"),
        emoji_size=size,
        opacity=float(values["opacity"]),
        x_pos=(1 - across) * float(values["x"]),
        y_pos=(1 - size) * float(values["y"]),
    )


RECIPES = (overlay_emoji,)
