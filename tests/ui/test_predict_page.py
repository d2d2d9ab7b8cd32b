"""The predict page: what is needed, the form, the list, and what came of a prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.services import model_shelf, predicting, predictions
from labeller.services.prediction_index import Summary
from labeller.services.prediction_plans import UPLOADS, Plan, folder_of, plan_of
from labeller.services.predictions import Kept
from labeller.ui import (
    grid,
    opened,
    predict_gallery,
    predict_list,
    predict_plots,
    predict_result,
    source_form,
)
from store.alive import host
from store.records import JobRecord
from tests import predicted
from tests.ui.conftest import images

Run = Callable[..., AppTest]
NUMBER = 70
PLAN = Plan("x" * 32, ("/data/photos",), 3, 0, 0, 0.0)


@pytest.fixture
def model(project: Project, monkeypatch: pytest.MonkeyPatch) -> int:
    """A model whose process is a small one that knows two classes."""
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    return predicted.add_model(project)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = images(tmp_path / "photos", NUMBER, seed=8)
    (folder / "note <b>.png").write_text("hello")
    return folder


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the grid was last given."""
    last: dict[str, Any] = {}

    def draw(**given: Any) -> Any:
        last.update(given["data"])
        return {"selected": []}

    monkeypatch.setattr(grid, "_GRID", draw)
    return last


def said(app: AppTest) -> str:
    assert not app.exception
    parts = (*app.markdown, *app.caption, *app.error)
    return " ".join(text.value for text in parts)


def active(project: Project) -> JobRecord:
    with project.store.read() as unit:
        (job,) = unit.jobs.active(predictions.KIND)
    return job


def test_without_a_model_it_says_what_to_do(open_app: Run, project: Project) -> None:
    app = open_app(project, "predict")
    assert "No model yet" in said(app)
    assert not [one for one in app.main.button if one.key == "predict_go"]


def test_a_folder_is_predicted_with_the_chosen_model(
    open_app: Run, project: Project, model: int, photos: Path
) -> None:
    newer = predicted.add_model(project)
    app = open_app(project, "predict")
    assert "Nothing is predicted yet" in said(app)
    assert app.button(key="predict_go").disabled
    assert app.main.selectbox[0].value == newer
    app.text_input(key="predict_path").set_value("/no/such/folder").run()
    assert "there is no such folder" in app.main.error[0].value
    assert app.button(key="predict_go").disabled
    app.text_input(key="predict_path").set_value(str(photos))
    app.main.selectbox[0].set_value(model)
    app.run()
    app.button(key="predict_go").click().run()
    assert "**Predicting** photos" in said(app)
    job = active(project)
    plan = plan_of(project, job.params["prediction"])
    assert (plan.sources, plan.model, plan.uploaded) == ((str(photos),), model, 0)
    assert not [one for one in app.main.button if one.key == "predict_go"]
    app.button(key=f"predict_cancel_{job.id}").click().run()
    assert "It was stopped" in said(app)
    assert app.main.dataframe[0].value["State"].tolist() == ["stopped"]
    app.button(key=f"predict_resume_False_{plan.id}").click().run()
    assert active(project).params == {
        "prediction": 1,
        "id": plan.id,
        "restart": False,
    }


def test_uploads_are_kept_with_the_prediction(
    open_app: Run, project: Project, model: int, photos: Path
) -> None:
    app = open_app(project, "predict")
    app.segmented_control(key="predict_way").set_value(source_form.UPLOAD).run()
    data = (photos / "000.png").read_bytes()
    app.file_uploader(key="predict_files_0").set_value(("../../evil.png", data, "image/png")).run()
    app.button(key="predict_go").click().run()
    assert "1 uploaded file" in said(app)
    number = active(project).params["prediction"]
    assert plan_of(project, number).sources == (UPLOADS,)
    folder = folder_of(project, number) / UPLOADS
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("evil.png", data)]
    predicted.run(project)
    summary = predictions.get(project, number).summary
    assert summary is not None
    assert summary.predicted == 1


