"""What the model of a round learns from, where image files went away since their features came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from labeller.errors import RoundError
from labeller.learning import training
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.project import Project
from tests.labeller.learning.shapes import label, run, shapes


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with features and labels that fine-tunes for a moment."""
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=1))
    made = shapes(tmp_path / "p", 48, valid_share=0.2)
    label(made, range(1, 46))
    run(made)
    return replace(made, settings=replace(made.settings, training="fine_tune"))


def of_split(project: Project, split: str) -> list[int]:
    with project.store.read() as unit:
        items = unit.items.many(range(1, 46))
    return [i for i, item in items.items() if item.split == split]


def lose(project: Project, items: Sequence[int]) -> None:
    """Delete the image files of some items."""
    for i in items:
        (project.root / "images" / f"{i - 1:04}.png").unlink()


def test_what_is_gone_is_said_and_counts_for_nothing(project: Project) -> None:
    train, valid = of_split(project, "train"), of_split(project, "valid")
    gone = [i for i in train if (i - 1) % 3 == 2]
    lose(project, [*gone, valid[0]])
    result = run(project)
    with project.store.read() as unit:
        model = unit.models.get(result["model"])
        noise = unit.classes.all()[2].id
    assert (
        f"{len(gone) + 1} images cannot be read and were left out, first images/"
        in (result["message"])
    )
    assert result["unreadable"] == len(gone) + 1
    assert "No training example yet of “noise”" in result["message"]
    assert model.metrics["missing_classes"] == [noise]
    assert model.metrics["train_n"] == len(train) - len(gone)
    assert model.metrics["valid_n"] == len(valid) - 1
    assert model.metrics["temperature"] < 5, "a class never seen says nothing about confidence"
    seen = model.config["labels_by_class"]
    assert seen["train"] == [len([i for i in train if (i - 1) % 3 == kind]) for kind in (0, 1)] + [
        0
    ]
    assert sum(seen["valid"]) == len(valid) - 1


def test_too_few_images_are_an_error_that_names_one(project: Project) -> None:
    train = of_split(project, "train")
    lose(project, train)
    with pytest.raises(RoundError, match=rf"images/\S+png: .*0 of the {len(train)} .*Bring"):
        run(project)
