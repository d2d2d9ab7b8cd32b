"""Camera: out of focus, over-sharpened, noisy, filtered, with dead pixels."""

from __future__ import annotations

from PIL import Image, ImageFilter

from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe

LEAST_RADIUS = 0.4  # pixels; less blurs nothing
FILTERS: dict[str, type[ImageFilter.BuiltinFilter]] = {
    "smooth": ImageFilter.SMOOTH,
    "smooth_more": ImageFilter.SMOOTH_MORE,
    "detail": ImageFilter.DETAIL,
    "edge_enhance": ImageFilter.EDGE_ENHANCE,
    "sharpen": ImageFilter.SHARPEN,
}


@recipe("camera", Span("radius", 0.003, 0.015, "how far, as a share of the shorter side"))
def blur(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Blur, as out of focus."""
    return augment(
        "blur", image, radius=max(LEAST_RADIUS, float(values["radius"]) * min(image.size))
    )


@recipe("camera", Span("factor", 1.5, 8.0, "1 would leave the picture as it is"))
def sharpen(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Overdo the edges, as small cameras do."""
    return augment("sharpen", image, factor=float(values["factor"]))


@recipe("camera", Span("var", 0.001, 0.02, "how strong: the variance, of values from 0 to 1"))
def random_noise(augment: Augment, image: Image.Image, values: Values, seed: int) -> Image.Image:
    """Add grain, as of a sensor in the dark."""
    return augment("random_noise", image, var=float(values["var"]), seed=seed)


@recipe("camera", Choice("kind", tuple(FILTERS), "which filter"), augly=("apply_pil_filter",))
def filtered(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Pass through a filter of the camera's software."""
    return augment("apply_pil_filter", image, filter_type=FILTERS[str(values["kind"])])


@recipe("camera", Span("factor", 0.02, 0.15, "the share of pixels that change places"))
def shuffle_pixels(augment: Augment, image: Image.Image, values: Values, seed: int) -> Image.Image:
    """Swap some pixels, as a broken sensor or transmission does."""
    return augment("shuffle_pixels", image, factor=float(values["factor"]), seed=seed)


RECIPES = (blur, sharpen, random_noise, filtered, shuffle_pixels)
