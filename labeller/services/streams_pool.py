"""Which items pass in a stream, what the model says of them, and how many a person can be asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services import pool_predictions
from labeller.services.streams_shown import Floats, Ints
from store.errors import NotFound, VectorError
from store.records import ModelRecord, PredictionRecord
from store.store import Unit
from store.vectors import VectorFile

PAGE = 5_000
SAMPLE = 100_000  # items that a forecast is reckoned on: memory stays the same for any pool


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Items (n,), the columns (n,) of their predicted classes, and the confidences (n,)."""

    ids: Ints
    columns: Ints
    confidences: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A model and its predictions.

    Attributes
    ----------
    model : ModelRecord
    round_number : int
        Of the round that trained it.
    file : VectorFile
        Calibrated probabilities, row = item id.
    targets : tuple of int or None
        Per column the class that its predictions count as now; None for an archived one.
    classes : tuple of (int, str, tuple of int)
        The classes that the columns count as: number, name and columns of each.
    """

    model: ModelRecord
    round_number: int
    file: VectorFile
    targets: tuple[int | None, ...]
    classes: tuple[tuple[int, str, tuple[int, ...]], ...]

    def has(self, ids: Ints) -> NDArray[np.bool_]:
        """Return which of the items (n,) the model has judged."""
        return self.file.has(ids)

    def read(self, ids: Ints) -> Judged:
        """Return what the model says of those of the items (n,) that it has judged.

        Raises
        ------
        StreamRunError
            When the predictions cannot be read.
        """
        try:
            known = ids[self.file.has(ids)]
            probs = self.file.read(known)
        except VectorError as error:
            raise StreamRunError(f"{error} {pool_predictions.mend(self.model.id)}") from error
        columns = probs.argmax(axis=1)
        sure = probs[np.arange(len(known)), columns].astype(np.float64)
        return Judged(known, columns, np.clip(sure, 0.0, 1.0))


def source_of(project: Project, unit: Unit, model_id: int | None = None) -> Source:
    """Return a model with its predictions: the one in use unless another is named.

    Raises
    ------
    StreamRunError
        When there is no model, or its predictions are gone.
    """
    model = _model(unit, model_id)
    record = unit.predictions.get(model.id)
    number = next((r.number for r in unit.rounds.all() if r.id == model.round_id), 0)
    if record is None:
        raise StreamRunError(
            f"The model of round {number} has no predictions any more: another model took its "
            f"place. {pool_predictions.mend(model.id)}"
        )
    merged = unit.classes.targets()
    known = {one.id: one for one in unit.classes.all(archived=True)}
    counted = [known[merged[class_id]] for class_id in model.class_ids]
    columns: dict[int, list[int]] = {}
    for column, one in enumerate(counted):
        columns.setdefault(one.id, []).append(column)
    return Source(
        model,
        number,
        _file(project, model, record, number),
        tuple(None if one.archived else one.id for one in counted),
        tuple((number, known[number].name, tuple(among)) for number, among in columns.items()),
    )


def _model(unit: Unit, model_id: int | None) -> ModelRecord:
    """Return the model in use, or the one that is named."""
    if model_id is not None:
        try:
            return unit.models.get(model_id)
        except NotFound as error:
            raise StreamRunError(f"{error} Finish this stream and start another.") from error
    model = unit.models.in_use()
    if model is None:
        raise StreamRunError(
            "There is no model yet, and so no predictions that could become labels. "
            "Label some images, start a round, then come back."
        )
    return model


def _file(
    project: Project, model: ModelRecord, record: PredictionRecord, number: int
) -> VectorFile:
    """Open a model's predictions."""
    path = project.own_file(record.file, project.vectors)
    if not VectorFile.exists(path):
        raise StreamRunError(
            f"{path}: the predictions of round {number} are missing. "
            f"{pool_predictions.mend(model.id)}"
        )
    try:
        return VectorFile.open(path, len(model.class_ids), "float32", PurePath(model.path).name)
    except VectorError as error:
        raise StreamRunError(f"{error} {pool_predictions.mend(model.id)}") from error


def arriving(unit: Unit, after: int = 0, limit: int | None = None) -> Iterator[Ints]:
    """Yield the items that may pass, in order of id, page by page; `limit` in all."""
    left = math.inf if limit is None else limit
    while left > 0:
        ids = unit.generated_labels.arrivals(after, limit=int(min(PAGE, left)))
        if not len(ids):
            return
        yield ids
        after, left = int(ids[-1]), left - len(ids)


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A pool, evenly sampled: `judged` stands for `items`, `seen` of them looked at.

    `unjudged` of those looked at have no prediction yet.
    """

    items: int
    seen: int
    unjudged: int
    judged: Judged

    @property
    def scale(self) -> float:
        """How many items each of the judged stands for."""
        return self.items / len(self.judged.ids) if len(self.judged.ids) else 0.0


def sampled(unit: Unit, source: Source, most: int = SAMPLE) -> Sampled:
    """Walk over the pool once and keep every so-manieth item, at most `most`."""
    stride, passed = 1, 0
    kept = np.empty(0, np.int64)
    for ids in arriving(unit):
        places = np.arange(passed, passed + len(ids))
        kept = np.concatenate([kept, ids[places % stride == 0]])
        passed += len(ids)
        while len(kept) > most:
            kept, stride = kept[::2], stride * 2
    judged = source.read(kept)
    return Sampled(passed, len(kept), len(kept) - len(judged.ids), judged)


def payable(unit: Unit, price: float) -> int | None:
    """Return how many labels the budget can pay beyond what waits; None without a limit.

    Places that somebody holds have their price reserved already.
    """
    free = unit.budget.get().free
    if free is None or price <= 0:
        return None
    bought = math.floor(round(free * 1000) / round(price * 1000)) if round(price * 1000) else None
    return None if bought is None else max(0, bought - unit.queue.counts().waiting)
