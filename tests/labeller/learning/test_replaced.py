"""Files that hold another image by now: never learned from or asked about for the old one."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.learning import heads, training
from labeller.learning.cleaning_job import run_cleaning_job
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.learning.images import decoded
from labeller.progress import Silent
from labeller.project import Project
from labeller.services import cleaning
from labeller.services.synthesis_rendering import Wanted, rendered
from labeller.squares import Resize
from strategies.synthesis import Plan
from tests.labeller.learning.shapes import label, run, shapes


def replace_image(project: Project, item: int, by: int) -> str:
    """Put the bytes of another image in the place of an item's; returns its path."""
    images = project.root / "images"
    shutil.copy(images / f"{by - 1:04}.png", images / f"{item - 1:04}.png")
    return f"images/{item - 1:04}.png"


@pytest.mark.usefixtures("quick")
def test_a_round_leaves_out_what_was_replaced_though_its_features_are_there(
    tmp_path: Path,
) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    before = run(project, "random", 30)
    with project.store.read() as unit:
        labels = unit.models.get(before["model"]).metrics["train_n"]
        train = next(i for i in range(1, 31) if unit.items.many([i])[i].split == "train")
    paths = [replace_image(project, train, 60), replace_image(project, 50, 59)]
    result = run(project, "random", 60)
    with project.store.read() as unit:
        model = unit.models.get(result["model"])
        queued = {one.item_id for one in unit.queue.entries(100)}
    assert model.metrics["train_n"] == labels - 1
    assert f"another image: {paths[0]}. Put the old file back" in result["message"]
    assert "1 image was not queued, because its file has changed" in result["message"]
    assert f"another image: {paths[1]}. Put the old file back" in result["message"]
    assert 50 not in queued
    assert len(queued) == 29


@pytest.mark.usefixtures("quick")
def test_a_fine_tuning_reads_no_file_that_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=2))
    project = shapes(tmp_path / "p", 36, training="fine_tune")
    label(project, range(1, 31))
    path = replace_image(project, 1, 33)
    result = run(project, "random", 3)
    assert f"its file has changed since the import and holds another image: {path}." in str(result)
    with project.store.read() as unit:
        prediction = unit.predictions.get(result["model"])
    assert prediction is not None
    assert prediction.items == 35


def test_a_review_leaves_out_what_was_replaced_and_names_it(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 40, splits=("train",))
    label(project, range(1, 41))
    path = replace_image(project, 7, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=2, steps=20))
        with project.store.write() as unit:
            unit.jobs.add(cleaning.KIND, {}, exclusive=True)
            job = unit.jobs.claim("here", 1)
        assert job is not None
        result: dict[str, Any] = run_cleaning_job(project, job, Silent())
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "done", result)
    assert result["checked"] == 39
    found = cleaning.review(project)
    assert found is not None
    (note,) = found.notes
    assert note.startswith("1 image was left out, because its file has changed")
    assert path in note


def test_an_image_that_only_changed_its_name_is_read_under_the_new_one(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 4)
    (before,) = decoded(project, np.arange(1, 5), Resize(32))
    images = project.root / "images"
    (images / "0000.png").rename(images / "x")
    (images / "0001.png").rename(images / "0000.png")
    (images / "x").rename(images / "0001.png")
    (part,) = decoded(project, np.arange(1, 5), Resize(32))
    assert not part.unreadable
    assert np.array_equal(part.pixels, before.pixels)


def test_a_parent_that_was_replaced_has_no_children(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 2)
    replace_image(project, 1, 2)
    with project.store.read() as unit:
        item = unit.items.many([1])[1]
    plan = Plan(1, "brightness", (("factor", 1.2),), 0)
    ((_, answer),) = rendered(project, [Wanted(item, plan)], 1, Silent())
    assert "has changed since it was imported" in answer["reason"]
