"""The side bar of every page: budget, model, rounds, the job that runs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project, change_settings
from labeller.services import budget, classes, labelling, recent, rounds
from labeller.services.labelling import Act
from labeller.ui import session, view
from labeller.ui.text import escape_markdown
from store.alive import host
from store.records import JobRecord, NewModel, NewQueueEntry

Run = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    """Return the side bar's own HTML and captions as one text."""
    assert not app.exception
    side = app.sidebar
    parts = [element.value for element in (*side.get("html"), *side.caption, *side.error)]
    return " ".join(parts)


def start_job(project: Project, kind: str = "round") -> JobRecord:
    """Enter a job as if this process did it, so that nobody takes it for dead."""
    with project.store.write() as unit:
        job = unit.jobs.add(kind, {"sources": ["/data/photos"]}, True)
    with project.store.write() as unit:
        claimed = unit.jobs.claim(host(), os.getpid(), job_id=job.id)
    assert claimed
    return claimed


def finish(project: Project, job: JobRecord, state: Any, **values: Any) -> None:
    with project.store.write() as unit:
        assert unit.jobs.finish(job.id, state, **values)


def add_model(project: Project, **metrics: Any) -> None:
    with project.store.write() as unit:
        record = unit.rounds.start("margin", 6, None, 4, 4.0)
        ids = tuple(c.id for c in unit.classes.all())
        model = NewModel("models/x", "h", 4, 0, "b", "cpu", ids, {}, metrics, {}, {})
        made = unit.models.add(model, record.id)
        unit.rounds.finish(record.id, "done", model_id=made.id, queued=0)


@pytest.mark.parametrize(
    "page", [None, "images", "rounds", "stream", "replay", "classes", "export", "settings"]
)
def test_it_stands_on_every_page(open_app: Run, project: Project, page: str | None) -> None:
    app = open_app(project, page)
    assert "100 left" in texts(app)
    assert app.sidebar.button(key="retrain").label == "Retrain round"
    assert app.sidebar.text_input(key="annotator_field").value == "anna"


def test_budget_model_and_how_far_behind(open_app: Run, project: Project) -> None:
    add_model(project, accuracy=0.75, interval=[0.5, 0.9], n=24)
    acts = [Act(f"k{n}", "label", n, "cat") for n in (1, 2)]
    labelling.record(project, "anna", "s", "page", acts)
    shown = texts(open_app(project, "export"))
    assert "98 left" in shown
    assert "2 of 100 spent" in shown
    assert "75.0" in shown
    assert "50.0–90.0" in shown
    assert "24 audit labels" in shown
    assert "2 labels behind" in shown


def test_without_limit_and_without_model(open_app: Run, project: Project) -> None:
    budget.set_total(project, None)
    shown = texts(open_app(project, "export"))
    assert "No limit set" in shown
    assert "No model yet" in shown


def test_only_pool_strategies_are_offered_with_what_they_do(
    open_app: Run, project: Project
) -> None:
    app = open_app(project, "export")
    choice = app.sidebar.selectbox(key=f"strategy_{project.id}")
    assert {"Margin", "Random", "Entropy", "Least confidence"} <= set(choice.options)
    assert choice.value == "auto"
    choice.set_value("random").run()
    assert any("random" in caption.value.lower() for caption in app.sidebar.caption)


def test_the_project_s_mixture_is_offered_and_says_its_shares(
    open_app: Run, project: Project
) -> None:
    change_settings(project, strategy="mixture", mixture="margin=3+random=1")
    app = open_app(project, "export")
    choice = app.sidebar.selectbox(key=f"strategy_{project.id}")
    assert choice.value == "margin=3+random=1"
    assert "Mixture 3 : 1" in choice.options
    assert escape_markdown("Pick 75 % by margin and 25 % by random.") in texts(app)
    app.sidebar.button(key="retrain").click().run()
    with project.store.read() as unit:
        (job,) = unit.jobs.active()
    assert job.params["strategy"] == "margin=3+random=1"


