"""What becomes of the finds of a search: decisions, earlier ones, and twins that agree by now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from labeller.errors import CleaningError
from labeller.project import Project, create_project
from labeller.services import classes as edited
from labeller.services import cleaning
from labeller.services.cleaning import Review
from labeller.services.evaluation_report import evaluate
from store.records import NewEvent
from tests.audits import add_items, give


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Six labelled training images: all cat, the third by ben."""
    made = create_project(tmp_path / "p", ["cat", "dog"], 100.0, start_workers=False)
    items = add_items(made, ["train"] * 6)
    cat, _ = classes(made)
    give(made, items, [cat] * 6)
    return made


def classes(project: Project) -> tuple[int, int]:
    with project.store.read() as unit:
        cat, dog, *_ = (one.id for one in unit.classes.all())
    return cat, dog


def search(project: Project, *finds: dict[str, Any]) -> Review:
    """Enter a finished search."""
    cat, dog = classes(project)
    base = {"label": cat, "suggested": dog, "confidence": 0.9, "loss": 2.3, "twin": None}
    with project.store.write() as unit:
        unit.jobs.add(cleaning.KIND, {}, exclusive=True)
        job = unit.jobs.claim("here", 1)
        assert job is not None
        found = [{**base, "kinds": [cleaning.LABEL_ERROR], **find} for find in finds]
        result = {"suspects": found, "checked": 6, "label_errors": len(found), "at": time.time()}
        assert unit.jobs.finish(job.id, "done", result)
    return seen(project)


def seen(project: Project) -> Review:
    found = cleaning.review(project)
    assert found is not None
    return found


def items_of(found: Review) -> list[int]:
    return [one.item.id for one in found.suspects]


def test_what_was_kept_is_not_asked_about_again(project: Project) -> None:
    cat, dog = classes(project)
    first = search(project, {"item": 1}, {"item": 2}, {"item": 3})
    for one, decision in zip(first.suspects, ("keep", "keep", "flag"), strict=True):
        cleaning.decide(project, one, decision, "ben")  # type: ignore[arg-type]
    cleaning.undo(project, seen(project).suspects[1].keys, "ben")
    again = search(project, {"item": 1}, {"item": 2})
    assert items_of(again) == [2]
    assert again.confirmed == 1
    with project.store.write() as unit:  # the label that was kept gives way to another
        unit.labels.record("anna", "s", "page", [NewEvent("d", "label", 1, dog)], 1.0)
    third = search(project, {"item": 1, "label": dog, "suggested": cat})
    assert (items_of(third), third.confirmed) == ([1], 0)


def test_decisions_are_listed_by_who_and_when_and_are_no_new_labels(project: Project) -> None:
    found = search(project, {"item": 1}, {"item": 2}, {"item": 3}, {"item": 4})
    cleaning.decide(project, found.suspects[2], "relabel", "ben")
    cleaning.decide(project, found.suspects[0], "keep", "ben")
    cleaning.decide(project, found.suspects[1], "keep", "anna")
    now = seen(project)
    assert [one.item.id for one in now.decided_by("ben")] == [3, 1]
    assert [one.item.id for one in now.decided_by("anna")] == [2]
    assert [one.item.id for one in now.open] == [4]
    assert now.outdated == 0
    give(project, [5], [classes(project)[1]])
    assert seen(project).outdated == 1


def test_two_reviewers_do_not_overwrite_each_other(project: Project) -> None:
    found = search(project, {"item": 1}, {"item": 2}, {"item": 3})
    cleaning.decide(project, found.suspects[1], "flag", "ben")
    cleaning.decide(project, found.suspects[0], "relabel", "anna")
    for decision in ("keep", "put_aside"):
        with pytest.raises(CleaningError, match="Image 1 was changed meanwhile by anna"):
            cleaning.decide(project, found.suspects[0], decision, "ben")
    with project.store.read() as unit:
        label = unit.labels.current(1)
        assert label is not None
        assert (label.class_name, label.annotator) == ("dog", "anna")
        assert len(unit.labels.history(1)) == 3, "nothing was recorded"
    now = seen(project)
    (mine,) = now.decided_by("ben")
    cleaning.undo(project, mine.keys, "ben")
    assert [one.item.id for one in seen(project).decided_by("anna")] == [1]


