"""The replay page: what is needed, the form, the result, a replay that was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project
from labeller.services import importing, replay_files, replays
from labeller.services.replay_results import Run, caveats, compared
from labeller.ui import plots, replay_page, view

Run_ = Callable[..., AppTest]
PLAN = replays.checked(["margin", "typiclust"], 20, 10, 2)


@pytest.fixture
def labelled(tmp_path: Path) -> Project:
    """A project of 40 labelled images, whose jobs nobody starts."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "known" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "known" / name / f"{number}.png")
    made = create_project(tmp_path / "own", [], start_workers=False, audit_share=0.0)
    importing.import_sources(made, [tmp_path / "known"], labels="folders")
    return made


def finish(project: Project, name: str = "0001") -> None:
    """Put the files of a finished replay into a project."""
    out = project.root / "replays" / name
    replay_files.prepare(out, replays.written(PLAN))
    runs = [
        Run(strategy, seed, PLAN.points, (0.4, 0.5 + 0.1 * rank + 0.01 * seed), 1.0)
        for rank, strategy in enumerate(PLAN.strategies)
        for seed in range(2)
    ]
    result = {
        "strategies": compared(runs),
        **replays.written(PLAN),
        "pool": 30,
        "test": 10,
        "bias": caveats({"margin": 30}, 30, 10, True, 2),
        "notes": [],
        "finished_at": 1.0,
    }
    replay_files.write_result(out, runs, result)


def said(app: AppTest) -> str:
    assert not app.exception
    return " ".join(text.value for text in (*app.main.markdown, *app.main.caption))


def test_without_labels_it_says_what_is_needed(open_app: Run_, project: Project) -> None:
    text = said(open_app(project, "replay"))
    assert "Nothing to replay yet" in text
    assert "Too few images" in text


def test_a_replay_is_started_with_what_was_chosen(open_app: Run_, labelled: Project) -> None:
    app = open_app(labelled, "replay")
    assert "models to train, about" in said(app)
    assert "Picked from 30 labels" in said(app)
    app.multiselect[0].set_value(["margin"])
    app.main.number_input[0].set_value(20)
    app.main.number_input[1].set_value(10)
    app.main.number_input[2].set_value(2)
    app.run()
    assert "8 models to train" in said(app)
    app.button(key="replay_start").click().run()
    with labelled.store.read() as unit:
        (job,) = unit.jobs.active("replay")
    assert job.params["planned"] == ["margin", "random"]
    assert (job.params["budget"], job.params["batch"], job.params["seeds"]) == (20, 10, 2)
    settings = json.loads((Path(job.params["out"]) / "replay.json").read_text())
    assert settings["planned"] == ["margin", "random"]
    assert app.button(key="replay_start").disabled

    with labelled.store.write() as unit:
        unit.jobs.request_cancel(job.id)
    app.run()
    assert "The last replay was stopped" in said(app)
    app.button(key="replay_resume_0001").click().run()
    with labelled.store.write() as unit:
        (again,) = unit.jobs.active("replay")
        assert again.params == job.params
        unit.jobs.request_cancel(again.id)
    app.run()
    app.button(key="replay_discard_0001").click().run()
    assert not app.exception
    assert not (labelled.root / "replays" / "0001").exists()


def test_impossible_plans_cannot_be_started(open_app: Run_, labelled: Project) -> None:
    app = open_app(labelled, "replay")
    app.main.number_input[0].set_value(5)
    app.main.number_input[1].set_value(10)
    app.run()
    assert "leaves nothing to pick" in said(app)
    assert app.button(key="replay_start").disabled


def test_the_result_is_shown_with_its_bias(open_app: Run_, labelled: Project) -> None:
    finish(labelled)
    app = open_app(labelled, "replay")
    text = said(app)
    assert "2 seeds mislead easily" in text
    assert "30 of the 30 images" in text
    table = app.dataframe[0].value
    order = ["random", "typiclust", "margin"]
    assert table["Strategy"].tolist() == [view.strategy_title(name) for name in order]
    assert table["Against random"].tolist()[0] == "–"
    assert len(app.get("download_button")) == 2  # no picture was drawn
    finish(labelled, "0002")
    app = open_app(labelled, "replay")
    assert app.main.selectbox[0].options[0].count("Margin") == 1
    assert len(app.main.selectbox[0].options) == 2


def test_a_difference_is_written_with_its_interval() -> None:
    row = {"difference": -0.021, "difference_interval": [-0.05, 0.01]}
    assert replay_page.difference(row) == "−2.1 (−5.0 to +1.0)"
    assert replay_page.difference({"difference": 0.1, "difference_interval": None}) == "+10.0"


@pytest.mark.parametrize("dark", [True, False])
def test_curves_have_bands_and_random_is_dashed(dark: bool) -> None:
    runs = [
        Run(name, seed, (5, 10), (0.4, 0.5 + 0.01 * seed), 1.0)
        for name in PLAN.strategies
        for seed in range(2)
    ]
    result = {"planned": list(PLAN.strategies), "strategies": compared(runs)}
    figure = plots.replay_curves(result, dark)
    lines = [trace for trace in figure.data if trace.fill is None]
    assert len(figure.data) == 6
    assert {line.name: line.line.dash for line in lines}["Random"] == "dash"
    assert len({line.line.color for line in lines}) == 3
    assert list(lines[0].y) == pytest.approx([40, 50.5])
