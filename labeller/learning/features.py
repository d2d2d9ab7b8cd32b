"""Features of every image: opened, read, scaled. Computing them is in `extraction`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from labeller.learning import backbones
from labeller.learning.backbones import Backbone
from labeller.learning.images import Ints
from labeller.project import Project
from labeller.services import feature_recipes
from labeller.services.feature_recipes import Recipe, median_side
from labeller.services.originals import describe_replaced, list_replaced
from store.vectors import VectorFile

Floats = NDArray[np.float32]

SCALING_SAMPLE = 10_000  # rows that stand for the pool when features are scaled
FLAT = 0.05  # a column that varies by less than this share of its part counts as varying by it
STEP = 8_192


@dataclass(frozen=True, slots=True)
class Scaling:
    """Mean and spread (d,) of every column over the pool: the units in which a head is trained."""

    mean: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a project under one recipe, in a vector file whose row is the item's id."""

    backbone: Backbone
    recipe: Recipe
    file: VectorFile
    note: str = ""  # what people must know, such as that another backbone took its place
    replaced: Mapping[int, str] = field(default_factory=dict)  # items left out, with their files

    @property
    def width(self) -> int:
        """Length d of a vector."""
        return self.file.dim

    @property
    def embedding_width(self) -> int:
        """Length e of an embedding."""
        columns = self.backbone.embedding(self.recipe)
        return int(columns.stop - columns.start)

    def having(self, ids: Ints) -> Ints:
        """Return those of the items (n,) that have features; the others' images are unreadable.

        Items whose file was replaced count as unreadable: see :meth:`leaving_out_replaced`.
        """
        return ids[self.file.has(ids) & ~np.isin(ids, list(self.replaced))]

    def leaving_out_replaced(self, project: Project, ids: Ints) -> Features:
        """Return the same without those items (n,) whose file holds another image by now.

        Their features are right still, but nobody can see any more what was learned from.
        """
        return replace(self, replaced=list_replaced(project, ids.tolist()))

    def notes(self) -> list[str]:
        """Return what people must know."""
        paths = list(self.replaced.values())
        told = describe_replaced(paths, "left out") if paths else ""
        return [text for text in (self.note, told) if text]

    def read(self, ids: Ints) -> Floats:
        """Return features (n, d)."""
        return self.file.read(ids)

    def scaling(self, ids: Ints) -> Scaling:
        """Return the scaling of the pool, from at most 10,000 of `ids` evenly taken."""
        rows = self.read(ids[:: -(-len(ids) // SCALING_SAMPLE) or 1])
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        for columns in self.backbone.columns(self.recipe).values():
            typical = float(np.sqrt(np.mean(spread[columns] ** 2)))
            spread[columns] = np.maximum(spread[columns], FLAT * typical or 1.0)
        return Scaling(mean, spread)

    def embeddings(self, ids: Ints, scaling: Scaling) -> Floats:
        """Return vectors of length one, close together for images that look alike.

        Parameters
        ----------
        ids : array of int, shape (n,)
        scaling : Scaling

        Returns
        -------
        ndarray of float32, shape (n, e)
            From the network's own columns of the features.
        """
        columns = self.backbone.embedding(self.recipe)
        mean, spread = scaling.mean[columns], scaling.spread[columns]
        found = np.empty((len(ids), len(mean)), np.float32)
        for start in range(0, len(ids), STEP):
            part = (self.read(ids[start : start + STEP])[:, columns] - mean) / spread
            lengths = np.linalg.norm(part, axis=1, keepdims=True)
            found[start : start + STEP] = part / np.maximum(lengths, 1e-12)
        return found


def open_features(project: Project, ids: Ints) -> Features:
    """Open the features of the project's backbone under the recipe that it began with.

    The first time that is the one that fits the images.

    Parameters
    ----------
    project : Project
    ids : array of int, shape (N,)
        All items, at least one.

    Raises
    ------
    BackboneError
        When the backbone is unknown.
    VectorError
        When the file cannot be used.
    """
    backbone, note = backbones.usable(project.settings.backbone)
    fitting = replace(
        backbone.recipe(median_side(project, ids)), method=project.settings.resize_method
    )
    recipe = feature_recipes.begun(project, backbone.name)
    if recipe is None or recipe.weights != backbone.weights:
        recipe = fitting
        feature_recipes.begin(project, recipe)
    told = filter(None, [note, feature_recipes.outgrown(recipe, fitting.size)])
    return _opened(project, backbone, recipe, " ".join(told))


def features_of(project: Project, recipe: Recipe) -> Features:
    """Open the features of a given recipe; raises as :func:`open_features` does."""
    return _opened(project, backbones.of(recipe), recipe)


def _opened(project: Project, backbone: Backbone, recipe: Recipe, note: str = "") -> Features:
    tag = f"{recipe.tag} {backbone.digest[:16]}"
    path = project.vectors / recipe.file
    file = VectorFile.open(path, backbone.width(recipe), "float16", tag)
    return Features(backbone, recipe, file, note)
