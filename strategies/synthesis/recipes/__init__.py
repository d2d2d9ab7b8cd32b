"""Recipes: all AugLy image augmentations that work, by what they imitate.

`BY_NAME` holds them, `called` finds one, `in_group` lists a group, `USUAL` are those that are
switched on when nobody said otherwise. Importing this imports no AugLy.

AugLy 1.0.0 has two more, `meme_format` and `perspective_transform`: both call names that the
present Pillow and numpy no longer have. A test fails once they work.
"""

from __future__ import annotations

import difflib

from strategies.synthesis.recipes import (
    camera,
    compression,
    emoji,
    geometry,
    light,
    occlusion,
    screenshot,
    text,
)
from strategies.synthesis.recipes.errors import UnknownRecipe
from strategies.synthesis.recipes.recipe import Group, Recipe

BY_NAME: dict[str, Recipe] = {
    recipe.name: recipe
    for group in (light, camera, compression, screenshot, geometry, occlusion, text, emoji)
    for recipe in group.RECIPES
}
USUAL: tuple[Recipe, ...] = tuple(recipe for recipe in BY_NAME.values() if recipe.usual)


def called(name: str) -> Recipe:
    """Return the recipe called `name`; raises `UnknownRecipe` with the names there are."""
    if name not in BY_NAME:
        near = difflib.get_close_matches(name, BY_NAME, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownRecipe(f"Unknown recipe {name!r}.{hint} Known: {', '.join(BY_NAME)}.")
    return BY_NAME[name]


def in_group(group: Group) -> tuple[Recipe, ...]:
    """Return the recipes of a group."""
    return tuple(recipe for recipe in BY_NAME.values() if recipe.group == group)
