"""The leak guard on the evaluation page and at the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from labeller.cli import cli
from labeller.project import Project, change_settings
from labeller.services import leak_guard
from labeller.services.leak_guard import Checked, Guarded
from labeller.ui import leaks
from store.records_leaks import LinkRecord, RegroupingRecord
from tests.audits import give

Run = Callable[..., AppTest]
NOTHING = Guarded({}, 0, (), 0, None)
RUN = RegroupingRecord(1, 0.0, None, 0.25, 3, 2, 1, 0, 0)


def joined(project: Project) -> RegroupingRecord:
    """Bring the audit's first image and two others together: one of these is labelled."""
    with project.store.write() as unit:
        unit.queue.replace([])
        ids = unit.items.ids().tolist()
        splits = {i: item.split for i, item in unit.items.many(ids).items()}
        cat = unit.classes.all()[0].id
    oldest = next(i for i in ids if splits[i] != "train" or i == ids[0])
    others = [i for i in ids if i > oldest and splits[i] != splits[oldest]][:2]
    give(project, others[:1], [cat])
    links = [LinkRecord(i, oldest, "hash", 7.0) for i in others]
    run = leak_guard.regroup(project, links)
    assert run is not None
    return run


def text_of(app: AppTest) -> str:
    assert not app.exception
    return plain(" ".join(one.value for one in (*app.main.markdown, *app.main.caption)))


def plain(text: str) -> str:
    """Take away what keeps Markdown from reading a text's own signs."""
    return text.replace("\\", "")


def test_the_words() -> None:
    assert "is off" in leaks.summary(NOTHING, 0.0)
    assert "compared when they are imported" in leaks.summary(NOTHING, 0.25)
    compared = replace(NOTHING, checked=Checked(9, 0.25))
    assert leaks.summary(compared, 0.25) == (
        "No near-duplicates share a group (embeddings closer than 0.25)."
    )
    found = Guarded({"hash": 4, "embedding": 1}, 0, (RUN,), 1, Checked(9, 0.25))
    assert leaks.summary(found, 0.25) == (
        "5 near-duplicates found that share the split of their twin: 4 look the same, "
        "mirrored, cropped or turned a little, 1 have embeddings closer than 0.25. 1 image near "
        "the audit set is in no split: to train on it would flatter the model."
    )
    assert "1 pair of near-duplicates lie in two splits" in leaks.warning(1)
    assert leaks.title(RUN).endswith("import · 3 joined, 2 moved, 1 unused")
    later = replace(RUN, undone=3, job_id=5)
    assert leaks.title(later).endswith("round · 3 joined, 2 moved, 1 unused, 3 taken back")
    assert leak_guard.told(None) == ""
    assert leak_guard.told(replace(RUN, moved=0, unused=0)) == ""
    assert leak_guard.told(replace(RUN, moved=1, apart=2)) == (
        "Leak guard: 1 near-duplicate moved to the split of its twin. 1 near-duplicate of audit "
        "images is in no split any more. 2 pairs of near-duplicates stayed apart: together their "
        "groups would be too large, or hold what was taken apart. See the Evaluation page."
    )


@pytest.fixture
def page(open_app: Run, project: Project) -> Callable[[], AppTest]:
    """Open the evaluation page of a project with a model that nobody trained."""
    from tests.audits import add_model, probabilities

    with project.store.read() as unit:
        ids = unit.items.ids().tolist()
    add_model(project, ids, probabilities([0] * len(ids), 2), 4)
    return lambda: open_app(project, "evaluation")


def test_nothing_to_regroup(page: Callable[[], AppTest], project: Project) -> None:
    assert "Images are compared when they are imported" in text_of(page())
    change_settings(project, leak_distance=0.0)
    assert "The leak guard is off" in text_of(page())


def test_a_regrouping_is_shown_and_taken_back(
    page: Callable[[], AppTest], project: Project
) -> None:
    run = joined(project)
    app = page()
    assert "2 near-duplicates found that share the split" in text_of(app)
    bodies = [str(getattr(one, "body", "")) for one in app.main.get("html")]
    twins = [body for body in bodies if "lb-twins" in body]
    assert len(twins) == 2
    assert all(one.count("<img") == 2 for one in twins)
    assert "looks the same: 7 of 256 bits differ" in twins[0]
    app.button(key=f"leaks_undo_now_{run.id}").click().run()
    assert text_of(app).count("Taken back") == 2
    assert leak_guard.overview(project).runs[0].undone == 2
    assert "lie in two splits" in plain(" ".join(one.value for one in app.main.warning))
    app.button(key=f"leaks_redo_now_{run.id}").click().run()
    assert not app.exception
    again, first = leak_guard.overview(project).runs
    assert (again.joined, again.undone, first.undone) == (2, 0, 2)
    assert leak_guard.overview(project).apart == 0
    assert f"{run.id} done again" in app.selectbox(key="leaks_run_2").options[0]
    app.button(key=f"leaks_undo_now_{again.id}").click().run()
    assert leak_guard.overview(project).apart == 2, "the new one can be taken back as well"


