"""What a synthesis strategy takes besides labels: embeddings, and predictions of trial children."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labeller.errors import SynthesisError
from labeller.learning import device
from labeller.learning.calibration import probabilities
from labeller.learning.extraction import compute_missing
from labeller.learning.features import Floats, open_features
from labeller.learning.predictors import TrainedModel
from labeller.learning.saved import load_model
from labeller.learning.snapshot import Labels, Snapshot
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.feature_recipes import median_side
from labeller.services.synthesis_rendering import Wanted, rendered
from strategies.base import Needs
from strategies.synthesis import Parents, Plan, trial_plans

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

STAGE = "trials"
MOST_TRIALS = 2_000  # a minute or two of rendering, of photos; recipes share them
PHOTO = 512  # pixels; smaller pictures render faster, so there may be more trials
MOST_TIMES = 5.0
LEAST_ITEMS = 8
PARTS = 128  # pictures predicted at once


@dataclass(frozen=True, slots=True)
class Arrays:
    """Computes arrays of a project for the strategies that need them.

    All that is drawn at random depends on `seed` and the labels alone.
    """

    project: Project
    snapshot: Snapshot
    seed: int
    progress: Progress

    def given(self, parents: Parents, needs: Needs) -> tuple[Parents, int | None]:
        """Return the parents with the arrays that `needs` names.

        Parameters
        ----------
        parents : Parents
            Labelled training items. Those whose image cannot be read are left out; where trial
            children are predicted some hundreds stand for all, drawn at random.
        needs : Needs

        Returns
        -------
        parents : Parents
        model_id : int or None
            Of the model that predicted.

        Raises
        ------
        SynthesisError
            When there is no model, or no image can be read.
        RoundError
            When the model cannot be loaded.
        """
        if Needs.EMBEDDINGS in needs:
            return self._embedded(parents), None
        with self.project.store.read() as unit:
            record = unit.models.in_use()
            targets = {i: unit.classes.resolve(i) for i in record.class_ids} if record else {}
        if record is None:
            raise SynthesisError("There is no model yet. Start a round first.")
        model = load_model(self.project, record)
        seer = _Seer(self, model, _columns(model, targets, self.snapshot))
        if Needs.CHILD_PROBS in needs:
            return seer.parents(parents), record.id
        return seer.trials(parents), record.id

    def _embedded(self, parents: Parents) -> Parents:
        """Return the parents with embeddings, in the units of these parents alone."""
        features = open_features(self.project, self.snapshot.ids)
        where = device.choose(self.project.settings.device)
        compute_missing(self.project, features, parents.ids, where, self.progress)
        kept = _kept(parents, features.file.has(parents.ids))
        scaling = features.scaling(kept.ids)
        return replace(kept, embeddings=features.embeddings(kept.ids, scaling))

    def sample(self, labels: Labels, recipes: int, stream: int) -> Labels:
        """Draw the labelled items of which trial children are made, in order of id."""
        if not len(labels):
            return labels
        side = max(1.0, median_side(self.project, labels.ids))
        times = min(MOST_TIMES, max(1.0, (PHOTO / side) ** 2))
        most = max(LEAST_ITEMS, int(MOST_TRIALS * times) // max(1, recipes))
        if len(labels) <= most:
            return labels
        rng = np.random.default_rng([self.seed, stream])
        rows = np.sort(rng.choice(len(labels), most, replace=False))
        return Labels(labels.ids[rows], labels.columns[rows])


@dataclass(frozen=True, slots=True)
class _Seer:
    """Shows items and their trial children to a model; `columns` puts its classes into ours."""

    arrays: Arrays
    model: TrainedModel
    columns: Doubles

    def parents(self, parents: Parents) -> Parents:
        """Return some of the parents with their predictions and those of a child per recipe."""
        drawn = self.arrays.sample(Labels(parents.ids, parents.classes), len(parents.recipes), 1)
        labels, probs = self._items(drawn)
        some = _kept(parents, np.isin(parents.ids, labels.ids))
        return replace(some, probs=probs, child_probs=self._children(labels, probs, parents))

    def trials(self, parents: Parents) -> Parents:
        """Return the parents with predictions of validation items and of a child per recipe."""
        valid = self.arrays.snapshot.part("valid")
        labels, probs = self._items(self.arrays.sample(valid, len(parents.recipes), 2))
        return replace(
            parents,
            trial_classes=labels.columns,
            trial_probs=probs,
            trial_child_probs=self._children(labels, probs, parents),
        )

    def _items(self, labels: Labels) -> tuple[Labels, Floats]:
        """Return the readable ones of some items, and their calibrated probabilities (n, C)."""
        parts = list(self.model.probs(labels.ids, self.arrays.progress))
        if not parts or not sum(len(ids) for ids, _ in parts):
            raise SynthesisError(
                "None of the labelled images is known to the model. Start a round, then try again."
            )
        ids = np.concatenate([ids for ids, _ in parts])
        probs = self._ours(np.concatenate([rows for _, rows in parts]))
        kept = labels.among(ids)
        order = np.argsort(ids, kind="stable")
        return kept, probs[order]

    def _children(self, labels: Labels, probs: Floats, parents: Parents) -> Floats:
        """Return probabilities (R, n, C) of a trial child per recipe and item.

        Where a recipe changes nothing, or fails, the item's own stand.
        """
        rng = np.random.default_rng([self.arrays.seed, 3])
        rows = trial_plans(labels.ids, parents.recipes, rng)
        found = np.repeat(probs[None], len(rows), axis=0)
        # by item, so that one parent's picture is opened once for all recipes
        order = [(r, n) for n in range(len(labels)) for r in range(len(rows))]
        seen = 0
        for places, pixels in self._rendered([rows[r][n] for r, n in order]):
            logits = self.model.predictor.on_pixels(pixels)
            given = self._ours(probabilities(logits, self.model.temperature))
            for place, row in zip(places, given, strict=True):
                recipe, item = order[place]
                found[recipe, item] = row
            seen = max(places) + 1
            self.arrays.progress.update(STAGE, seen, len(order))
        return found

    def _rendered(self, plans: Sequence[Plan]) -> Iterator[tuple[list[int], Bytes]]:
        """Yield places of plans and the squares (n, side, side, 3) that they gave."""
        arrays = self.arrays
        with arrays.project.store.read() as unit:
            items = unit.items.many(sorted({plan.parent for plan in plans}))
        wanted = (Wanted(items[plan.parent], plan) for plan in plans)
        places: list[int] = []
        pixels: list[Bytes] = []
        stream = rendered(
            arrays.project,
            wanted,
            len(plans),
            arrays.progress,
            resize=self.model.predictor.resize,
        )
        with closing(stream) as answers:
            for place, (_, answer) in enumerate(answers):
                if "png" in answer:
                    places.append(place)
                    pixels.append(_pixels(answer["png"]))
                if len(places) >= PARTS:
                    yield places, np.stack(pixels)
                    places, pixels = [], []
        if places:
            yield places, np.stack(pixels)

    def _ours(self, probs: Floats) -> Floats:
        """Return the model's probabilities (n, K) as ones of our classes (n, C)."""
        ours = probs.astype(np.float64) @ self.columns
        total = ours.sum(axis=1, keepdims=True)
        even = np.full_like(ours, 1 / ours.shape[1])  # all it predicts is gone from the project
        given: Floats = np.where(total > 0, ours / np.maximum(total, 1e-300), even).astype(
            np.float32
        )
        return given


def _columns(model: TrainedModel, targets: dict[int, int], snapshot: Snapshot) -> Doubles:
    """Return the matrix (K, C) from a model's classes to those in use now."""
    column = {class_id: place for place, class_id in enumerate(snapshot.class_ids)}
    found = np.zeros((len(model.class_ids), len(column)), np.float64)
    for row, class_id in enumerate(model.class_ids):
        place = column.get(targets[class_id])
        if place is not None:
            found[row, place] = 1.0
    return found


def _kept(parents: Parents, kept: Bools) -> Parents:
    """Return those of the parents; the counts of the classes stay those of all."""
    if not kept.any():
        raise SynthesisError("None of the labelled training images can be read.")
    return replace(parents, ids=parents.ids[kept], classes=parents.classes[kept])


def _pixels(png: str) -> Bytes:
    with Image.open(BytesIO(base64.b64decode(png)), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"), np.uint8)