def test_auto_says_what_it_does_now_and_when_that_changes(open_app: Run, project: Project) -> None:
    app = open_app(project, "export")
    app.sidebar.selectbox(key=f"strategy_{project.id}").set_value("auto").run()
    first = view.auto_line(rounds.auto_choice(0, 2))
    assert escape_markdown(first) in texts(app)
    with project.store.read() as unit:
        trained = unit.items.ids(split="train").tolist()[:3]
    labelling.record(
        project, "anna", "s", "page", [Act(f"a{n}", "label", n, "cat") for n in trained[:2]]
    )
    lacking = "auto: now max_herding (no model yet, 2 labels, margin from 200)"
    assert escape_markdown(lacking) in texts(app.run()), "all of one class: no model can be"
    app.sidebar.selectbox(key=f"strategy_{project.id}").set_value("entropy").run()
    assert escape_markdown("images that cover the pool (max_herding)") in texts(app)
    app.sidebar.selectbox(key=f"strategy_{project.id}").set_value("auto").run()
    labelling.record(project, "anna", "s", "page", [Act("b", "label", trained[2], "dog")])
    second = view.auto_line(rounds.auto_choice(3, 2))
    assert second != first
    assert second == "auto: now uncertainty_herding (3 labels, margin from 200)"
    assert escape_markdown(second) in texts(app.run())


def test_it_says_what_made_the_queue_that_is_there(open_app: Run, project: Project) -> None:
    with project.store.read() as unit:
        entries, record = unit.queue.entries(), unit.rounds.latest()
    assert record is not None
    sealed = sum(entry.strategy == "audit" for entry in entries)
    assert record.strategy == "random"
    assert record.queued == len(entries) == project.settings.batch
    app = open_app(project, "export")
    audit = f", {sealed} for the audit set" if sealed else ""
    made = f"First queue: {len(entries)} images, {len(entries) - sealed} at random{audit}"
    assert made in texts(app)
    first = entries[0].item_id
    labelling.record(project, "anna", "s", "page", [Act("a", "label", first, "cat")])
    shown = texts(app.run())
    assert made in shown, "what it was made of stays said"
    assert f"{len(entries) - 1} left" in shown
    with project.store.write() as unit:
        started = unit.rounds.start("auto", 3, None, 1, 1.0)
        free = [int(i) for i in unit.items.ids(state="unlabelled")][:3]
        picks = [
            NewQueueEntry(i, name, 0.5)
            for i, name in zip(free, ("margin", "margin", "random"), strict=True)
        ]
        unit.queue.replace(picks, started.id)
        unit.rounds.finish(started.id, "done", queued=3)
    assert "Round 1: 3 images, 2 by margin, 1 at random" in texts(app.run())


def test_a_strategy_that_is_none_gives_way_to_one_that_is(open_app: Run, project: Project) -> None:
    change_settings(project, strategy="luck", mixture="margin=1")
    app = open_app(project, "export")
    choice = app.sidebar.selectbox(key=f"strategy_{project.id}")
    assert choice.value == choice.options[0].lower()


def test_retrain_enters_a_job_with_the_choice_and_is_then_off(
    open_app: Run, project: Project
) -> None:
    app = open_app(project, "export")
    app.sidebar.selectbox(key=f"strategy_{project.id}").set_value("random")
    app.sidebar.number_input(key=f"batch_{project.id}").set_value(4).run()
    app.sidebar.button(key="retrain").click().run()
    with project.store.read() as unit:
        (job,) = unit.jobs.active()
    assert (job.kind, dict(job.params)) == ("round", {"strategy": "random", "batch": 4})
    button = app.sidebar.button(key="retrain")
    assert button.disabled
    assert button.help == "A round is on already."
    app.sidebar.button(key=f"cancel_{job.id}").click().run()
    assert not app.exception
    with project.store.read() as unit:
        assert unit.jobs.get(job.id).state == "cancelled"