def test_the_result_is_counted_and_its_images_are_filtered(
    open_app: Run, project: Project, model: int, photos: Path, tiles: dict[str, Any]
) -> None:
    number = predicted.predict(project, photos)
    plan = plan_of(project, number)
    app = open_app(project, "predict")
    summary = predictions.get(project, number).summary
    assert summary is not None
    numbers = {one.label: one.value for one in app.main.metric}
    assert numbers["Images predicted"] == "70"
    assert numbers["Could not be read"] == "1"
    assert numbers["Look like nothing seen"].startswith(f"{summary.unfamiliar} (")
    assert len(app.main.get("plotly_chart")) == 2
    assert tiles["choosing"] is False
    assert len(tiles["items"]) == predict_gallery.PAGE
    assert tiles["items"][0]["image"].startswith(f"predictions/{number}/images/0?v=")
    shares = {file.name: predicted.share_of(file) for file in photos.glob("0*.png")}
    least = min(shares, key=lambda name: abs(shares[name] - 0.5))
    assert tiles["items"][0]["name"] == least

    column = summary.classes.index("dog")
    app.selectbox(key=f"predict_class_{plan.id}").set_value(column).run()
    dogs = {name for name, share in shares.items() if share < 0.5}
    assert {item["name"] for item in tiles["items"]} == dogs
    assert f"{len(dogs)} images" in said(app)
    app.slider(key=f"predict_range_{plan.id}").set_value((90, 100)).run()
    sure = {name for name in dogs if 1 - shares[name] >= 0.9}
    assert {item["name"] for item in tiles["items"]} == sure
    app.selectbox(key=f"predict_order_{plan.id}").set_value("sure").run()
    assert tiles["items"][0]["name"] == min(sure, key=lambda name: shares[name])
    app.pills(key=f"predict_part_{plan.id}").set_value("unfamiliar").run()
    strange = {name for name in sure if -10 * shares[name] > predicted.THRESHOLD}
    assert {item["name"] for item in tiles["items"]} == strange
    app.slider(key=f"predict_range_{plan.id}").set_value((0, 1)).run()
    assert "No image matches these filters" in said(app)
    app.pills(key=f"predict_part_{plan.id}").set_value("errors").run()
    (row,) = app.main.dataframe[1].value.to_dict("records")
    assert row == {
        "File": "note <b>.png",
        "Reason": "it is text, no image",
        "What helps": "Remove it.",
    }


