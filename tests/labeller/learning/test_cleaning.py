"""The review of labels: what the job finds, what becomes of decisions, and how they are undone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labeller.errors import CleaningError
from labeller.learning import cleaning_job, heads
from labeller.learning.cleaning_job import run_cleaning_job
from labeller.progress import Silent
from labeller.project import Project
from labeller.services import budget, cleaning
from labeller.services.cleaning import Suspect
from store.records import LabelRecord, NewEvent
from tests.labeller.learning.shapes import label, shapes

WRONG = (1, 11)  # items of class 0 and 1 that are labelled as class 2


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Any]]:
    made = shapes(tmp_path_factory.mktemp("cleaning") / "p", 60)
    label(made, range(1, 61), [2 if i in WRONG else (i - 1) % 3 for i in range(1, 61)])
    result = run(made)
    return made, result


def suspect(project: Project, item: int) -> Suspect:
    found = cleaning.review(project)
    assert found is not None
    (one,) = (one for one in found.suspects if one.item.id == item)
    return one


def current(project: Project, item: int) -> LabelRecord | None:
    with project.store.read() as unit:
        return unit.labels.current(item)


def test_the_planted_errors_are_found(searched: tuple[Project, dict[str, Any]]) -> None:
    project, result = searched
    found = cleaning.review(project)
    assert found is not None
    blamed = [one for one in found.suspects if one.twin not in WRONG]
    assert {one.item.id for one in blamed[: len(WRONG)]} == set(WRONG)
    beside = [one for one in found.suspects if one.twin in WRONG]
    assert all(cleaning.TWIN in one.kinds for one in beside), "right, beside a wrong one"
    with project.store.read() as unit:
        bars, disc, noise = (one.id for one in unit.classes.all())
        audit = {item.id for item in unit.items.page(split="audit")}
    first = suspect(project, WRONG[0])
    assert (first.label, first.suggested, first.decision) == (noise, bars, None)
    assert suspect(project, WRONG[1]).suggested == disc
    assert cleaning.LABEL_ERROR in first.kinds
    assert first.confidence is not None
    assert first.confidence > 0.5
    assert first.loss is not None
    assert first.loss > 0.69
    assert not audit & {one.item.id for one in found.suspects}, "the audit set stays sealed"
    assert (result["checked"], result["unjudged"]) == (60 - len(audit), 0)
    assert found.outdated == 0


@pytest.mark.parametrize(
    ("decision", "state"), [("relabel", "labelled"), ("flag", "flagged"), ("put_aside", "skipped")]
)
@pytest.mark.parametrize("reviewer", ["anna", "bob"])
def test_decisions_are_events_and_can_be_undone(
    searched: tuple[Project, dict[str, Any]],
    decision: cleaning.Decision,
    state: str,
    reviewer: str,
) -> None:
    project, _ = searched
    one = suspect(project, WRONG[0])
    before, spent = current(project, WRONG[0]), budget.meter(project).spent
    keys = cleaning.decide(project, one, decision, reviewer, "tab")
    with project.store.read() as unit:
        item = unit.items.get(WRONG[0])
    assert item is not None
    assert item.state == state
    now = current(project, WRONG[0])
    assert (None if now is None else now.class_id) == (
        one.suggested if decision == "relabel" else None
    )
    decided = suspect(project, WRONG[0])
    assert (decided.decision, decided.by) == (decision.replace("_", " "), reviewer)
    assert decided.keys == keys
    with pytest.raises(CleaningError, match="Only the annotator who did it"):
        cleaning.undo(project, keys, "carol")
    cleaning.undo(project, keys, reviewer)
    assert current(project, WRONG[0]) == before
    assert suspect(project, WRONG[0]).decision is None
    assert budget.meter(project).spent == spent


def test_keeping_is_an_opinion(searched: tuple[Project, dict[str, Any]]) -> None:
    project, _ = searched
    one = suspect(project, WRONG[1])
    before = current(project, WRONG[1])
    keys = cleaning.decide(project, one, "keep", "bob")
    assert current(project, WRONG[1]) == before
    assert suspect(project, WRONG[1]).decision == "keep"
    cleaning.undo(project, keys, "bob")
    assert suspect(project, WRONG[1]).decision is None


def test_what_was_mended_elsewhere_is_no_suspect(
    searched: tuple[Project, dict[str, Any]],
) -> None:
    project, _ = searched
    with project.store.write() as unit:
        unit.labels.record("anna", "s", "page", [NewEvent("c", "clear", WRONG[0])], 1.0)
    found = cleaning.review(project)
    assert found is not None
    assert WRONG[0] not in {one.item.id for one in found.suspects}
    with project.store.write() as unit:
        unit.labels.record("anna", "s", "page", [NewEvent("u", "undo", undoes="c")], 1.0)
    assert suspect(project, WRONG[0]).decision is None


def test_all_of_a_decision_or_nothing(searched: tuple[Project, dict[str, Any]]) -> None:
    project, _ = searched
    one = suspect(project, WRONG[0])
    before = current(project, WRONG[0])
    with pytest.raises(CleaningError, match="no class 999"):
        cleaning.decide(project, one, "relabel", "bob", class_id=999)
    assert current(project, WRONG[0]) == before


def run(project: Project) -> dict[str, Any]:
    """Search a project in this process and enter the result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=4, steps=60))
        with project.store.write() as unit:
            unit.jobs.add(cleaning.KIND, {}, exclusive=True)
            job = unit.jobs.claim("here", 1)
        assert job is not None
        result = run_cleaning_job(project, job, Silent())
    with project.store.write() as unit:
        assert unit.jobs.finish(job.id, "done", result)
    return result


def test_a_class_that_a_fold_did_not_learn_spoils_nothing(tmp_path: Path) -> None:
    """One label of class 2, which the model that judges it cannot know: T was 20, all suspect."""
    project = shapes(tmp_path / "p", 60, splits=("train",), seed=2**32 + 1)
    label(project, [i for i in range(1, 61) if (i - 1) % 3 != 2 or i == 3])
    result = run(project)
    assert (result["checked"], result["unjudged"]) == (41, 1)
    assert (result["suspects"], result["label_errors"]) == ([], 0)
    found = cleaning.review(project)
    assert found is not None
    assert found.unjudged == 1


def test_a_fold_left_out_makes_no_suspects(tmp_path: Path) -> None:
    """All of class 0 is one group: without it there is nothing to learn, and it was all suspect."""
    project = shapes(tmp_path / "p", 60, splits=("train",))
    items = [i for i in range(1, 61) if (i - 1) % 3 != 2]
    label(project, items)
    with pytest.MonkeyPatch.context() as patch:
        groups = ["video" if (i - 1) % 3 == 0 else f"g{i}" for i in items]
        patch.setattr(cleaning_job, "group_names", lambda *_: groups)
        result = run(project)
    assert result["suspects"] == []
    assert 20 <= result["unjudged"] < 40
    assert result["checked"] == 40


def test_too_few_labels(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = shapes(tmp_path_factory.mktemp("few") / "p", 12)
    label(project, range(1, 13))
    with project.store.write() as unit:
        job = unit.jobs.add(cleaning.KIND, {}, exclusive=True)
    with pytest.raises(CleaningError, match="Only 9 labels so far; label 20"):
        run_cleaning_job(project, job, Silent())
    assert cleaning.review(project) is None
