"""A training broken off after any epoch goes on to exactly the weights of one that was not."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labeller.errors import RoundError
from labeller.learning import checkpoints, tidy
from labeller.learning.backbones import get
from labeller.learning.device import choose
from labeller.learning.fine_tune import fine_tune
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.fitting import Labelled
from labeller.learning.lite0 import NAME
from labeller.learning.objective import Objective
from labeller.progress import Progress
from labeller.project import create_project
from tests.labeller.learning.shapes import Told, picture

N, SIDE = 96, 32  # two batches an epoch
ALL = Objective("balanced", 0.1, "best")


class Broken(Told):
    """A progress whose process dies when it is told of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """End like a killed process: nothing that catches errors sees it."""
        if done == self.epoch:
            raise SystemExit
        super().update(stage, done, total, message, **detail)


def examples(n: int, first: int = 0) -> Labelled:
    numbers = range(first, first + n)
    images = np.stack([picture(i % 3, i, SIDE) for i in numbers])
    return Labelled(torch.from_numpy(images), torch.tensor([i % 3 for i in numbers]))


def tuned(
    folder: Path | None, progress: Progress, objective: Objective, *, gradual: bool, seed: int = 0
) -> FineTuned:
    return fine_tune(
        examples(N),
        examples(9, N),
        3,
        replace(get(NAME).recipe(28), size=SIDE),
        seed=seed,
        device=choose("cpu"),
        progress=progress,
        config=FineTuneConfig(examples=1, least=3, gradual=gradual),
        objective=objective,
        checkpoints=folder,
    )


@pytest.mark.parametrize(
    ("gradual", "objective", "done"),
    [
        # between two phases, within one
        pytest.param(False, Objective(), (1, 2), marks=pytest.mark.slow),
        (True, ALL, (2, 3)),
    ],
)
def test_resumed_equals_not_interrupted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gradual: bool,
    objective: Objective,
    done: tuple[int, ...],
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    straight = Told()
    expected = tuned(None, straight, objective, gradual=gradual).state_dict()
    folder = tmp_path / "kept"
    for epochs in done:  # each begins where the one before was broken off
        with pytest.raises(SystemExit):
            tuned(folder, Broken(epochs + 1), objective, gradual=gradual)
    resumed = Told()
    found = tuned(folder, resumed, objective, gradual=gradual).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert resumed.details == straight.details[done[-1] :]
    nothing = Told()
    again = tuned(folder, nothing, objective, gradual=gradual).state_dict()
    assert not nothing.details
    assert all(torch.equal(again[name], expected[name]) for name in expected)


def test_another_training_begins_anew_and_a_damaged_checkpoint_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    with pytest.raises(SystemExit):
        tuned(tmp_path, Broken(2), Objective(), gradual=False)
    (file,) = tmp_path.iterdir()
    for objective, seed in ((Objective(), 1), (Objective(label_smoothing=0.1), 0)):
        with pytest.raises(SystemExit):
            tuned(tmp_path, Broken(1), objective, gradual=False, seed=seed)
    file.write_bytes(file.read_bytes()[:1000])
    told = Broken(2)
    with pytest.raises(SystemExit):
        tuned(tmp_path, told, Objective(), gradual=False)
    assert [detail["epoch"] for detail in told.details] == [1]


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kept" / "a.pt"
    checkpoints.write(file, {"done": 1})

    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RoundError, match=r"a\.pt.*No space left.*Make room"):
        checkpoints.write(file, {"done": 2})
    assert checkpoints.read(file) == {"done": 1}
    assert checkpoints.read(tmp_path / "missing.pt") is None


def test_tidying_keeps_checkpoints_for_a_week(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ("a", "b"))
    old, young = (project.models / tidy.CHECKPOINTS / name for name in ("old.pt", "young.part"))
    for file in (old, young):
        checkpoints.write(file, {})
    os.utime(old, (0, time.time() - tidy.STALE - 60))
    assert tidy.leftovers(project) == [old]
    assert young.exists()
    assert tidy.delete_checkpoints(project) == [young]
