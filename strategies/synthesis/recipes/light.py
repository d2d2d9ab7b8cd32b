"""Light: too dark, too bright, pale, tinted, hazy, half in the shade."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe


@recipe("light", Span("factor", 0.45, 1.6, "below 1 darker, above 1 brighter"))
def brightness(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Make darker or brighter, as poor or harsh light does."""
    return augment("brightness", image, factor=float(values["factor"]))


@recipe("light", Span("factor", 0.5, 1.7, "below 1 flatter, above 1 harder"))
def contrast(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Flatten as fog does, or harden as full sun does."""
    return augment("contrast", image, factor=float(values["factor"]))


@recipe("light", Span("factor", 0.1, 2.0, "below 1 paler, above 1 more colourful"))
def saturation(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Make the colours pale or garish."""
    return augment("saturation", image, factor=float(values["factor"]))


@recipe(
    "light",
    Span("brightness_factor", 0.7, 1.3, "below 1 darker, above 1 brighter"),
    Span("contrast_factor", 0.7, 1.3, "below 1 flatter, above 1 harder"),
    Span("saturation_factor", 0.5, 1.5, "below 1 paler, above 1 more colourful"),
)
def color_jitter(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Put brightness, contrast and saturation a little off, all at once."""
    return augment("color_jitter", image, **values)


@recipe("light", Choice("mode", ("luminosity", "average"), "how the colours are weighed"))
def grayscale(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Take the colours away, as at night or from a black and white printer."""
    return augment("grayscale", image, mode=values["mode"])


@recipe("light", Span("level", 0.45, 0.9, "how much of the picture shows through"))
def opacity(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Fade towards white, as haze and old paper do."""
    return augment("opacity", image, level=float(values["level"]))


@recipe(
    "light",
    Span("gamma", 0.55, 1.8, "below 1 lighter shadows, above 1 deeper shadows"),
    augly=("apply_lambda",),
)
def gamma(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Lighten or deepen the shadows, as a wrong exposure does."""
    table = [round(255 * (level / 255) ** float(values["gamma"])) for level in range(256)]
    return augment("apply_lambda", image, aug_function=Image.Image.point, lut=table * 3)


@recipe(
    "light",
    Span("factor", 0.3, 0.7, "how bright the shaded part is"),
    Span("angle", 0, 360, "from where the shade falls, in degrees"),
    Span("cover", 0.3, 0.6, "how much of the picture lies in the shade"),
    augly=("masked_composite", "brightness"),
)
def shadow(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Shade one side, with a soft edge."""

    def darker(picture: Image.Image) -> Image.Image:
        return augment("brightness", picture, factor=float(values["factor"]))

    mask = _shade(image.size, math.radians(float(values["angle"])), float(values["cover"]))
    return augment("masked_composite", image, mask=mask, transform_function=darker)


def _shade(size: tuple[int, int], angle: float, cover: float) -> Image.Image:
    """Return a mask, white on the shaded side, that fades over a tenth of the picture."""
    columns = np.linspace(-1, 1, size[0], dtype=np.float32)
    rows = np.linspace(-1, 1, size[1], dtype=np.float32)
    across = math.cos(angle) * columns + math.sin(angle) * rows[:, None]
    edge = np.quantile(across, cover)
    depth = np.clip(0.5 + (edge - across) / 0.2, 0, 1)
    return Image.fromarray(np.uint8(255 * depth))


RECIPES = (brightness, contrast, saturation, color_jitter, grayscale, opacity, gamma, shadow)
