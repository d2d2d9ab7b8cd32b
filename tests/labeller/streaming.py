"""Projects whose model is a table of probabilities, for the tests of streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from labeller import jobs
from labeller.project import Project, create_project
from labeller.services.streams import StreamPlan
from store.records import JobRecord, NewEvent, NewItem, NewModel, Split
from store.vectors import VectorFile

CLASSES = ("a", "b", "c")


def add_items(project: Project, splits: Sequence[Split], start: int = 0) -> list[int]:
    """Add items without pictures."""
    with project.store.write() as unit:
        return unit.items.add(
            [
                NewItem(f"{n:064x}", f"images/{n:05}.png", True, 9, 9, "PNG", 9, f"g{n}", split)
                for n, split in enumerate(splits, start)
            ]
        )


def probabilities(
    confidences: Sequence[float], columns: Sequence[int], classes: int = len(CLASSES)
) -> npt.NDArray[np.float32]:
    """Return rows (n, C) whose largest entry is the confidence, in the given column."""
    sure = np.asarray(confidences, np.float64)
    rows = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, axis=1)
    rows[np.arange(len(sure)), list(columns)] = sure
    return rows.astype(np.float32)


def add_model(
    project: Project,
    ids: Sequence[int],
    probs: npt.NDArray[np.float32],
    metrics: Mapping[str, Any] | None = None,
) -> int:
    """Register a model that predicts these rows (n, C) for these items, and put it in use."""
    with project.store.write() as unit:
        record = unit.rounds.start("margin", 5, None, 0, 0)
        name = f"round-{record.number:04d}"
        model = unit.models.add(
            NewModel(
                path=f"models/{name}",
                label_hash="0" * 64,
                labels=0,
                seed=0,
                backbone="none",
                device="cpu",
                class_ids=tuple(one.id for one in unit.classes.all()),
                config={},
                metrics=metrics or {},
                timings={},
                versions={},
            ),
            record.id,
        )
        unit.rounds.finish(record.id, "done", model_id=model.id)
        path = project.vectors / f"predictions-{name}.f32"
        file = VectorFile.open(path, probs.shape[1], "float32", name)
        file.write(ids, probs)
        unit.predictions.add(model.id, f"vectors/{path.name}", len(ids), 1.0)
    return model.id


def pool(
    root: Path,
    confidences: Sequence[float],
    columns: Sequence[int] | None = None,
    budget: float | None = None,
    **settings: Any,
) -> Project:
    """Make a project of unlabelled training items that a model predicts with these confidences."""
    project = create_project(root, CLASSES, budget=budget, start_workers=False, **settings)
    ids = add_items(project, ["train"] * len(confidences))
    places = [n % len(CLASSES) for n in range(len(ids))] if columns is None else columns
    add_model(project, ids, probabilities(confidences, places))
    return project


def fixed(**values: Any) -> StreamPlan:
    """Return a plan that asks about everything up to a confidence of 0.6, and audits nothing."""
    options = {"threshold": 0.6}
    given = {"strategy": "fixed_threshold", "options": options, "error": 0.1, "audit_share": 0.0}
    return StreamPlan(**{**given, **values})


def do_jobs(project: Project) -> JobRecord:
    """Run the oldest waiting job in this process and return how it ended."""
    done = jobs.run(project)
    assert done is not None
    return done


def say(project: Project, item: int, column: int, by: str = "ann") -> str:
    """Let a person label an item as the class of a column; return what became of it."""
    with project.store.write() as unit:
        class_id = unit.classes.all()[column].id
        count = unit.labels.events_count()
        event = NewEvent(key=f"k{item}-{count}", kind="label", item_id=item, class_id=class_id)
        (result,) = unit.labels.record(by, "s", "page", [event], project.settings.label_price)
    return result.status if result.reason is None else result.reason
