"""The rounds page: curve, table, confusion matrix, balance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project
from labeller.services import evaluation_curve, labelling
from labeller.services.evaluation_scores import wilson
from labeller.services.labelling import Act
from labeller.ui import history, plots
from labeller.ui.text import escape_markdown
from store.records import NewModel

Run = Callable[..., AppTest]


def add_round(project: Project, labels: int, correct: int, n: int, strategy: str = "margin") -> int:
    """Store a round with a model that got `correct` of `n` audit items right."""
    low, high = wilson(correct, n)
    metrics: dict[str, Any] = {
        "accuracy": correct / n,
        "interval": [low, high],
        "n": n,
        "train_n": labels,
        "valid_n": 2,
        "confusion": [[correct, 0], [n - correct, 0]],
        "per_class": [{"class_id": 1, "n": n, "precision": 0.5, "recall": None}],
    }
    with project.store.write() as unit:
        record = unit.rounds.start(strategy, 6, None, labels, float(labels))
        ids = tuple(c.id for c in unit.classes.all())
        made = unit.models.add(
            NewModel("models/m", "h" * 64, labels, 0, "b", "cpu", ids, {}, metrics, {}, {}),
            record.id,
        )
        timings = {"features": 1.0, "train": 2.5}
        unit.rounds.finish(record.id, "done", model_id=made.id, queued=6, timings=timings)
    return record.id


def label(project: Project, number: int) -> None:
    """Label so many items that are not of the audit set, of both classes in turn."""
    with project.store.read() as unit:
        free = [int(i) for i in unit.items.ids(state="unlabelled", split=("train", "valid"))]
    acts = [Act(f"r{i}", "label", i, ("cat", "dog")[k % 2]) for k, i in enumerate(free[:number])]
    labelling.record(project, "anna", "s", "page", acts)


def said(app: AppTest) -> str:
    assert not app.exception
    return " ".join(text.value for text in (*app.main.markdown, *app.main.caption))


def test_each_empty_state_names_the_next_step(
    open_app: Run, project: Project, tmp_path: Path
) -> None:
    empty = create_project(tmp_path / "empty", ["a"])
    assert "Import images first." in said(open_app(empty, "rounds"))
    assert "Label some images of at least two classes" in said(open_app(project, "rounds"))
    label(project, 4)
    assert "No image of the audit set is labelled yet" in said(open_app(project, "rounds"))
    with project.store.read() as unit:
        (sealed, *_) = unit.items.ids(split="audit").tolist() or [None]
    if sealed is not None:
        labelling.record(project, "anna", "s", "page", [Act("a", "label", sealed, "cat")])
        assert "Press Retrain round: it trains" in said(open_app(project, "rounds"))


def test_curve_table_and_details(open_app: Run, project: Project) -> None:
    label(project, 4)
    add_round(project, 4, 24, 40, "typiclust")
    add_round(project, 8, 32, 40)
    app = open_app(project, "rounds")
    assert not app.exception
    heads = [head.value for head in app.subheader]
    assert heads == ["Learning curve", "All rounds", "Class balance"]
    table = app.dataframe[0].value
    assert list(table["Strategy"])[:2] == ["Margin", "TypiClust"]
    assert table["Audit accuracy"][0].startswith("80.0")
    assert table["Gain"][0].startswith("+20.0 ± ")
    assert table["Gain"][1] == "–"
    assert [tab.label for tab in app.tabs] == ["Confusion matrix", "Per class", "Stages", "Model"]
    assert len(app.get("plotly_chart")) == 4
    per_class = app.dataframe[1].value
    assert list(per_class["Class"]) == ["cat"]


def test_a_failed_round_shows_its_reason_and_does_not_hide_the_last_model(
    open_app: Run, project: Project
) -> None:
    add_round(project, 4, 6, 10)
    with project.store.write() as unit:
        record = unit.rounds.start("margin", 6, None, 5, 5.0)
        unit.rounds.finish(record.id, "failed", error="killed by *SIGKILL*")
    past = history.gather(project)
    rows = history.table_rows(past, 0.0)
    assert [row["State"] for row in rows][-2:] == ["Done", "Failed"]
    app = open_app(project, "rounds")
    assert next(tab.label for tab in app.tabs) == "Confusion matrix"


def test_a_round_without_model_has_stages_only(open_app: Run, project: Project) -> None:
    app = open_app(project, "rounds")  # the import made a first queue at random: round 0
    assert not app.exception
    assert list(app.dataframe[0].value["Strategy"]) == ["Random"]
    assert [tab.label for tab in app.tabs] == ["Stages"]


@pytest.mark.parametrize("dark", [False, True])
def test_figures_hold_the_numbers(project: Project, dark: bool) -> None:
    add_round(project, 4, 12, 20)
    add_round(project, 8, 16, 20)
    points = evaluation_curve.learning_curve(project)
    band, curve = plots.learning_curve(points, dark).data
    assert list(curve.x) == [4, 8]
    assert [round(y) for y in curve.y] == [60, 80]
    assert len(band.x) == 4
    assert list(plots.learning_curve(points[:1], dark).data[1].error_y.array)

    figure = plots.confusion([[3, 1], [0, 0]], ["<b>a</b>", "$x$"], dark).data[0]
    assert figure.z.tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert list(figure.x) == ["&lt;b&gt;a&lt;/b&gt;", "$x$"]
    assert list(figure.text[0]) == ["3", "1"]


def test_names_that_look_alike_when_cut_keep_rows_of_their_own() -> None:
    names = ["x" * 60 + "1", "x" * 60 + "2"]
    figure = plots.balance(names, {"train": [1, 2]})
    assert len(set(figure.data[0].y)) == 2
    assert all(len(name) < 40 for name in figure.data[0].y)


def test_balance_and_timings() -> None:
    figure = plots.balance(["a", "b"], {"train": [5, 1], "valid": [1, 0], "audit": [0, 2]})
    assert [list(bar.x) for bar in figure.data] == [[5, 1], [1, 0], [0, 2]]
    assert list(plots.timings({"train": 2.0, "other": 1.0}).data[0].y) == ["Training", "Other"]


def test_a_round_shows_what_its_job_said(open_app: Run, project: Project) -> None:
    told = "auto picked by uncertainty_herding (37 labels, margin from 200)."
    with project.store.write() as unit:
        job = unit.jobs.add("round", {}, exclusive=False)
        record = unit.rounds.start("auto", 6, job.id, 4, 4.0)
        unit.rounds.finish(record.id, "done", queued=6)
    with project.store.write() as unit:
        unit.jobs.claim("here", 1, job_id=job.id)
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "done", result={"message": told})
    app = open_app(project, "rounds")
    assert not app.exception
    assert escape_markdown(told) in [caption.value for caption in app.caption]
