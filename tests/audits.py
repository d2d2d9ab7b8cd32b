"""Models that predicted an audit set, made without training: shared by tests of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services import audit_files, evaluation
from store.records import ModelRecord, NewEvent, NewItem, NewModel, Split

Ints = NDArray[np.int64]


def add_items(project: Project, splits: Sequence[Split]) -> list[int]:
    """Add items without image files."""
    items = [
        NewItem(f"{i:064}", f"images/{i}.png", True, 9, 9, "PNG", 9, f"g{i}", split)
        for i, split in enumerate(splits)
    ]
    with project.store.write() as unit:
        return unit.items.add(items)


def give(
    project: Project,
    items: Sequence[int],
    class_ids: Sequence[int],
    annotator: str = "anna",
    duration_ms: int | None = None,
) -> None:
    """Label items."""
    events = [
        NewEvent(f"{annotator}-{i}-{c}", "label", int(i), int(c), duration_ms=duration_ms)
        for i, c in zip(items, class_ids, strict=True)
    ]
    with project.store.write() as unit:
        unit.labels.record(annotator, "s", "page", events, 1.0)


def probabilities(predicted: Sequence[int], classes: int, sure: float = 0.8) -> NDArray[np.float32]:
    """Return rows that give `sure` to the predicted column and the rest evenly to the others."""
    rows = np.full((len(predicted), classes), (1 - sure) / (classes - 1), np.float32)
    rows[np.arange(len(predicted)), list(predicted)] = sure
    return rows


def add_model(
    project: Project,
    items: Sequence[int],
    probs: NDArray[Any],
    labels: int,
    temperature: float = 1.0,
    whole: bool = True,
) -> ModelRecord:
    """Store a round with a model that predicted audit items; without `whole` as older ones did."""
    with project.store.write() as unit:
        columns = tuple(one.id for one in unit.classes.all())
        found, given, _ = unit.labels.arrays("audit")
        record = unit.rounds.start("margin", 6, None, labels, float(labels))
        path = project.models / f"round-{record.number:04d}"
        path.mkdir(parents=True)
        ids = np.asarray(items, np.int64)
        shared, of_labels, of_items = np.intersect1d(found, ids, return_indices=True)
        np.savez(
            path / audit_files.LABELLED,
            item_ids=shared,
            class_ids=given[of_labels],
            probs=probs[of_items],
        )
        if whole:
            audit_files.write(path, ids, probs)
        truth = np.array([columns.index(c) for c in given[of_labels].tolist()], np.int64)
        metrics = evaluation.audit_metrics(probs[of_items], truth, columns)
        metrics |= {"temperature": temperature, "train_n": labels}
        relative = path.relative_to(project.root).as_posix()
        new = NewModel(relative, "h" * 64, labels, 0, "b", "cpu", columns, {}, metrics, {}, {})
        made = unit.models.add(new, record.id)
        unit.rounds.finish(record.id, "done", model_id=made.id, queued=6, timings={"train": 1.0})
        return made
