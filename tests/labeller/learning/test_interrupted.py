"""Fine-tunings that were interrupted: when a round goes on with one, and when it starts anew."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.learning import checkpoints, interrupted, tidy, training
from labeller.learning.snapshot import Snapshot, take
from labeller.project import Project
from tests.labeller.learning.killed import SHORT
from tests.labeller.learning.shapes import Told, label, run, shapes

N, LEARNED = 24, 18  # labels; those of training and validation


class Dies(Told):
    """A progress whose process ends when it is told of the second epoch, after one checkpoint."""

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """End like a killed process: nothing that catches errors sees it."""
        if detail.get("epoch") == 2:
            raise SystemExit
        super().update(stage, done, total, message, **detail)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = shapes(tmp_path / "p", 36, training="fine_tune", device="cpu")
    label(made, range(1, N + 1))
    return made


def kept(project: Project, snapshot: Snapshot, own: str = "same", name: str = "a") -> Path:
    """Write a checkpoint that tells of a snapshot's labels; return their folder."""
    folder = project.models / tidy.CHECKPOINTS
    checkpoints.write(folder / f"{name}.pt", {"about": interrupted.told(snapshot, own)})
    return folder


def split_of(project: Project, split: str, labelled: bool) -> list[int]:
    with project.store.read() as unit:
        items = unit.items.many(range(1, 37))
    return [i for i, one in items.items() if one.split == split and (i <= N) is labelled]


def test_the_labels_of_then_are_used_while_they_stand(project: Project) -> None:
    then = take(project)
    folder = kept(project, then)
    new, audit = split_of(project, "train", labelled=False), split_of(project, "audit", False)
    label(project, [new[0], *audit])
    one = interrupted.found(folder, take(project), "same")
    assert one is not None
    assert one.since == 1
    assert "; the label given since comes with the next round." in one.note
    for part in ("train", "valid"):
        assert np.array_equal(one.snapshot.part(part).ids, then.part(part).ids)
        assert np.array_equal(one.snapshot.part(part).columns, then.part(part).columns)
    assert set(audit) < set(one.snapshot.part("audit").ids.tolist()), "those measure it anyway"
    assert one.snapshot.label_hash == then.label_hash
    assert (one.snapshot.at, one.snapshot.spent) == (then.at, then.spent)
    assert one.snapshot.labels == then.labels + len(audit)
    label(project, new[1:2])
    assert interrupted.found(folder, take(project), "same") is None, "2 of 18 is over a tenth"


def test_nothing_is_taken_up_of_another_training(project: Project, tmp_path: Path) -> None:
    now = take(project)
    assert interrupted.found(tmp_path / "missing", now, "same") is None
    folder = kept(project, now, "of other settings")
    (folder / "damaged.pt").write_bytes(b"half")
    checkpoints.write(folder / "older.pt", {"done": 1})
    assert interrupted.found(folder, now, "same") is None


def test_the_newest_is_taken_up(project: Project) -> None:
    first = take(project)
    folder = kept(project, first, name="old")
    label(project, split_of(project, "train", labelled=False)[:1])
    kept(project, take(project), name="new")
    os.utime(folder / "old.pt", (0, time.time() - 60))
    one = interrupted.found(folder, take(project), "same")
    assert one is not None
    assert one.since == 0
    assert ";" not in one.note


def changed(now: Snapshot) -> Snapshot:
    columns = now.label_columns.copy()
    columns[now.label_splits == "train"] = 0
    return replace(now, label_columns=columns)


def turned(now: Snapshot) -> Snapshot:
    splits = now.label_splits.copy()
    splits[np.flatnonzero(splits == "train")[0]] = "audit"
    return replace(now, label_splits=splits)


def moved(now: Snapshot) -> Snapshot:
    splits = now.label_splits.copy()
    splits[np.flatnonzero(splits == "train")[0]] = "valid"
    return replace(now, label_splits=splits)


def undone(now: Snapshot) -> Snapshot:
    rest = np.arange(len(now.label_ids)) != np.flatnonzero(now.label_splits == "train")[0]
    return replace(
        now,
        label_ids=now.label_ids[rest],
        label_columns=now.label_columns[rest],
        label_splits=now.label_splits[rest],
    )


@pytest.mark.parametrize("altered", [changed, turned, moved, undone])
def test_a_label_that_no_longer_stands_starts_anew(
    project: Project, altered: Callable[[Snapshot], Snapshot]
) -> None:
    folder, now = kept(project, take(project)), take(project)
    assert interrupted.found(folder, now, "same") is not None
    assert interrupted.found(folder, altered(now), "same") is None


def test_a_round_goes_on_only_with_the_same_labels_and_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FineTuneConfig", SHORT)
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    with pytest.raises(SystemExit):
        run(project, progress=Dies())
    smoothed = replace(project, settings=replace(project.settings, label_smoothing=0.1))
    label(project, split_of(project, "train", labelled=False)[:1])
    with pytest.raises(SystemExit):
        run(smoothed, progress=Dies())
    files = (project.models / tidy.CHECKPOINTS).glob("*.pt")
    numbers = sorted(len(about["ids"]) for about in map(checkpoints.about, files) if about)
    assert numbers == [LEARNED, LEARNED + 1], "other settings train on the labels of now"
    first = split_of(project, "train", labelled=True)[0]
    label(project, [first], [first % 3])
    told = Told()
    result = run(project, progress=told)
    assert [d["epoch"] for d in told.details if "epoch" in d] == [1, 2, 3, 4], "anew: relabelled"
    assert "Went on" not in result["message"]
    with project.store.read() as unit:
        assert unit.models.get(result["model"]).label_hash == unit.labels.set_hash()