def test_retrain_is_off_while_there_is_nothing_to_do(
    open_app: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from labeller.project import create_project

    empty = create_project(tmp_path_factory.mktemp("x") / "empty", [])
    app = open_app(empty, "export")
    assert app.sidebar.button(key="retrain").disabled
    assert "Import images first." in texts(app)


def test_a_running_job_shows_stage_numbers_and_cancel(open_app: Run, project: Project) -> None:
    job = start_job(project)
    detail = {"epoch": 2, "epochs": 8, "loss": 0.5, "accuracy": 0.9, "losses": [1, 0.5], "eta": 9.0}
    with project.store.write() as unit:
        unit.jobs.beat(job.id, 0.4, "train", "", detail)
    app = open_app(project, "rounds")
    shown = texts(app)
    for part in ("Retraining", "40 %", "3/8 Training", "epoch 2/8", "loss 0.500", "≈ 9 s left"):
        assert part in shown
    app.sidebar.button(key=f"cancel_{job.id}").click().run()
    with project.store.read() as unit:
        assert unit.jobs.cancel_requested(job.id)
    assert "Cancelling" in texts(app)
    assert app.sidebar.button(key=f"cancel_{job.id}").disabled


def test_the_end_of_a_job_is_said_once(open_app: Run, project: Project) -> None:
    job = start_job(project)
    app = open_app(project, "export")
    finish(project, job, "done", result={"round": 1, "queued": 6, "audit_accuracy": 0.5})
    app.run()
    (toast,) = app.toast
    assert toast.value.replace("\\", "").startswith("Round 1 is done: 6 images in the new queue.")
    assert "Retraining" not in texts(app)
    assert not app.run().toast


def test_a_failure_stays_until_it_is_dismissed(open_app: Run, project: Project) -> None:
    job = start_job(project)
    finish(project, job, "failed", error="There is 1 class only: *add* another.")
    app = open_app(project, "export")
    (error,) = app.sidebar.error
    assert "**Retraining failed**" in error.value
    assert "\\*add\\*" in error.value
    again = open_app(project, "images")
    assert again.sidebar.error
    again.sidebar.button(key=f"dismiss_{job.id}").click().run()
    assert not again.sidebar.error
    assert not open_app(project, "export").sidebar.error


def test_a_job_whose_process_is_gone_is_marked_failed(open_app: Run, project: Project) -> None:
    with project.store.write() as unit:
        job = unit.jobs.add("round", {}, True)
    with project.store.write() as unit:
        unit.jobs.claim(host(), 2**22 + 1, job_id=job.id)
    app = open_app(project, "export")
    with project.store.read() as unit:
        assert unit.jobs.get(job.id).state == "failed"
    assert app.sidebar.error


def test_the_annotator_s_name_is_kept_for_the_tab(open_app: Run, project: Project) -> None:
    app = open_app(project, "export")
    app.sidebar.text_input(key="annotator_field").set_value("  Ben\t*B*  ").run()
    assert app.session_state["session_annotator"] == "Ben *B*"
    app.switch_page("pages/images.py").run()
    assert app.sidebar.text_input(key="annotator_field").value == "Ben *B*"
    app.sidebar.text_input(key="annotator_field").set_value(" ").run()
    assert app.sidebar.text_input(key="annotator_field").value == "Ben *B*"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("", ""),
        (" \u200b\n", ""),
        ("a\x00b", "a b"),
        ("x" * 99, "x" * 60),
        ("Zoe\u0308", "Zoë"),
        ("a___b", "a_b"),
    ],
)
def test_names_of_annotators_are_one_line(name: str, clean: str) -> None:
    assert session.clean_name(name) == clean


def test_projects_are_switched_in_the_side_bar(
    open_app: Run, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from labeller.project import create_project

    other = create_project(tmp_path_factory.mktemp("x") / "other", ["a"], name=":red[o]")
    recent.remember(other)
    app = open_app(project, "export")
    button = app.sidebar.button(key=f"switch_{other.id}_{other.root}")
    assert button.label.startswith("\\:")
    button.click().run()
    assert app.session_state["session_project"] == str(other.root)
    app.sidebar.button(key="switch_all").click().run()
    assert app.title[0].value == "Labeller"


def test_a_tab_keeps_its_project_by_its_address(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    recent.remember(project)
    app = open_app()
    assert app.title[0].value == "Labeller"
    fresh = AppTest.from_file(app._script_path, default_timeout=30)
    fresh.query_params["project"] = project.id
    fresh.run()
    assert fresh.session_state["session_project"] == str(project.root)
    unknown = AppTest.from_file(app._script_path, default_timeout=30)
    unknown.query_params["project"] = uuid.uuid4().hex
    unknown.run()
    assert unknown.title[0].value == "Labeller"


def test_nothing_new_since_the_last_round(open_app: Run, project: Project) -> None:
    add_model(project, accuracy=0.5, interval=[0.1, 0.9], n=4)
    classes.add(project, ["fox"])
    app = open_app(project, "export")
    # The queue is empty, so a round would still be of use.
    assert not app.sidebar.button(key="retrain").disabled
