"""The images that a fine-tuning reads: where they lie, and what is said where they cannot."""

from __future__ import annotations

import gc
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labeller.errors import RoundError
from labeller.learning import training
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.learning.pictures import load_images
from labeller.learning.snapshot import take
from labeller.progress import Silent
from labeller.squares import Resize, square_of
from tests.labeller.learning.shapes import label, run, shapes


def mapped(folder: Path) -> int:
    """Return how many files of a folder this process has mapped."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    return sum(str(folder) in line for line in maps.splitlines())


def test_pixels_are_kept_on_the_disk_and_go_when_nobody_reads_them(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 12)
    label(project, range(1, 13))
    labels = take(project).part("train", "valid")
    images = load_images(project, labels, Resize(16), Silent()).examples
    with project.store.read() as unit:
        files = unit.items.many(labels.ids.tolist())
    for row, i in enumerate(labels.ids.tolist()):
        assert np.array_equal(
            images.x[row], square_of(project.file(files[i].path), Resize(16), 10**6)
        )
    assert mapped(project.models) == 1
    assert not list(project.models.iterdir()), "a process that is killed leaves nothing"
    del images
    gc.collect()
    assert mapped(project.models) == 0


def test_a_fine_tuned_model_keeps_none_of_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=1))
    project = shapes(tmp_path / "p", 24, training="fine_tune")
    label(project, range(1, 19))
    number = run(project)["round"]
    kept = {file.name for file in (project.models / f"round-{number:04d}").iterdir()}
    assert "weights.pt" in kept
    assert not [name for name in kept if name.endswith(".npy")]


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shapes(tmp_path / "p", 12)
    label(project, range(1, 13))

    def full(*_given: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RoundError, match=r"models: .* MB .*No space left.*Make room"):
        load_images(project, take(project).part("train"), Resize(16), Silent())
