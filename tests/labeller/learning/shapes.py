"""Small projects of real image files that a model can tell apart, for the tests of learning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from labeller.learning import heads
from labeller.learning.round_job import run_round_job
from labeller.progress import Progress, Silent
from labeller.project import Project, create_project
from store.records import JobRecord, NewEvent, NewItem, Split

CLASSES = ("bars", "disc", "noise")
# A fixed turn of splits, so that tests know what is where: of 10 items 6 train, 2 validate.
TURN: tuple[Split, ...] = (
    "train",
    "valid",
    "audit",
    "train",
    "train",
    "valid",
    "audit",
    "train",
    "train",
    "train",
)


class Told(Silent):
    """A progress that remembers what it was told, and stops where a test wants it to."""

    def __init__(self, stop_at: str | None = None, error: Exception | None = None) -> None:
        self.stages: list[str] = []
        self.details: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self.stop_at = stop_at
        self.error = error

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Remember it."""
        self.stages.append(stage)
        self.details.append({"done": done, "total": total, **detail})
        self.messages.append(message)

    def totals(self, stage: str) -> set[int | None]:
        """Return how many steps a stage was said to have."""
        told = zip(self.stages, self.details, strict=True)
        return {detail["total"] for name, detail in told if name == stage}

    def check(self) -> None:
        """Raise the error once the stage was reached."""
        if self.error is not None and self.stages and self.stages[-1] == self.stop_at:
            raise self.error


def picture(kind: int, seed: int, side: int = 28) -> npt.NDArray[np.uint8]:
    """Draw an image of one of the three classes."""
    rng = np.random.default_rng([kind, seed])
    rows, columns = np.mgrid[:side, :side] / side
    if kind == 0:
        grey = 127 + 100 * np.sign(np.sin(rng.uniform(18, 30) * columns + rng.uniform(0, 6)))
    elif kind == 1:
        middle = rng.uniform(0.35, 0.65, 2)
        far = np.hypot(rows - middle[0], columns - middle[1])
        grey = np.where(far < rng.uniform(0.2, 0.3), 220, 40)
    else:
        grey = rng.uniform(0, 255, (side, side))
    noisy = grey[..., None] + rng.normal(0, 12, (side, side, 3))
    pixels: npt.NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
    return pixels


def shapes(
    root: Path, number: int, splits: Sequence[Split] = TURN, side: int = 28, **settings: Any
) -> Project:
    """Make a project of `number` images; item i is of class i mod 3, its split goes by turn.

    Many of them look alike: the leak guard is off, so that the splits stay.
    """
    project = create_project(root, CLASSES, **{"leak_distance": 0.0, **settings})
    add_shapes(project, range(number), splits, side)
    return project


def add_shapes(
    project: Project, seeds: Sequence[int], splits: Sequence[Split] = TURN, side: int = 28
) -> list[int]:
    """Add images to a project and return their ids."""
    items = []
    for seed in seeds:
        path = project.root / "images" / f"{seed:04}.png"
        Image.fromarray(picture(seed % 3, seed, side)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        items.append(
            NewItem(
                sha256=digest,
                path=f"images/{path.name}",
                copied=True,
                width=side,
                height=side,
                format="PNG",
                bytes=path.stat().st_size,
                group=digest,
                split=splits[seed // 3 % len(splits)],
            )
        )
    with project.store.write() as unit:
        return unit.items.add(items)


def trained(root: Path, number: int = 40) -> Project:
    """Make a project whose first 30 images are labelled, with a model trained for a moment."""
    project = shapes(root, number)
    label(project, range(1, 31))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=18))
        run(project)
    return project


def label(project: Project, items: Sequence[int], kinds: Sequence[int] | None = None) -> None:
    """Label items truly (item id i shows class (i − 1) mod 3), or as `kinds` say."""
    with project.store.write() as unit:
        classes = [one.id for one in unit.classes.all()]
        columns = [(item - 1) % 3 for item in items] if kinds is None else kinds
        events = [
            NewEvent(
                key=f"{item}:{column}:{len(unit.labels.history(item))}",
                kind="label",
                item_id=item,
                class_id=classes[column],
            )
            for item, column in zip(items, columns, strict=True)
        ]
        results = unit.labels.record("anna", "session", "page", events, 1.0)
    assert all(result.status == "accepted" for result in results), results


def job(project: Project, strategy: str = "margin", batch: int = 10) -> JobRecord:
    """Enter and claim a round job."""
    with project.store.write() as unit:
        made = unit.jobs.add("round", {"strategy": strategy, "batch": batch}, exclusive=False)
        claimed = unit.jobs.claim("here", 1, job_id=made.id)
    assert claimed is not None
    return claimed


def run(
    project: Project, strategy: str = "margin", batch: int = 10, progress: Progress | None = None
) -> dict[str, Any]:
    """Run a round in this process and return its result."""
    return run_round_job(project, job(project, strategy, batch), progress or Silent())