def test_one_group_is_taken_apart_and_the_others_stay(
    page: Callable[[], AppTest], project: Project
) -> None:
    with project.store.read() as unit:
        ids = unit.items.ids().tolist()
    links = [LinkRecord(ids[1], ids[0], "hash", 7.0), LinkRecord(ids[3], ids[2], "mirror", 2.0)]
    run = leak_guard.regroup(project, links)
    assert run is not None
    app = page()
    app.button(key=f"leaks_part_{run.id}_{ids[3]}").click().run()
    assert text_of(app).count("Taken back") == 1
    assert leak_guard.overview(project).runs[0].undone == 1
    assert app.button(key=f"leaks_part_{run.id}_{ids[1]}")
    app.button(key=f"leaks_join_{run.id}_{ids[3]}").click().run()
    assert not app.exception
    new = leak_guard.overview(project).runs[0]
    assert (new.id > run.id, new.joined, new.undone) == (True, 1, 0)
    with project.store.read() as unit:
        kept = unit.items.many([ids[2], ids[3]])
    assert kept[ids[2]].group == kept[ids[3]].group


def test_somebody_else_was_quicker(page: Callable[[], AppTest], project: Project) -> None:
    run = joined(project)
    app = page()
    leak_guard.undo(project, run.id)
    app.button(key=f"leaks_undo_now_{run.id}").click().run()
    assert [plain(error.value) for error in app.main.error] == [
        f"Regrouping {run.id} was taken back already."
    ]


def test_what_a_newer_regrouping_holds_waits_for_that(
    page: Callable[[], AppTest], project: Project
) -> None:
    with project.store.read() as unit:
        ids = unit.items.ids().tolist()
    first = leak_guard.regroup(project, [LinkRecord(ids[2], ids[1], "hash", 7.0)])
    second = leak_guard.regroup(project, [LinkRecord(ids[1], ids[0], "hash", 7.0)])
    assert first is not None
    assert second is not None
    said = (
        f"Regrouping {first.id} cannot be taken back: regrouping {second.id} has put its images "
        f"elsewhere since. Take regrouping {second.id} back first."
    )
    app = page()
    app.selectbox(key="leaks_run_2").select(first.id).run()
    app.button(key=f"leaks_undo_now_{first.id}").click().run()
    assert [plain(error.value) for error in app.main.error] == [said]
    refused = CliRunner().invoke(cli, ["leaks", str(project.root), "--undo", str(first.id)])
    assert (refused.exit_code, refused.stderr) == (1, f"Error: {said}\n")
    assert [run.undone for run in leak_guard.overview(project).runs] == [0, 0]


def test_the_command(project: Project) -> None:
    def said(*words: str) -> str:
        result = CliRunner().invoke(cli, ["leaks", str(project.root), *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "Nothing had to be regrouped so far." in said()
    run = joined(project)
    shown = json.loads(said("--show", str(run.id), "--json"))
    assert [one["method"] for one in shown["changes"]] == ["hash", "hash"]
    assert shown["regroupings"][0]["joined"] == 2
    assert "looks like" in said("--show", str(run.id))
    assert "changed nothing" in said("--show", "99")
    assert "taken back" in said("--undo", str(run.id))
    said("--redo", str(run.id))
    redone = leak_guard.overview(project).runs[0]
    assert (redone.id, redone.joined) == (run.id + 1, 2)
    none = CliRunner().invoke(cli, ["leaks", str(project.root), "--redo", str(run.id)])
    assert (none.exit_code, "can be done again" in none.stderr) == (1, True)
    again = CliRunner().invoke(cli, ["leaks", str(project.root), "--undo", str(run.id)])
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: Regrouping {run.id} was taken back already.\n",
    )
    both = CliRunner().invoke(cli, ["leaks", str(project.root), "--undo", "1", "--show", "1"])
    assert both.exit_code == 2
