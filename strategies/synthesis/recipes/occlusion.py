"""Occlusion: something is in front."""

from __future__ import annotations

import numpy as np
from PIL import Image

from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe

COLOURS = {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255)}
COLOUR = Choice("color", tuple(COLOURS), "the colour of what is in front")


@recipe(
    "occlusion",
    Span("line_width", 0.1, 0.3, "what the stripes cover, as a share"),
    Span("line_angle", -90, 90, "their slope, in degrees"),
    Span("line_density", 0.6, 0.8, "how close they are"),
    Span("line_opacity", 0.5, 0.9, "how little shows through"),
    Choice("line_type", ("solid", "dotted", "dashed"), "of what kind"),
    COLOUR,
)
def overlay_stripes(
    augment: Augment, image: Image.Image, values: Values, _seed: int
) -> Image.Image:
    """Put behind a fence, a blind or wires."""
    others = {name: value for name, value in values.items() if name != "color"}
    return augment("overlay_stripes", image, line_color=COLOURS[str(values["color"])], **others)


@recipe(
    "occlusion",
    Choice("kind", ("noise", *COLOURS), "what is in front"),
    Span("overlay_size", 0.12, 0.35, "its height, as a share of the picture's"),
    Span("x", 0.0, 1.0, "how far to the right"),
    Span("y", 0.0, 1.0, "how far down"),
    augly=("overlay_image",),
)
def patch(augment: Augment, image: Image.Image, values: Values, seed: int) -> Image.Image:
    """Cover a part with noise or one colour (random erasing, Zhong et al. 2020)."""
    size = max(float(values["overlay_size"]), 1.5 / min(image.size))  # a pixel wide at least
    return augment(
        "overlay_image",
        image,
        overlay=_patch(image, str(values["kind"]), seed),
        overlay_size=size,
        x_pos=(1 - size) * float(values["x"]),
        y_pos=(1 - size) * float(values["y"]),
    )


def _patch(image: Image.Image, kind: str, seed: int) -> Image.Image:
    """Return a patch in the shape of the picture, so that it covers as much of both sides."""
    if kind != "noise":
        return Image.new("RGB", image.size, COLOURS[kind])
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return Image.fromarray(noise).resize(image.size, Image.Resampling.NEAREST)


RECIPES = (overlay_stripes, patch)
