"""Backbones by name, and the recipe of features that fits the images of a project.

A recipe says how large images are fed to which backbone and which parts of its answer are kept.
It is the tag of the vector file, so that another recipe is computed anew, never mixed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from labeller.errors import BackboneError
from labeller.learning import hog, lite0

VERSION = 1  # of the features themselves: raise it when the same recipe gives other numbers
TINY = 48
SMALL = 112
MEDIUM = 176


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the features of a project are made of.

    `size` is the side in pixels to which images are resized; `parts` are pieces of a vector in
    their order: ``mids``, ``final``, ``raw``, ``hog``.
    """

    backbone: str
    size: int
    parts: tuple[str, ...]

    @property
    def tag(self) -> str:
        """Identity of the recipe, kept in the vector file."""
        return f"{self.backbone}@{self.size}:{'+'.join(self.parts)} v{VERSION}"

    @property
    def file(self) -> str:
        """Name of the vector file."""
        return f"features-{self.backbone}-{self.size}-{'-'.join(self.parts)}-v{VERSION}.f16"


class Trunk(Protocol):
    """A loaded backbone in evaluation mode; `module` is what moves to a GPU."""

    module: nn.Module

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return ``mids`` and ``final`` of images given as bytes (n, size, size, 3)."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """One entry of the registry.

    `widths` are the lengths of its own parts; `load` makes the trunk for features, `network` a
    fresh, trainable copy for fine-tuning.
    """

    name: str
    summary: str
    widths: dict[str, int]
    digest: str
    load: Callable[[], Trunk]
    network: Callable[[], nn.Module]

    def recipe(self, side: float) -> Recipe:
        """Choose the recipe for images whose median longest side is `side` pixels.

        On images of 28 pixels mid-level features with pixels and edges were best by far, on photos
        mid-level and final features are level; see `docs/benchmarks.md`.
        """
        if side <= TINY:
            return Recipe(self.name, 64, ("mids", "raw", "hog"))
        size = 96 if side <= SMALL else 128 if side <= MEDIUM else 224
        return Recipe(self.name, size, ("mids", "final"))

    def width(self, recipe: Recipe) -> int:
        """Return the length of a vector of the recipe."""
        return sum(part.stop - part.start for part in self.columns(recipe).values())

    def columns(self, recipe: Recipe) -> dict[str, slice]:
        """Return where in a vector each part lies."""
        widths = {**self.widths, "raw": hog.RAW_WIDTH, "hog": hog.HOG_WIDTH}
        found, start = {}, 0
        for part in recipe.parts:
            found[part] = slice(start, start + widths[part])
            start += widths[part]
        return found

    def embedding(self, recipe: Recipe) -> slice:
        """Return the columns that tell how alike two images are: those of the network itself."""
        columns = self.columns(recipe)
        return columns["final"] if "final" in columns else columns["mids"]


BACKBONES: dict[str, Backbone] = {
    lite0.NAME: Backbone(
        name=lite0.NAME,
        summary="EfficientNet-Lite0, ImageNet weights packaged, works offline (4.7 M parameters).",
        widths=lite0.WIDTHS,
        digest=lite0.SHA256,
        load=lite0.Lite0,
        network=lite0.network,
    )
}


def get(name: str) -> Backbone:
    """Return the backbone called `name`.

    Raises
    ------
    BackboneError
        When there is none; the text lists those there are.
    """
    if name not in BACKBONES:
        raise BackboneError(
            f"backbone = {name!r} is unknown. Set it to one of: {', '.join(BACKBONES)}."
        )
    return BACKBONES[name]
