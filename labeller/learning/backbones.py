"""Backbones by name, and the recipe of features that fits the images of a project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from torch import Tensor, nn

from labeller.errors import BackboneError, WeightsError
from labeller.learning import backbone_hubs, hog, lite0
from labeller.services.backbone_names import FINEST, KNOWN, input_size, possible
from labeller.services.feature_recipes import Recipe

TINY = 64  # up to this input, pixels and edges say what a network of photos misses


class Trunk(Protocol):
    """A loaded backbone in evaluation mode; `module` is what moves to a GPU."""

    module: nn.Module

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return ``mids`` and ``final`` of images given as bytes (n, size, size, 3)."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """One entry of the registry.

    `widths` are the lengths of its own parts; `load` makes the trunk for features, `network` a
    fresh, trainable copy for fine-tuning. `own` is the side in pixels that it was made for, and
    `fixed` says that it takes no other.
    """

    name: str
    widths: dict[str, int]
    digest: str
    load: Callable[[], Trunk]
    network: Callable[[], nn.Module]
    own: int = FINEST
    fixed: bool = False
    tiny: tuple[str, ...] = field(default=("mids", "raw", "hog"))
    weights: str = ""

    def recipe(self, side: float) -> Recipe:
        """Choose the recipe for images whose median longest side is `side` pixels.

        On images of 28 pixels mid-level features with pixels and edges were best by far, on photos
        mid-level and final features are level; see `docs/benchmarks.md`.
        """
        size = input_size(side, self.own, self.fixed)
        tiny = input_size(side) <= TINY
        parts = self.tiny if tiny else ("mids", "final")
        return Recipe(self.name, size, tuple(p for p in parts if self._has(p)), self.weights)

    def _has(self, part: str) -> bool:
        return part in self.widths or part in ("raw", "hog")

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


def get(name: str) -> Backbone:
    """Return the backbone called `name`; its weights are fetched when they are not here yet.

    Raises
    ------
    BackboneError
        When there is none; the text says how they are called.
    WeightsError
        When its weights are nowhere; the text says how to bring them.
    """
    if name == lite0.NAME:
        return Backbone(lite0.NAME, lite0.WIDTHS, lite0.SHA256, lite0.Lite0, lite0.network)
    if not possible(name):
        raise BackboneError(
            f"backbone = {name!r} is unknown. Set it to one of {', '.join(KNOWN)}, or to any "
            "other torchvision/NAME or timm/NAME."
        )
    shape = backbone_hubs.shape(name)
    digest = backbone_hubs.digest(name)
    return Backbone(
        name,
        dict(shape.widths),
        digest,
        partial(backbone_hubs.Pooled, name, digest),
        partial(backbone_hubs.network, name, digest),
        own=shape.size,
        fixed=shape.fixed,
        tiny=("mids", "final", "raw", "hog"),
        weights=digest[:16],
    )


def blank(name: str) -> nn.Module:
    """Return the trainable network of a backbone with random weights: nothing is fetched.

    Raises
    ------
    BackboneError
        When there is no such backbone.
    """
    return lite0.blank() if name == lite0.NAME else backbone_hubs.blank(name)


def of(recipe: Recipe) -> Backbone:
    """Return the backbone of a recipe, as :func:`get` does, with the weights of that recipe.

    Raises
    ------
    BackboneError
        Also when its weights are no longer those.
    """
    found = get(recipe.backbone)
    if recipe.weights != found.weights:
        raise BackboneError(
            f"{recipe.backbone}: its weights here begin with SHA-256 {found.weights}, the model "
            f"was made with {recipe.weights}. Put those back, or start a round to train another."
        )
    return found


def usable(name: str) -> tuple[Backbone, str]:
    """Return the backbone called `name`, or the packaged one and why, when its weights are missing.

    Raises
    ------
    BackboneError
        When there is no such backbone.
    """
    try:
        return get(name), ""
    except WeightsError as error:
        note = f"NOT the backbone of the settings: {lite0.NAME} took its place. {error}"
        return get(lite0.NAME), note
