"""How features of images are made, and the recipe that a project began with for each backbone.

A recipe says how large images are fed to which backbone and which parts of its answer are kept.
It is the tag of the vector file, so that another recipe is computed anew, never mixed in. The one
of the first round stays, however large the images are that come later: another size would read all
images again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from labeller.config import ResizeMethod
from labeller.project import Project
from labeller.services.backbone_names import FINEST, KNOWN, input_size, possible
from labeller.squares import METHODS, Resize
from store.durable import write_whole
from store.records import ModelRecord

Ints = NDArray[np.int64]

VERSION = 4  # of the features themselves: raise it when the same recipe gives other numbers
PREFIX = "features-"
PARTS = ("mids", "final", "raw", "hog")
FILE = "recipes.json"
_SAMPLE = 2_000  # images that stand for all when their median size is asked for
_NAME = re.compile(r"[\w.:@/-]{1,150}", re.ASCII)  # names a vector file
_WEIGHTS = re.compile(r"[0-9a-f]{0,64}")
_LARGEST = 4_096  # pixels: no backbone sees larger images


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the features of a project are made of.

    `size` is the side in pixels to which images are resized by `method`; `parts` are pieces of a
    vector in
    their order: ``mids``, ``final``, ``raw``, ``hog``. `weights` is the start of the weights'
    SHA-256, empty for the packaged backbone, which has but one.
    """

    backbone: str
    size: int
    parts: tuple[str, ...]
    weights: str = ""
    method: ResizeMethod = "squish"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the recipe that JSON values describe.

        Raises
        ------
        ValueError, KeyError, TypeError
            When they describe none.
        """
        if type(values["size"]) is not int:
            raise ValueError("the size of a recipe is no whole number")
        made = cls(
            str(values["backbone"]),
            values["size"],
            tuple(values["parts"]),
            str(values.get("weights", "")),
            values.get("method", "squish"),
        )
        sound = (
            possible(made.backbone)
            and _NAME.fullmatch(made.backbone)
            and _WEIGHTS.fullmatch(made.weights)
            and 0 < made.size <= _LARGEST
            and set(made.parts) <= set(PARTS)
            and len(set(made.parts)) == len(made.parts)
        )
        if not (sound and made.parts and made.method in METHODS):
            raise ValueError("what it says of features is no recipe")
        return made

    @property
    def resize(self) -> Resize:
        """How images become squares."""
        return Resize(self.size, self.method)

    @property
    def tag(self) -> str:
        """Identity of the recipe, kept in the vector file."""
        method = "" if self.method == "squish" else f" {self.method}"
        return f"{self.name}@{self.size}:{'+'.join(self.parts)} v{VERSION}{method}"

    @property
    def file(self) -> str:
        """Name of the vector file."""
        name = self.name.replace("/", "-")
        method = "" if self.method == "squish" else f"-{self.method}"
        return f"{PREFIX}{name}-{self.size}-{'-'.join(self.parts)}{method}-v{VERSION}.f16"

    @property
    def name(self) -> str:
        """The backbone with its weights, where it has more than one."""
        return f"{self.backbone}-{self.weights}" if self.weights else self.backbone


def of_model(model: ModelRecord) -> Recipe | None:
    """Return the recipe that a model was made with, None of one that no longer says it."""
    try:
        return Recipe.of(model.config["recipe"])
    except (ValueError, KeyError, TypeError):
        return None


def begun(project: Project, backbone: str) -> Recipe | None:
    """Return the recipe that a project reads its images by.

    None before the first round with the backbone, or with the resize method of the settings.
    """
    recipe = _table(project).get(backbone)
    same = recipe is not None and recipe.method == project.settings.resize_method
    return recipe if same else None


def begin(project: Project, recipe: Recipe) -> None:
    """Keep a recipe as the one for its backbone from now on."""
    _write(project, _table(project) | {recipe.backbone: recipe})


def forget(project: Project, backbone: str) -> None:
    """Let the next round choose the recipe anew, by the images of then."""
    _write(project, {name: one for name, one in _table(project).items() if name != backbone})


def outgrown(recipe: Recipe, fitting: int) -> str:
    """Say that images would be read at another size (pixels) today; nothing when they would not."""
    if recipe.size == fitting:
        return ""
    return (
        f"Images are read at {recipe.size} pixels, as since the first round; {fitting} pixels "
        f"would fit those of now. To have all read anew at the size that fits: Models page, "
        f"Features, or labeller models PROJECT --new-size."
    )


def median_side(project: Project, ids: Ints | None = None) -> float:
    """Return the median longest side of images in pixels, of at most 2,000 evenly taken.

    Parameters
    ----------
    project : Project
    ids : array of int, shape (n,), optional
        Which; all when not given.
    """
    with project.store.read() as unit:
        among = unit.items.ids() if ids is None else ids
        some = unit.items.many(among[:: -(-len(among) // _SAMPLE) or 1].tolist())
    sides = [max(item.width, item.height) for item in some.values()]
    return float(np.median(sides)) if sides else float(FINEST)


def fitting_size(project: Project, backbone: str) -> int:
    """Return the side in pixels at which a backbone would see the images of now.

    Of one that is not among the known it is a guess: that it takes photos at 224 pixels.
    """
    known = KNOWN.get(backbone)
    own, fixed = (known.size, known.fixed) if known else (FINEST, False)
    return input_size(median_side(project), own, fixed)


def _table(project: Project) -> dict[str, Recipe]:
    """Return what is kept by backbone; nothing when the file is missing or damaged."""
    try:
        kept = json.loads((project.vectors / FILE).read_text(encoding="utf-8"))
        return {str(name): Recipe.of(one) for name, one in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(project: Project, table: Mapping[str, Recipe]) -> None:
    path = project.vectors / FILE
    write_whole(path, json.dumps({name: asdict(one) for name, one in table.items()}))
