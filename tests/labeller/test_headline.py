"""The one accuracy of a model: on the labels of now, and no single number of few of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from labeller.project import Project, create_project
from labeller.services import evaluation_curve, headline, model_card
from labeller.services.evaluation_json import as_json
from labeller.services.evaluation_report import evaluate
from labeller.services.evaluation_scores import share
from labeller.services.status import status
from store.records import ModelRecord
from tests.audits import add_items, add_model, give, probabilities
from tests.labeller.test_evaluation_report import run


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "p", ["cat", "dog"])


def audited(project: Project, labelled: int, items: int = 30) -> tuple[list[int], ModelRecord]:
    """Label so many audit items as cats, and add a model that calls every item but one a cat."""
    ids = add_items(project, ["audit"] * items)
    give(project, ids[:labelled], [1] * labelled)
    said = probabilities([1] + [0] * (items - 1), 2)
    return ids, add_model(project, ids, said, 9)


@pytest.mark.parametrize(
    ("right", "n", "said"),
    [
        (0, 0, "not yet known: 0 of 20 audit labels"),
        (3, 3, "not yet known: 3 of 20 audit labels"),
        (10, 12, "between 55 % and 95 %, from 12 audit labels"),
        (19, 19, "between 83 % and 100 %, from 19 audit labels"),
        (17, 20, "85.0 % (64.0–94.8 %), 20 audit labels"),
    ],
)
def test_the_words(right: int, n: int, said: str) -> None:
    assert headline.summary(share(right, n)) == said
    assert headline.Headline(share(right, n)).value == (right / n if n >= 20 else None)


def test_few_audit_labels_give_no_single_number_anywhere(project: Project) -> None:
    _, model = audited(project, 12)
    said = "between 65 % and 99 %, from 12 audit labels"
    told = status(project)
    assert told["model"]["audit_accuracy"] is None
    assert told["model"]["audit_text"] == said
    assert told["model"]["audit_labels"] == 12
    assert told["rounds"][-1]["audit_accuracy"] is None
    quality = as_json(evaluate(project), 10)["quality"]
    assert (quality["accuracy"], quality["right"], quality["accuracy_text"]) == (None, 11, said)
    assert json.dumps(told)
    for command in ("status", "evaluate", "models"):
        output = run(command, project.root).output
        assert said in output
        assert "91.7" not in output.partition("\nclass ")[0], command
    assert f"- Accuracy {said}" in model_card.of(project, model)


def test_every_place_tells_the_same_number_after_labels_were_added(project: Project) -> None:
    items, model = audited(project, 20)
    give(project, items[20:], [2] * 10)  # ten that it gets wrong
    found = headline.headline(project, model)
    assert (found.measured.right, found.n) == (19, 30)
    assert found.then is not None
    assert (found.then.right, found.then.n) == (19, 20)
    assert "95.0 % (76.4–99.1 %), 20 audit labels of that time" in (headline.other(found) or "")
    value = pytest.approx(19 / 30)
    assert status(project)["model"]["audit_accuracy"] == value
    assert status(project)["rounds"][-1]["audit_accuracy"] == value
    quality = evaluate(project).quality
    assert quality is not None
    assert quality.accuracy == found.measured
    (point,) = evaluation_curve.learning_curve(project)
    assert point.accuracy == value
    assert point.audited == 30
    said = headline.summary(found.measured)
    assert all(said in run(command, project.root).output for command in ("status", "models"))
    assert f"- Accuracy {said}" in model_card.of(project, model)


def test_of_a_model_whose_files_are_gone_its_round_speaks(project: Project) -> None:
    _, model = audited(project, 20)
    shutil.rmtree(project.file(model.path))
    found = headline.headline(project, model)
    assert found.gone
    assert (found.measured.right, found.n, found.then) == (19, 20, None)
    assert "cannot be measured" in (headline.other(found) or "")
    deleted = headline.headline(project, replace(model, deleted_at=1.0))
    assert (deleted.gone, deleted.measured) == (True, found.measured)


def test_a_model_that_was_never_measured_is_not_known(project: Project) -> None:
    _, model = audited(project, 0)
    found = headline.headline(project, model)
    assert (found.n, found.value, found.interval, headline.other(found)) == (0, None, None, None)
    assert headline.in_its_round({"accuracy": None, "n": 0}).n == 0
    assert headline.of_result({"audit_accuracy": 0.5}).n == 0, "a job of before told no number"
