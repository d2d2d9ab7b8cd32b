"""Geometry: turned, cut, framed, stretched, slanted, mirrored."""

from __future__ import annotations

from PIL import Image

from strategies.synthesis.recipes.recipe import Augment, Choice, Span, Values, recipe

SHADES = {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255)}
SHADE = Choice("color", tuple(SHADES), "the colour of the frame")
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


@recipe("geometry", Span("degrees", -15, 15, "above 0 against the clock"))
def rotate(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Turn, and cut so that no corner is empty."""
    return augment("rotate", image, degrees=float(values["degrees"]))


@recipe(
    "geometry",
    Span("size", 0.8, 0.95, "what stays of width and height, as a share"),
    Span("x", 0.0, 1.0, "how far to the right"),
    Span("y", 0.0, 1.0, "how far down"),
)
def crop(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Cut out a part."""
    size = float(values["size"])
    left, top = (1 - size) * float(values["x"]), (1 - size) * float(values["y"])
    edges = {"x1": left, "y1": top, "x2": left + size, "y2": top + size}
    # AugLy cuts off: 9.999 must not become 9, nor the far edge lie beyond 1
    return augment("crop", image, **{name: round(edge, 9) for name, edge in edges.items()})


@recipe(
    "geometry",
    Span("w_factor", 0.05, 0.25, "the frame left and right, as a share of the width"),
    Span("h_factor", 0.05, 0.25, "the frame above and below, as a share of the height"),
    SHADE,
)
def pad(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Put in a frame."""
    return augment(
        "pad",
        image,
        w_factor=float(values["w_factor"]),
        h_factor=float(values["h_factor"]),
        color=SHADES[str(values["color"])],
    )


@recipe("geometry", SHADE, usual=False)
def pad_square(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Make square by a frame; nothing changes in a square picture."""
    return augment("pad_square", image, color=SHADES[str(values["color"])])


@recipe("geometry", Span("change", 0.75, 1.33, "below 1 narrower, above 1 wider"))
def change_aspect_ratio(
    augment: Augment, image: Image.Image, values: Values, _seed: int
) -> Image.Image:
    """Squeeze or stretch, with as many pixels as before."""
    ratio = float(values["change"]) * image.width / image.height
    return augment("change_aspect_ratio", image, ratio=ratio)


@recipe(
    "geometry",
    Span("width", 0.75, 1.33, "the new width, as a share"),
    Span("height", 0.75, 1.33, "the new height, as a share"),
    Choice("resample", tuple(RESAMPLING), "how pixels are made of pixels"),
)
def resize(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Give another width and height, well or badly interpolated."""
    return augment(
        "resize",
        image,
        width=round(float(values["width"]) * image.width),
        height=round(float(values["height"]) * image.height),
        resample=RESAMPLING[str(values["resample"])],
    )


@recipe(
    "geometry",
    Span("skew_factor", -0.3, 0.3, "how far, and to which side"),
    Choice("axis", ("x", "y"), "along which side"),
)
def skew(augment: Augment, image: Image.Image, values: Values, _seed: int) -> Image.Image:
    """Slant, as seen from the side; the corners left empty are black."""
    axis = 0 if values["axis"] == "x" else 1
    return augment("skew", image, skew_factor=float(values["skew_factor"]), axis=axis)


@recipe("geometry", usual=False)
def hflip(augment: Augment, image: Image.Image, _values: Values, _seed: int) -> Image.Image:
    """Mirror left to right; only where a mirrored picture is of the same class."""
    return augment("hflip", image)


@recipe("geometry", usual=False)
def vflip(augment: Augment, image: Image.Image, _values: Values, _seed: int) -> Image.Image:
    """Mirror top to bottom; only where there is no up and down."""
    return augment("vflip", image)


RECIPES = (rotate, crop, pad, pad_square, change_aspect_ratio, resize, skew, hflip, vflip)