def test_what_was_labelled_elsewhere_meanwhile_is_not_decided_on(project: Project) -> None:
    _, dog = classes(project)
    give(project, [3], [dog])
    alike = {"item": 2, "kinds": [cleaning.TWIN], "twin": 3}
    found = search(project, {"item": 1}, alike, {"item": 4})
    give(project, [1], [dog])
    cleaning.decide(project, found.suspects[2], "keep", "ben")
    with pytest.raises(CleaningError, match="Image 1 was changed meanwhile, so"):
        cleaning.decide(project, found.suspects[0], "flag", "ben")
    with project.store.write() as unit:  # the two agree by now
        unit.labels.record("anna", "s", "page", [NewEvent("c", "clear", 3)], 1.0)
    with pytest.raises(CleaningError, match="Image 2 was changed"):
        cleaning.decide(project, found.suspects[1], "keep", "ben")


def test_undo_takes_back_the_last_decision_alone(project: Project) -> None:
    """As two tabs could leave it before: ben's word upon anna's."""
    (one,) = search(project, {"item": 1}).suspects
    first = cleaning.decide(project, one, "relabel", "anna")
    kept = NewEvent("late", "label", 1, classes(project)[0], reason=cleaning.KEPT)
    with project.store.write() as unit:
        unit.labels.record("ben", "s", "page", [kept], 1.0)
    (now,) = seen(project).decided_by("ben")
    assert now.keys == ("late",)
    cleaning.undo(project, now.keys, "ben")
    (now,) = seen(project).decided_by("anna")
    assert now.keys == first
    cleaning.undo(project, now.keys, "anna")
    assert seen(project).suspects[0].decision is None


def test_twins_that_are_labelled_alike_by_now_are_no_suspects(project: Project) -> None:
    cat, dog = classes(project)
    give(project, [2], [dog])
    both = [cleaning.LOSS, cleaning.TWIN]
    found = search(
        project,
        {"item": 1, "kinds": [cleaning.TWIN], "twin": 2},
        {"item": 2, "kinds": [cleaning.TWIN], "twin": 1, "label": dog, "suggested": cat},
        {"item": 3, "kinds": both, "twin": 2},
    )
    assert items_of(found) == [1, 2, 3]
    cleaning.decide(project, found.suspects[1], "relabel", "ben")
    now = seen(project)
    assert items_of(now) == [2, 3]
    assert (now.suspects[1].kinds, now.suspects[1].twin) == ((cleaning.LOSS,), None)
    cleaning.undo(project, now.suspects[0].keys, "ben")
    assert items_of(seen(project)) == [1, 2, 3]
    assert seen(project).suspects[2].twin == 2


def test_what_the_models_suggested_may_be_the_same_class_by_now(project: Project) -> None:
    cat, dog = classes(project)
    (owl,) = edited.add(project, ["owl"])
    give(project, [3], [owl.id])
    found = search(
        project,
        {"item": 1, "kinds": [cleaning.LABEL_ERROR, cleaning.LOSS]},
        {"item": 2, "kinds": [cleaning.LOSS, cleaning.TWIN], "twin": 3},
        {"item": 4, "suggested": owl.id},
    )
    assert items_of(found) == [1, 2, 4]
    edited.merge(project, cat, dog)
    now = seen(project)
    assert items_of(now) == [2, 4]
    assert (now.suspects[0].kinds, now.suspects[0].label) == ((cleaning.TWIN,), dog)
    edited.undo_last_change(project)
    assert items_of(seen(project)) == [1, 2, 4]


def test_keeping_a_label_is_no_agreement_between_annotators(project: Project) -> None:
    cat, dog = classes(project)
    give(project, [4, 5], [cat, dog], annotator="ben")
    told = evaluate(project).agreement
    assert told is not None
    assert (told.items, told.share) == (2, 0.5)
    found = search(project, {"item": 1}, {"item": 2}, {"item": 5})
    for one in found.suspects:
        cleaning.decide(project, one, "keep", "carl")
    told = evaluate(project).agreement
    assert told is not None
    assert (told.items, told.share) == (2, 0.5), "who keeps a label has seen it"
    assert [(pair.first, pair.second) for pair in told.pairs] == [("anna", "ben")]
