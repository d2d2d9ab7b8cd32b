"""Draw docs/pictures/recipes/GROUP.jpg: a photo, and what each recipe of the group makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from strategies.synthesis import Unchanged, recipes, render
from strategies.synthesis.planning.plan import draw_plan
from strategies.synthesis.recipes.recipe import Group, Recipe

CELL, GAP, NAMES, EACH = 84, 4, 150, 4


def photo() -> Image.Image:
    """Return the parent: a part of scikit-image's cat (public domain)."""
    return Image.fromarray(data.chelsea()).crop((60, 0, 400, 300)).resize((272, 240))


def children(recipe: Recipe, parent: Image.Image) -> list[Image.Image]:
    """Return children with parameters drawn from the recipe's ranges."""
    rng = np.random.default_rng(3)
    made: list[Image.Image] = []
    for _ in range(20):
        try:
            made.append(render(parent, draw_plan(1, recipe, rng)))
        except Unchanged:
            continue
        if len(made) == (EACH if recipe.parameters else 1):
            break
    return made


def draw(group: Group, path: Path) -> None:
    """Draw the contact sheet of one group; a row per recipe, the parent on top."""
    parent, members = photo(), recipes.in_group(group)
    height = (len(members) + 1) * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (NAMES + EACH * (CELL + GAP) - GAP, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    small = ImageFont.load_default(10)
    rows = [("the parent", "", [parent])]
    rows += [
        (recipe.name, "" if recipe.usual else "off at first", children(recipe, parent))
        for recipe in members
    ]
    for row, (name, note, pictures) in enumerate(rows):
        top = row * (CELL + GAP)
        for line, word in enumerate(_lines(name)):
            pen.text((2, top + 26 + 15 * line), word, "black", font)
        pen.text((2, top + 64), note, "#777777", small)
        for place, picture in enumerate(pictures):
            thumbnail = picture.convert("RGB")
            thumbnail.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
            left = NAMES + place * (CELL + GAP) + (CELL - thumbnail.width) // 2
            sheet.paste(thumbnail, (left, top + (CELL - thumbnail.height) // 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=64, optimize=True)


def _lines(name: str) -> list[str]:
    """Break a long name at an underscore."""
    if len(name) < 20:
        return [name]
    middle = name.rfind("_", 0, 19) + 1
    return [name[:middle], name[middle:]]
