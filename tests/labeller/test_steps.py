"""Steps on pages: one click, one step, whatever it changed; back and forth again, whoever looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeller.errors import StepError, SynthesisError
from labeller.project import Project
from labeller.services import child_verdicts, labelling, steps, synthesis
from labeller.services.labelling import Act
from tests.cards import labels_of, queued_project
from tests.ui.synthetic import add_run, labelled_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return queued_project(tmp_path / "p", items=8)


def do(project: Project, *acts: Act, who: str = "anna", page: str = "images") -> None:
    answer = labelling.record(project, who, "tab", "page", steps.keyed(page, acts))
    assert all(one["status"] != "refused" for one in answer["results"])


def labels(*items: int, name: str = "cat") -> list[Act]:
    return [Act("", "label", item, name) for item in items]


def undo(project: Project, who: str = "anna") -> None:
    step = steps.latest(project, "images", who).undo
    assert step is not None
    steps.undo(project, step, who, "tab")


def redo(project: Project, who: str = "anna") -> list[str]:
    step = steps.latest(project, "images", who).redo
    assert step is not None
    return [one.status for one in steps.redo(project, step, who, "tab")]


def test_steps_go_back_to_the_start_and_forth_again(project: Project) -> None:
    do(project, *labels(1, 2, 3))
    do(project, *labels(2, 3, name="dog"))
    do(project, Act("", "flag", 4, reason="dark"))
    states = [labels_of(project)]
    for _ in range(3):
        undo(project)
        states.append(labels_of(project))
    assert states[-1] == {}
    assert steps.latest(project, "images", "anna").undo is None
    for wanted in states[-2::-1]:
        redo(project)
        assert labels_of(project) == wanted
    assert steps.latest(project, "images", "anna").redo is None
    with project.store.read() as unit:
        assert unit.items.count().flagged == 1
    undo(project)  # of what was done again, and so on
    undo(project)
    assert labels_of(project) == dict.fromkeys(["0000.jpg", "0001.jpg", "0002.jpg"], "cat")
    redo(project)
    assert labels_of(project)["0001.jpg"] == "dog"


def test_something_new_leaves_nothing_to_do_again(project: Project) -> None:
    do(project, *labels(1))
    undo(project)
    do(project, *labels(2))
    assert steps.latest(project, "images", "anna").redo is None


def test_steps_of_others_and_of_other_pages_are_not_offered(project: Project) -> None:
    do(project, *labels(1), who="ben")
    do(project, *labels(2), page="unfamiliar")
    assert steps.latest(project, "images", "anna") == steps.Latest(None, None)
    assert steps.latest(project, "unfamiliar", "anna").undo is not None


def test_a_redo_leaves_what_others_decided_since(project: Project) -> None:
    do(project, *labels(1, 2, 3))
    undo(project)
    labelling.record(project, "ben", "elsewhere", "page", [Act("b", "label", 2, "ship")])
    assert redo(project) == ["accepted", "refused", "accepted"]
    assert labels_of(project) == {"0000.jpg": "cat", "0001.jpg": "ship", "0002.jpg": "cat"}
    undo(project)
    assert labels_of(project) == {"0001.jpg": "ship"}
    labelling.record(project, "ben", "elsewhere", "page", labels_keyed("c", 1, 3))
    step = steps.latest(project, "images", "anna").redo
    assert step is not None
    with pytest.raises(StepError, match="ben has labelled it since"):
        steps.redo(project, step, "anna", "tab")


def labels_keyed(prefix: str, *items: int) -> list[Act]:
    return [Act(f"{prefix}{item}", "label", item, "ship") for item in items]


def test_verdicts_on_synthetic_items_are_steps_too(tmp_path: Path) -> None:
    pets = labelled_project(tmp_path)
    run = add_run(pets, 4)
    ids = [one.id for one in synthesis.children(pets, run)]

    def said() -> list[tuple[str | None, str | None]]:
        return [(one.verdict, one.verdict_by) for one in synthesis.children(pets, run)]

    child_verdicts.judge(pets, ids[:1], "keep", "ben")
    child_verdicts.judge(pets, ids[:3], "drop", "anna")
    assert said() == [("drop", "anna")] * 3 + [(None, None)]
    assert child_verdicts.undo(pets, "anna") == 0
    assert said() == [("keep", "ben"), (None, None), (None, None), (None, None)]
    synthesis.judge(pets, ids[1:2], "keep", "ben")
    assert child_verdicts.redo(pets, "anna") == 1, "what ben said since stays"
    assert said() == [("drop", "anna"), ("keep", "ben"), ("drop", "anna"), (None, None)]
    child_verdicts.judge(pets, ids[3:], "keep", "anna")
    synthesis.judge(pets, ids[3:], "drop", "ben")
    with pytest.raises(SynthesisError, match="judged these items anew"):
        child_verdicts.undo(pets, "anna")
    assert child_verdicts.judge_own(pets, ids, None, "anna") == (2, [ids[1], ids[3]])
