"""From a plan to its picture: the same bytes each time."""

from __future__ import annotations

from PIL import Image

from strategies.synthesis import recipes
from strategies.synthesis.planning.plan import Plan
from strategies.synthesis.recipes.augly_image import augmenting
from strategies.synthesis.recipes.errors import RenderError, SynthesisError, Unchanged

LEAST_SIDE = 8
MOST_PIXELS = 4096 * 4096  # noise on these takes 1.6 GB and ten seconds
MODES = ("L", "RGB")


def render(image: Image.Image, plan: Plan) -> Image.Image:
    """Make the picture of a plan from its parent's picture.

    The same picture and plan give the same pixels, in any process: what is drawn at random comes
    from the plan's seed. The global random states are as before when it returns. Threads take
    turns; to use all cores, render in several processes. The first call imports AugLy.

    Parameters
    ----------
    image : PIL.Image.Image
        The parent, upright, in mode L or RGB; at least 8 pixels wide and high, at most 4096 × 4096
        pixels. It is not changed.
    plan : Plan
        Recipe, parameters and seed.

    Returns
    -------
    PIL.Image.Image
        A new picture in the parent's mode, without metadata; its size may differ.

    Raises
    ------
    UnknownRecipe
        When the plan's recipe is not one of pictures.
    RecipeError
        When its parameters are not what the recipe takes.
    Unchanged
        When the picture would be the parent once more; worth no label, and no failure either.
    RenderError
        When the parent cannot be used, or the recipe fails on it; the text says why.
    AugmenterMissing
        When AugLy is not installed.

    References
    ----------
    Papakipos, Z. and Bitton, J. AugLy: Data Augmentations for Robustness. CVPR Workshops 2022.
    """
    recipe = recipes.called(plan.recipe)
    values = recipe.checked(plan.values)
    _check(image)
    parent = image.convert("RGB")
    parent.info.clear()
    with augmenting(plan.seed) as augment:
        try:
            child = recipe.paint(augment, parent, values, plan.seed)
            child = child.convert("RGB").convert(image.mode)
        except SynthesisError:
            raise
        except Exception as error:  # AugLy checks with assert, Pillow raises anything
            told = ", ".join(f"{name} {value}" for name, value in values.items())
            raise RenderError(
                f"The recipe {recipe.name} ({told}) fails on a picture of {image.width} ×"
                f" {image.height} pixels: {error or type(error).__name__}."
            ) from error
    child.info.clear()
    if child.size == image.size and child.tobytes() == image.tobytes():
        raise Unchanged(f"The recipe {recipe.name} changes nothing in this picture.")
    return child


def _check(image: Image.Image) -> None:
    """Raise `RenderError` when the parent cannot be used."""
    if image.mode not in MODES:
        raise RenderError(
            f"A parent must be a picture in mode {' or '.join(MODES)}, not {image.mode}:"
            " convert it first."
        )
    if min(image.size) < LEAST_SIDE:
        raise RenderError(
            f"A parent must be at least {LEAST_SIDE} pixels wide and high, not {image.width} ×"
            f" {image.height}."
        )
    if image.width * image.height > MOST_PIXELS:
        raise RenderError(
            f"A parent may have {MOST_PIXELS:,} pixels at most, not {image.width} × {image.height}:"
            " make it smaller first."
        )
