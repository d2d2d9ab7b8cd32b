"""Labelled items that are put to a second annotator: blind, and beside the label that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeller.project import Project
from labeller.services import labelling
from labeller.services.evaluation_report import evaluate
from labeller.services.labelling import Act
from tests.cards import queued_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Twelve images in the queue, of which anna has labelled the first eight."""
    made = queued_project(tmp_path / "p", items=12, suggest=True, budget=20, second_opinions=1.0)
    items = labelling.claim(made, "anna", "one", 8)["items"]
    give(made, "anna", [item["item"] for item in items], "cat")
    return made


def give(project: Project, annotator: str, items: list[int], name: str) -> list[str]:
    acts = [Act(f"{annotator}-{item}", "label", item, name) for item in items]
    results = labelling.record(project, annotator, annotator, "page", acts)["results"]
    return [one["status"] for one in results]


def test_one_at_a_time_comes_with_the_queue_blind(project: Project) -> None:
    items = labelling.claim(project, "ben", "two", 3)["items"]
    assert [item["again"] for item in items] == [False, False, True]
    asked = items[2]
    assert (asked["blind"], asked["suggestion"], asked["strategy"]) == (True, None, None)
    assert labelling.claim(project, "ben", "two", 3)["items"] == items, "until it is answered"
    one = labelling.claim(project, "ben", "three", 1)["items"]
    assert [item["again"] for item in one] == [False], "the queue comes first"
    own = labelling.claim(project, "anna", "one", 3)["items"]
    assert [item["again"] for item in own] == [False]


def test_the_first_label_stays_and_the_agreement_is_known(project: Project) -> None:
    (asked,) = [i for i in labelling.claim(project, "ben", "two", 2)["items"] if i["again"]]
    spent = labelling.claim(project, "ben", "two", 2)["budget"]["spent"]
    assert give(project, "ben", [asked["item"]], "dog") == ["second_opinion"]
    with project.store.read() as unit:
        label = unit.labels.current(asked["item"])
        assert label is not None
        assert (label.class_name, label.annotator) == ("cat", "anna")
        assert unit.budget.get().spent == spent, "it costs nothing"
    told = evaluate(project).agreement
    assert told is not None
    assert (told.items, told.share) == (1, 0.0)
    (following,) = [i for i in labelling.claim(project, "ben", "two", 2)["items"] if i["again"]]
    assert following["item"] != asked["item"]


def test_they_go_on_when_the_queue_is_through_but_not_without_a_budget(project: Project) -> None:
    rest = [item["item"] for item in labelling.claim(project, "anna", "one", 12)["items"]]
    give(project, "anna", rest, "dog")
    answer = labelling.claim(project, "ben", "two", 20)
    assert [item["again"] for item in answer["items"]] == [True] * 12
    assert answer["empty"] is None
    assert labelling.claim(project, "anna", "one", 20)["empty"]["reason"] == "all_labelled"
    with project.store.write() as unit:
        unit.budget.set_total(unit.budget.get().spent)
        free = unit.items.ids(state="unlabelled")
    assert not len(free)
    assert labelling.claim(project, "ben", "two", 20)["empty"]["reason"] == "budget"


def test_nobody_is_asked_again_unless_it_is_set(tmp_path: Path) -> None:
    project = queued_project(tmp_path / "p", items=4)
    items = labelling.claim(project, "anna", "one", 4)["items"]
    give(project, "anna", [item["item"] for item in items], "cat")
    assert labelling.claim(project, "ben", "two", 4)["items"] == []