def test_one_image_opens_with_all_that_is_known_of_it(
    open_app: Run,
    project: Project,
    model: int,
    photos: Path,
    tiles: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predicted.predict(project, photos)
    monkeypatch.setattr(opened, "in_grid", lambda grid: 0)
    app = open_app(project, "predict")
    text = said(app)
    assert "Confidence **" in text
    assert "Energy −" in text
    probabilities = app.dataframe[-1].value
    assert probabilities["Class"].tolist() in (["cat", "dog"], ["dog", "cat"])
    assert sum(probabilities["Probability"]) == pytest.approx(100)
    assert not app.error
    (photos / tiles["items"][0]["name"]).unlink()
    for made in (folder_of(project, 1) / "thumbnails").rglob("*.jpg"):
        made.unlink()
    app.run()
    assert "It cannot be shown: the file is gone" in said(app).replace("\\", "")


def test_a_prediction_is_deleted_and_another_is_shown(
    open_app: Run, project: Project, model: int, photos: Path
) -> None:
    first, second = (predicted.predict(project, photos / f"00{n}.png") for n in range(2))
    app = open_app(project, "predict")
    assert app.main.dataframe[0].value["Source"].tolist() == ["001.png", "000.png"]
    assert len(app.main.get("download_button")) == 2
    app.button(key=f"predict_delete_{plan_of(project, second).id}").click().run()
    assert not app.exception
    assert [one.number for one in predictions.listing(project)] == [first]
    assert app.main.dataframe[0].value["Source"].tolist() == ["000.png"]
    app.button(key=f"predict_delete_{plan_of(project, first).id}").click().run()
    assert "Nothing is predicted yet" in said(app)


def test_why_one_stopped_and_what_is_possible(
    open_app: Run, project: Project, model: int, photos: Path
) -> None:
    job = predictions.start(project, lambda _: [photos], model)
    with project.store.write() as unit:
        unit.jobs.claim(host(), 1, job_id=job.id)
        detail = {"done": 12, "total": 71, "predicted": 11, "failed": 1}
        unit.jobs.beat(job.id, 0.2, "predictions", "", detail)
        unit.jobs.finish(job.id, "failed", error="The disk is *full*.")
    app = open_app(project, "predict")
    text = said(app).replace("\\", "")
    assert "It stopped after 12 of 71 files. The disk is *full*." in text
    assert app.main.dataframe[0].value["Images"].tolist() == [11]
    plan = plan_of(project, 1)
    assert not app.button(key=f"predict_resume_False_{plan.id}").disabled
    predicted.add_model(project)
    model_shelf.delete(project, model)
    app.run()
    for restart in (False, True):
        button = app.button(key=f"predict_resume_{restart}_{plan.id}")
        assert button.disabled
        assert button.help == f"Model {model} was deleted."


def test_an_empty_folder_is_said_to_be(
    open_app: Run, project: Project, model: int, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    predicted.predict(project, tmp_path / "empty")
    app = open_app(project, "predict")
    assert not app.exception
    assert app.main.info[0].value == "No image was found there."


@pytest.mark.parametrize(
    ("sources", "uploaded", "title"),
    [
        (("/data/photos",), 0, "photos"),
        (("/",), 0, "/"),
        (("/a/x", "/b/y.zip", "/c/z.csv", "/d"), 0, "x, y.zip, z.csv and 1 more"),
        (("uploads",), 12, "12 uploaded files"),
        (("uploads/a.zip",), 1, "1 uploaded file (a.zip)"),
    ],
)
def test_what_was_predicted_has_a_short_name(
    sources: tuple[str, ...], uploaded: int, title: str
) -> None:
    plan = Plan("x" * 32, sources, 3, uploaded, 0, 0.0)
    assert predict_list.source_title(plan) == title
    stem = predict_list.file_stem(Kept(1, plan, None, None, 0))
    assert stem.endswith("-model-3")
    assert not set(stem) & set("/\\. ")


@pytest.mark.parametrize("dark", [False, True])
def test_figures_hold_the_numbers(dark: bool) -> None:
    classes = tuple(f"<c{number}>" for number in range(30))
    bins = (0,) * 19 + (465,)
    summary = Summary(465, 0, classes, tuple(range(30)), bins, None, None, 0.0)
    (bars,) = predict_plots.classes(summary, {"<c29>": "#123456"}, dark).data
    assert list(bars.x) == list(range(29, 4, -1))
    assert bars.y[0] == "&lt;c29&gt;"
    assert bars.marker.color[0] == "#123456"
    (histogram,) = predict_plots.confidences(summary, dark).data
    assert (histogram.x[-1], histogram.y[-1], sum(histogram.y)) == (97.5, 465, 465)


@pytest.mark.parametrize("most", [0, 1, 3, 465])
def test_axes_are_named_and_count_whole_images(most: int) -> None:
    bins = (0,) * 19 + (most,)
    summary = Summary(most, 0, ("cat",), (most,), bins, None, None, 0.0)
    classes = predict_plots.classes(summary, {}, False).layout
    confidences = predict_plots.confidences(summary, False).layout
    assert (classes.xaxis.title.text, classes.yaxis.title.text) == ("Images", "Class")
    assert (confidences.xaxis.title.text, confidences.yaxis.title.text) == (
        "Confidence (%)",
        "Images",
    )
    assert tuple(confidences.xaxis.range) == (0, 100)
    for axis in (classes.xaxis, confidences.yaxis):
        assert axis.range[0] == 0
        assert axis.range[1] > most
        assert axis.dtick == (1 if most <= 6 else None)


def test_words() -> None:
    assert predict_result.share(None, 10) == "–"
    assert predict_result.share(0, 0) == "0"
    assert predict_result.share(1, 8) == "1 (12.5\u202f%)"
    assert predict_gallery.energy_text(-3.25, None) == "Energy −3.25."
    assert "not above −3.00" in predict_gallery.energy_text(-3.25, -3.0)
    assert "nothing that the model has seen" in predict_gallery.energy_text(-2.0, -3.0)


def test_a_prediction_is_compared_with_the_audit_set(
    open_app: Run, project: Project, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    predicted.add_audited_model(project, [0.99] * 30)
    number = predicted.predict(project, photos)
    plan = plan_of(project, number)
    app = open_app(project, "predict")
    assert "Drift: the audit accuracy may not hold here" in said(app)
    assert "The model is less sure" in said(app)
    app.number_input(key=f"drift_count_{plan.id}").set_value(3).run()
    app.button(key=f"drift_queue_{plan.id}").click().run()
    assert "3 images are first in the queue, 3 of them new." in app.toast[0].value
    with project.store.read() as unit:
        entries = unit.queue.entries()
    assert [entry.strategy for entry in entries[:4]].count("drift") == 3


def test_without_an_audit_set_the_comparison_says_why(
    open_app: Run, project: Project, model: int, photos: Path
) -> None:
    predicted.predict(project, photos)
    assert "cannot be read" in said(open_app(project, "predict"))
