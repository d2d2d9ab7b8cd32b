"""Compression: saved badly, few pixels, few colours."""

from __future__ import annotations

import math

from PIL import Image

from strategies.synthesis.recipes.recipe import Augment, Span, Values, recipe

LEAST_PIXELS = 16  # of the shorter side: what the smallest thumbnails have
MOST_KEPT = 0.8  # something has to change in pictures that are as small


@recipe("compression", Span("quality", 12, 50, "the JPEG quality, of 100", whole=True))
def encoding_quality(
    augment: Augment, image: Image.Image, values: Values, _seed: int
) -> Image.Image:
    """Save as a bad JPEG."""
    return augment("encoding_quality", image, quality=int(values["quality"]))


@recipe("compression", Span("ratio", 0.12, 0.6, "how many of the pixels in a row stay"))
def pixelization(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Make small and large again: coarse."""
    return augment("pixelization", image, ratio=_kept(float(values["ratio"]), image))


@recipe("compression", Span("factor", 0.25, 0.8, "the new width and height, as a share"))
def scale(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Make smaller: fewer pixels."""
    return augment("scale", image, factor=_kept(float(values["factor"]), image))


@recipe("compression", Span("share", 0.06, 0.64, "how many of the pixels may stay"))
def clip_image_size(
    augment: Augment, image: Image.Image, values: Values, _seed: int
) -> Image.Image:
    """Allow no more than so many pixels, as sites that shrink what they are sent."""
    kept = _kept(math.sqrt(float(values["share"])), image)
    return augment(
        "clip_image_size", image, max_resolution=int(kept**2 * image.width * image.height)
    )


@recipe(
    "compression",
    Span("colors", 6, 40, "how many colours stay", whole=True),
    augly=("convert_color",),
)
def palette(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Keep few colours, as in a GIF."""
    return augment(
        "convert_color",
        image,
        mode="P",
        palette=Image.Palette.ADAPTIVE,
        colors=int(values["colors"]),
    )


def _kept(share: float, image: Image.Image) -> float:
    """Return `share`, or more where it would leave a small picture with too few pixels to tell."""
    return max(share, min(MOST_KEPT, LEAST_PIXELS / min(image.size)))


RECIPES = (encoding_quality, pixelization, scale, clip_image_size, palette)
