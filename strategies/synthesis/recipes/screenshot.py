"""Screenshot: the picture on a page, on a phone, in front of something else."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from strategies.synthesis.recipes.augly_image import asset
from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe

MOST_PIXELS = 2_000_000  # of a screenshot; the picture in it is made smaller to fit


@recipe("screenshot", Choice("template", ("web", "mobile"), "on what screen"))
def overlay_onto_screenshot(
    augment: Augment, image: Image.Image, values: Values, _seed: int
) -> Image.Image:
    """Show on a web page or on a phone's screen."""
    return augment(
        "overlay_onto_screenshot",
        image,
        template_filepath=asset("screenshot_templates", f"{values['template']}.png"),
        template_bboxes_filepath=asset("screenshot_templates", "bboxes.json"),
        resize_src_to_match_template=False,
        max_image_size_pixels=MOST_PIXELS,
    )


@recipe(
    "screenshot",
    Choice("background", ("blurred", "black", "white", "noise"), "what is behind"),
    Span("size", 0.6, 0.92, "the picture's height, as a share of the whole"),
    Span("x", 0.0, 1.0, "how far to the right of the free space"),
    Span("y", 0.0, 1.0, "how far down in the free space"),
)
def overlay_onto_background_image(
    augment: Augment, image: Image.Image, values: Values, seed: int
) -> Image.Image:
    """Put before a blurred copy of itself, a plain colour or noise, as stories and slides do."""
    size = float(values["size"])
    return augment(
        "overlay_onto_background_image",
        image,
        background_image=_background(image, str(values["background"]), seed),
        overlay_size=size,
        x_pos=(1 - size) * float(values["x"]),
        y_pos=(1 - size) * float(values["y"]),
        scale_bg=True,
    )


def _background(image: Image.Image, kind: str, seed: int) -> Image.Image:
    """Return what is behind: a picture of the same size."""
    if kind == "blurred":
        return image.filter(ImageFilter.GaussianBlur(0.08 * min(image.size)))
    if kind == "noise":
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        return Image.fromarray(coarse).resize(image.size, Image.Resampling.BICUBIC)
    return Image.new("RGB", image.size, kind)


RECIPES = (overlay_onto_screenshot, overlay_onto_background_image)
