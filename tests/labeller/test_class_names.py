"""Names of a model's classes: no two alike, whatever became of the classes since."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller.project import Project, create_project
from labeller.services import classes, model_card, predicting
from labeller.services.class_names import names_of
from labeller.services.predicting import Predictor
from labeller.services.prediction_files import as_json
from tests import predicted


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "p", ["cat", "dog", "bird"], start_workers=False)


def ids(project: Project) -> list[int]:
    return [one.id for one in classes.listed(project, archived=True)]


def takes_its_name(project: Project, archived: int, other: int) -> None:
    """Bring about what earlier versions let happen: the other has the archived one's name."""
    with project.store.write() as unit:
        name = unit.classes.update(archived, archived=True, key=None).name
        unit.classes.update(other, name=name)


def test_an_archived_class_is_marked_only_where_its_name_was_taken(project: Project) -> None:
    cat, dog, bird = ids(project)
    classes.archive(project, bird)
    with project.store.read() as unit:
        assert names_of(unit, [bird, cat, dog]) == ("bird", "cat", "dog")
    takes_its_name(project, cat, dog)
    with project.store.read() as unit:
        assert names_of(unit, [cat, dog]) == (f"cat (archived class {cat})", "cat")
        assert names_of(unit, [cat, bird]) == (f"cat (archived class {cat})", "bird")
    takes_its_name(project, dog, bird)  # archived as well, so that none is left to be plain
    with project.store.read() as unit:
        found = names_of(unit, [cat, dog, bird])
    assert found == tuple(f"cat (archived class {one})" for one in (cat, dog, bird))


def test_a_class_renamed_to_what_was_merged_into_it(project: Project) -> None:
    cat, dog, _ = ids(project)
    classes.merge(project, cat, dog)
    classes.rename(project, dog, "cat")
    with project.store.read() as unit:
        assert names_of(unit, [cat, dog]) == (f"cat (archived class {cat})", "cat")


def test_predictions_and_card_name_every_class(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    number = predicted.add_model(project)
    cat, dog, _ = ids(project)
    takes_its_name(project, cat, dog)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    with Predictor(project) as predictor:
        (row,) = predictor.predict([("a", str(tmp_path / "a.png"))])
        told = as_json(row, predictor)["probabilities"]
    assert list(told) == [f"cat (archived class {cat})", "cat"]
    assert sum(told.values()) == pytest.approx(1)
    with project.store.read() as unit:
        model = unit.models.get(number)
    assert f"cat (archived class {cat}), cat" in model_card.of(project, model)
