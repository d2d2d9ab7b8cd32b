"""The stream page: set-up, dry run, the run that is on, its audit and what is decided about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from labeller import jobs
from labeller.project import Project
from labeller.services import budget, streams
from labeller.services.streams import StreamPlan
from labeller.ui import grid, live, stream_expected
from strategies import registry
from strategies.stream.quality.bounds import error_bound
from tests.ui.modelled import answer, copy_of, modelled, predict

Run = Callable[..., AppTest]
FIXED = StreamPlan(strategy="fixed_threshold", error=0.1, options={"threshold": 0.7})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return modelled(tmp_path_factory.mktemp("modelled"))


@pytest.fixture
def pets(made: Project, tmp_path: Path) -> Project:
    """60 images, a model, six images in the queue and a budget of 30."""
    return copy_of(made, tmp_path / "pets")


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """What each grid was last given."""
    drawn: dict[str, list[dict[str, Any]]] = {}

    def draw(key: str, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        drawn[key] = data["items"]
        return {}

    monkeypatch.setattr(grid, "_GRID", draw)
    return drawn


def ended(project: Project, plan: StreamPlan = FIXED) -> int:
    """Let a stream run to its end, and return its number."""
    run = streams.start(project, plan)
    done = jobs.run(project)
    assert done
    assert (done.kind, done.state) == ("stream", "done")
    return run.id


def said(app: AppTest) -> str:
    assert not app.exception
    parts = (*app.main.markdown, *app.main.caption, *app.main.error)
    return " ".join(part.value for part in parts).replace("\\", "").replace("\u2060", "")


def links(app: AppTest) -> set[str]:
    return {link.proto.label for link in app.main.get("page_link")}


def test_without_a_model_a_round_comes_first(open_app: Run, project: Project) -> None:
    app = open_app(project, "stream")
    assert "No stream can start yet. There is no model yet" in said(app).replace("**", "")
    assert "Retrain round" in said(app)
    assert links(app) == {"Label images"}
    assert not app.main.button


def test_without_budget_it_says_where_to_raise_it(open_app: Run, pets: Project) -> None:
    budget.set_total(pets, 6.0)  # six images wait in the queue
    app = open_app(pets, "stream")
    assert "No budget is left" in said(app)
    assert links(app) == {"Label images", "Raise the budget"}


def test_with_nothing_unlabelled_only_a_stream_that_follows_starts(
    open_app: Run, pets: Project
) -> None:
    with pets.store.read() as unit:
        free = unit.generated_labels.arrivals(limit=100).tolist()
    budget.set_total(pets, 500.0)
    answer(pets, free)
    app = open_app(pets, "stream")
    assert "No item is left to pass" in said(app)
    assert app.button(key="stream_start").disabled
    assert app.button(key="stream_dry").disabled
    app.toggle(key=f"stream_follow_{pets.id}").set_value(True).run()
    assert not app.exception
    assert not app.button(key="stream_start").disabled


def test_the_form_says_what_to_expect(open_app: Run, pets: Project) -> None:
    app = open_app(pets, "stream")
    usual = streams.outlook(pets, StreamPlan())
    ask = app.number_input(key=f"stream_ask_{pets.id}")
    assert ask.value is None
    assert ask.placeholder == f"{usual.labels_left}, what the budget allows"
    assert f"{usual.items} unlabelled images would pass" in said(app)
    assert f"at most {usual.labels_left} questions" in said(app)
    assert len(app.get("plotly_chart")) == 1
    before = app.dataframe[0].value
    assert before["Class"].tolist() == ["cat", "dog"]
    assert before["Expected accepted"].sum() == sum(one.accepted for one in usual.classes)
    ask.set_value(3)
    app.slider(key=f"stream_error_{pets.id}").set_value(1.0).run()
    assert "at most 3 questions" in said(app)
    strict = app.dataframe[0].value
    assert strict["Expected accepted"].sum() < before["Expected accepted"].sum()
    assert (strict["Accepted from"] > before["Accepted from"]).all()


def test_a_strategy_has_its_summary_and_options(open_app: Run, pets: Project) -> None:
    app = open_app(pets, "stream")
    choice = app.selectbox(key=f"stream_strategy_{pets.id}")
    assert len(choice.options) == len(streams.names())
    choice.set_value("fixed_threshold").run()
    info = registry.get("fixed_threshold")
    assert info.summary in said(app)
    app.number_input(key=f"stream_fixed_threshold_threshold_{pets.id}").set_value(0.7).run()
    app.slider(key=f"stream_error_{pets.id}").set_value(10.0)
    app.slider(key=f"stream_audit_{pets.id}").set_value(20).run()
    app.button(key="stream_start").click().run()
    assert not app.exception
    (shown,) = streams.runs(pets)
    assert shown.run.strategy == "fixed_threshold"
    assert shown.plan == StreamPlan(
        "fixed_threshold", 0.1, audit_share=0.2, options={"threshold": 0.7}
    )


def test_a_dry_run_writes_nothing_and_is_that_of_the_settings(open_app: Run, pets: Project) -> None:
    def state() -> Any:
        with pets.store.read() as unit:
            return unit.generated.all(), unit.queue.counts(), unit.budget.get(), unit.jobs.active()

    before = state()
    app = open_app(pets, "stream")
    app.button(key="stream_dry").click().run()
    assert "Nothing was written." in said(app)
    tried = streams.dry_run(pets, StreamPlan())
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown == {name: str(n) for name, n in stream_expected.numbers(tried).items()}
    assert sum(map(int, shown.values())) == tried.seen
    assert len(app.get("plotly_chart")) == 2
    assert state() == before
    app.slider(key=f"stream_error_{pets.id}").set_value(20.0).run()
    assert "press Dry run again" in said(app)
    assert not app.metric


def test_a_stream_is_started_paused_gone_on_with_and_finished(
    open_app: Run, pets: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(live, "_LIVE", lambda **given: sent.append(given["data"]))
    app = open_app(pets, "stream")
    app.button(key="stream_start").click().run()
    assert not app.exception
    run = streams.current(pets)
    assert run
    with pets.store.read() as unit:
        (job,) = unit.jobs.active("stream")
    items = streams.runs(pets)[0].items
    assert sent[-1]["job"] == job.id
    numbers = {"asked": 0, "accepted": 0, "deferred": 0, "done": 0, "total": items}
    assert sent[-1]["first"]["detail"] == numbers
    assert "Label what it asks" in links(app)
    assert not [b for b in app.main.button if b.key == "stream_start"], "one stream at a time"
    assert not app.main.dataframe, "a table would stand still beside the counts"

    app.button(key=f"stream_pause_{job.id}").click().run()
    assert not app.exception
    assert sent[-1]["job"] is None
    assert sent[-1]["note"].startswith("Paused.")
    app.button(key=f"stream_go_on_{run.id}").click().run()
    with pets.store.read() as unit:
        (again,) = unit.jobs.active("stream")
    assert again.id != job.id
    app.button(key=f"stream_pause_{again.id}").click().run()
    app.button(key=f"stream_finish_now_{run.id}").click().run()
    assert not app.exception
    assert streams.current(pets) is None
    assert app.dataframe[0].value["State"].tolist() == ["Finished"]


def test_what_cannot_be_is_said_on_the_page(open_app: Run, pets: Project) -> None:
    app = open_app(pets, "stream")
    streams.start(pets, StreamPlan())  # in another tab
    app.button(key="stream_start").click().run()
    assert "is not finished" in said(app)


def test_the_audit_is_shown_and_asked_for(
    open_app: Run, pets: Project, tiles: dict[str, list[dict[str, Any]]]
) -> None:
    run = ended(pets)
    budget.set_total(pets, None)
    app = open_app(pets, "stream")
    generated = streams.runs(pets)[0].run.accepted
    assert generated > 20
    assert f"Nothing is checked yet** of {generated}" in said(app)
    app.number_input(key=f"stream_more_share_{run}").set_value(50)
    app.number_input(key=f"stream_more_least_{run}").set_value(0).run()
    app.button(key=f"stream_more_{run}").click().run()
    assert not app.exception
    with pets.store.read() as unit:
        open_ids = unit.generated_labels.audit_open(run).tolist()
        places = [unit.queue.entry_for(item) for item in open_ids]
    assert abs(len(open_ids) - generated / 2) <= 1
    assert all(place and place.blind for place in places)
    answer(pets, open_ids, wrong=2)
    app.run()
    report = streams.audit(pets, run)
    assert report.total.wrong == 2
    table = app.dataframe[1].value
    assert table["Class"].tolist() == ["All classes", "cat", "dog"]
    assert table["Checked"].tolist()[0] == len(open_ids)
    assert table["Wrong"].tolist()[0] == 2
    upper = f"{100 * error_bound(2, len(open_ids)).upper:.1f}\u202f%"
    assert table["At most (95 %)"].tolist()[0] == upper
    assert f"At most {upper} of the {generated} generated labels" in said(app)
    wrong = {tile["id"]: tile["label"] for tile in tiles[f"stream_wrong_{run}"]}
    assert set(wrong) == set(open_ids[:2])
    assert set(wrong.values()) <= {"cat → dog", "dog → cat"}


def test_generated_labels_are_browsed_by_class_and_confidence(
    open_app: Run, pets: Project, tiles: dict[str, list[dict[str, Any]]]
) -> None:
    run = ended(pets, FIXED)
    with pets.store.read() as unit:
        ids, classes, sure = unit.generated_labels.accepted(run)
        sealed = unit.generated_labels.audit_open(run)
        cat = unit.classes.all()[0].id
    assert len(sealed) >= 1
    app = open_app(pets, "stream")
    key = f"stream_grid_{run}"
    free = ~np.isin(ids, sealed)
    order = ids[free][np.argsort(sure[free], kind="stable")].tolist()
    assert [tile["id"] for tile in tiles[key]] == order, "what waits to be checked stays hidden"
    assert f"{len(sealed)} not shown: they wait to be checked blind" in said(app)
    app.selectbox(key=f"stream_order_{run}").set_value("sure").run()
    assert tiles[key][0]["label"].startswith(f"{100 * sure[free].max():.0f}")
    app.selectbox(key=f"stream_class_{run}").set_value(cat).run()
    assert {tile["id"] for tile in tiles[key]} == set(ids[free & (classes == cat)].tolist())


def test_a_run_is_accepted_rolled_back_and_opened_again(open_app: Run, pets: Project) -> None:
    run = ended(pets)
    app = open_app(pets, "stream")
    assert "Nobody has decided" in said(app)
    for verdict, word in (("accepted", "Accepted"), ("rolled_back", "Rolled back")):
        app.button(key=f"stream_{verdict}_now_{run}").click().run()
        assert f"{word} by anna, just now" in said(app)
        assert streams.runs(pets)[0].run.verdict == verdict
    with pets.store.read() as unit:
        assert not len(unit.generated_labels.ids())
    assert not [b for b in app.main.button if b.key == f"stream_accepted_now_{run}"]
    for key, verdict in (
        ("stream_undo", "accepted"),
        ("stream_undo", "open"),
        ("stream_redo", "accepted"),
        ("stream_redo", "rolled_back"),
    ):
        app.button(key=key).click().run()
        assert not app.exception
        assert streams.runs(pets)[0].run.verdict == verdict
    assert app.button(key="stream_redo").disabled
    ended(pets)  # labels the same images again: the first cannot come back beside it
    app = open_app(pets, "stream")
    assert app.dataframe[0].value["Run"].tolist() == [run + 1, run]
    with pets.store.read() as unit:
        assert len(unit.generated_labels.ids())
    app.button(key=f"stream_rolled_back_now_{run + 1}").click().run()
    app.button(key=f"stream_open_now_{run + 1}").click().run()
    assert "Opened again by anna" in said(app)
    assert streams.runs(pets)[0].run.verdict == "open"


def test_a_verdict_that_cannot_be_is_explained(
    open_app: Run, pets: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ended(pets)
    streams.decide(pets, first, "rolled_back", "anna")
    app = open_app(pets, "stream")
    second = ended(pets)
    app.button(key=f"stream_open_now_{first}").click().run()
    assert "cannot come back" in said(app)
    assert f"Run {first}" in said(app)
    assert second > first


def test_after_a_run_the_next_is_set_up_on_demand(open_app: Run, pets: Project) -> None:
    ended(pets)
    budget.set_total(pets, 500.0)
    app = open_app(pets, "stream")
    assert not [b for b in app.main.button if b.key == "stream_start"]
    app.session_state["stream_new_1"] = True
    app.run()
    assert not app.exception
    assert app.button(key="stream_start")


def test_a_stream_of_an_older_model_says_so(open_app: Run, pets: Project) -> None:
    budget.set_total(pets, 500.0)
    ended(pets, replace(FIXED, follow=True))
    app = open_app(pets, "stream")
    assert app.dataframe[0].value["State"].tolist() == ["Follows"]
    assert "A newer model is in use" not in said(app)
    predict(pets, np.random.default_rng(1))
    assert "A newer model is in use" in said(app.run())
