"""The models page: the table, what can be done with one model, two side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from sklearn.metrics import f1_score, log_loss
from streamlit.testing.v1 import AppTest

from labeller.errors import RoundError
from labeller.project import Project, create_project
from labeller.services import (
    audit_files,
    audit_seal,
    feature_files,
    feature_recipes,
    headline,
    importing,
    labelling,
    model_comparison,
    model_shelf,
    pool_predictions,
)
from labeller.services.backbone_names import PACKAGED
from labeller.services.evaluation_scores import share
from labeller.services.export_check import Check
from labeller.services.feature_recipes import Recipe
from labeller.services.labelling import Act
from labeller.ui import models_compare, models_export
from store.checksums import write_sums
from store.records import NewModel
from store.vectors import VectorFile
from tests import browser as browsers
from tests.ui.conftest import images

Run = Callable[..., AppTest]


def add_model(project: Project, number: int, right: int) -> int:
    """Register a model that predicts the first `right` of the labelled audit items truly."""
    with project.store.read() as unit:
        classes = tuple(one.id for one in unit.classes.all())
        ids, truth, _ = unit.labels.arrays("audit")
    columns = np.array([classes.index(int(c)) for c in truth])
    columns[right:] = 1 - columns[right:]
    probs = np.where(np.arange(2) == columns[:, None], 0.8, 0.2)
    folder = project.models / f"round-{number:04d}"
    folder.mkdir(parents=True)
    np.savez(folder / audit_files.LABELLED, item_ids=ids, class_ids=truth, probs=probs)
    audit_files.write(folder, ids, probs)
    made = NewModel(
        path=f"models/{folder.name}",
        label_hash="a" * 64,
        labels=number * 10,
        seed=0,
        backbone="efficientnet_lite0",
        device="CPU",
        class_ids=classes,
        config={"training": "features", "why": "no GPU"},
        metrics={"accuracy": right / len(ids), "interval": [0.1, 0.9], "n": len(ids)},
        timings={},
        versions={"torch": "2.15"},
    )
    with project.store.write() as unit:
        started = unit.rounds.start("margin", 6, None, number * 10, 0)
        model = unit.models.add(made, started.id)
        unit.rounds.finish(started.id, "done", model_id=model.id)
    return model.id


@pytest.fixture
def audited(tmp_path: Path) -> Project:
    """A project with a label on every image, half of them in the audit set."""
    project = create_project(
        tmp_path / "pets", ["cat", "dog"], 100.0, start_workers=False, audit_share=0.5
    )
    importing.import_sources(project, [images(tmp_path / "images", 12)], labels="none")
    with project.store.read() as unit:
        items = [item.id for item in unit.items.page()]
    labels = ("cat", "dog")
    acts = [Act(f"e{i}", "label", i, labels[i % 2]) for i in items]
    labelling.record(project, "anna", "s", "page", acts)
    with project.store.read() as unit:
        assert unit.items.count().labelled_audit >= 2
    return project


def test_without_a_model(open_app: Run, project: Project) -> None:
    app = open_app(project, "models")
    assert not app.exception
    assert any("No model yet" in text.value for text in app.markdown)


def test_one_model_is_used_and_another_deleted(open_app: Run, audited: Project) -> None:
    first, second = add_model(audited, 1, 1), add_model(audited, 2, 2)
    app = open_app(audited, "models")
    assert not app.exception
    assert list(app.dataframe[0].value["Model"]) == [second, first]
    assert list(app.dataframe[0].value["State"]) == ["in use", ""]
    assert app.subheader[0].value == f"Model {second}"
    assert app.button(key="models_use").disabled
    app.button(key="models_export").click().run()
    assert app.button(key="models_export").disabled
    with audited.store.read() as unit:
        (job,) = unit.jobs.active(model_shelf.KIND)
    assert job.params == {"model": second, "formats": ["onnx", "int8"]}
    model_shelf.use(audited, first)
    app.run()
    app.button(key="models_delete").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value["State"]) == ["deleted", "in use"]
    assert any("its figures stay" in text.value for text in app.caption)


def test_a_model_put_in_use_again_predicts_the_pool(open_app: Run, audited: Project) -> None:
    first, _ = add_model(audited, 1, 1), add_model(audited, 2, 2)
    model_shelf.use(audited, first)
    app = open_app(audited, "models")
    assert app.button(key="models_predict").label == "Predict the pool"
    app.button(key="models_predict").click().run()
    assert not app.exception
    assert app.button(key="models_predict").disabled
    with audited.store.read() as unit:
        (job,) = unit.jobs.active(pool_predictions.KIND)
    assert job.params == {"model": first}


def plain(text: str) -> str:
    """Return a text as it was before it was escaped for Markdown."""
    return text.replace("\\", "").replace("\u2060", "")


def test_a_damaged_model_is_marked_and_not_put_in_use(open_app: Run, audited: Project) -> None:
    first, second = add_model(audited, 1, 1), add_model(audited, 2, 2)
    for number in (1, 2):
        write_sums(audited.models / f"round-{number:04d}")
    app = open_app(audited, "models")
    assert not app.error
    weights = audited.models / "round-0001" / audit_files.LABELLED
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    app.button(key="models_check").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value["State"]) == ["in use", "damaged"]
    with pytest.raises(RoundError, match=rf"{audit_files.LABELLED} was damaged.*Delete it"):
        model_shelf.use(audited, first)
    model_shelf.delete(audited, first)
    shutil.rmtree(audited.models / "round-0002")
    app.run()
    assert not app.exception
    assert list(app.dataframe[0].value["State"]) == ["in use, damaged", "deleted"]
    (told,) = app.error
    assert f"its folder is gone, so model {second} is not used" in plain(told.value)
    assert "start a round" in told.value
    assert app.button(key="models_use").disabled


def test_the_chosen_model_is_checked_when_it_is_shown(open_app: Run, audited: Project) -> None:
    add_model(audited, 1, 1)
    folder = audited.models / "round-0001"
    (folder / "weights.pt").write_bytes(b"weights")
    write_sums(folder)
    (folder / "weights.pt").write_bytes(b"veights")
    app = open_app(audited, "models")
    assert not app.exception
    (told,) = app.error
    assert "weights.pt was damaged or changed" in plain(told.value)
    assert "Put another model in use" in told.value
    assert list(app.dataframe[0].value["State"]) == ["in use, damaged"]
    (folder / "weights.pt").write_bytes(b"weights")
    app.run()
    assert not app.error


def test_features_that_are_not_in_use_are_shown_and_deleted(
    open_app: Run, audited: Project
) -> None:
    add_model(audited, 1, 1)
    assert not any("Features" in one.label for one in open_app(audited, "models").expander)
    small, other = (Recipe(PACKAGED, size, ("mids", "final")) for size in (96, 128))
    feature_recipes.begin(audited, small)
    for recipe in (small, other):
        path = audited.vectors / recipe.file
        VectorFile.open(path, 4, "float16", f"{recipe.tag} abc").write([1], [[0.0] * 4])
    app = open_app(audited, "models")
    table = app.dataframe[-1].value
    assert list(table["Pixels"]) == [96, 128]
    assert list(table["State"]) == ["in use", ""]
    said = " ".join(one.value for one in app.markdown)
    assert "read at 96 pixels, as since the first round; 64 pixels would fit those of now" in said
    assert "12 images will be read anew" in said
    app.button(key="models_features_delete").click().run()
    assert not app.exception
    assert [one.size for one in feature_files.listed(audited)] == [96]
    app.button(key="models_features_size").click().run()
    assert feature_recipes.begun(audited, PACKAGED) is None


def test_a_format_that_failed_and_one_that_loses_are_told(open_app: Run, audited: Project) -> None:
    model, reason = add_model(audited, 1, 1), "learner.pkl: cannot be made (ValueError: no)."
    folder = model_shelf.folder_of(audited, model)
    folder.mkdir(parents=True)
    good = Check("model.onnx", 5, 1.0, 1.0, 0.0, 1.0, 90, 0.0, 0.0, -0.01, 0.01)
    poor = Check("model-int8.onnx", 5, 0.7, 0.9, 0.5, 0.8, 90, 0.1, 0.4, -0.3, -0.1)
    files = [asdict(good), asdict(poor)]
    result = {"folder": str(folder), "files": files, "split": "audit and valid", "n": 5}
    job = model_shelf.start_export(audited, model, ["onnx", "fastai"])
    with audited.store.write() as unit:
        assert unit.jobs.claim("here", 1, job_id=job.id)
        assert unit.jobs.finish(job.id, "done", result | {"failed": {"learner.pkl": reason}})
    app = open_app(audited, "models")
    assert reason in [one.value for one in app.warning]
    assert any("on 5 labelled images of audit and valid" in one.value for one in app.caption)
    assert any("the rest on 90 images" in one.value for one in app.caption)
    warned = [one.value for one in app.warning if "model" in one.value and one.value != reason]
    (loss,) = warned
    assert "model-int8.onnx loses accuracy: −20.0 (−30.0 to −10.0) points" in loss
    assert "chance" not in loss


def test_two_models_side_by_side(audited: Project) -> None:
    with audited.store.read() as unit:
        n = unit.items.count().labelled_audit
        names = {one.id: one.name for one in unit.classes.all()}
    add_model(audited, 1, 1)
    add_model(audited, 2, n)
    old, new = (one.model for one in reversed(model_shelf.shelf(audited)))
    columns = model_comparison.compare(audited, [old, new])
    assert [one.accuracy.right for one in columns] == [1, n]
    assert columns[0].against is None
    against = columns[1].against
    assert against is not None
    assert (against.gained, against.lost, against.n) == (n - 1, 0, n)
    rows = models_compare.comparison_rows(columns)
    assert f"{n - 1} became right, 0 wrong" in rows[1][f"Against model {old.id}"]
    by_class = models_compare.class_rows(columns, names, "recall")
    assert {row["Class"] for row in by_class} <= {"cat", "dog"}
    assert sum(row["Audit images"] for row in by_class) == n


def test_all_models_are_measured_on_the_labels_of_now(open_app: Run, audited: Project) -> None:
    with audited.store.read() as unit:
        ids, truth, _ = unit.labels.arrays("audit")
        by_class = {one.id: one.name for one in unit.classes.all()}
    first, _ = add_model(audited, 1, 1), add_model(audited, 2, len(ids))
    other = next(name for i, name in by_class.items() if i != truth[0])
    relabel = [Act("again", "label", int(ids[0]), other)]
    labelling.record(audited, "anna", "s", "page", relabel)
    n = len(ids)
    found = headline.headlines(audited, [one.model for one in model_shelf.shelf(audited)])
    assert {i: one.measured.right for i, one in found.items()} == {first: 0, first + 1: n - 1}
    table = open_app(audited, "models").dataframe[0].value
    assert list(table["Audit images"]) == [n, n]
    assert table["Audit accuracy"][0] == headline.short(share(n - 1, n))
    assert table["Audit accuracy"][1] == headline.short(share(0, n))


def test_flips_against_the_first_are_shown_as_images(audited: Project) -> None:
    with audited.store.read() as unit:
        ids, _, _ = unit.labels.arrays("audit")
    add_model(audited, 1, 1)
    add_model(audited, 2, len(ids))
    add_model(audited, 3, 0)
    columns = model_comparison.compare(
        audited, [one.model for one in reversed(model_shelf.shelf(audited))]
    )
    assert [one.gained.tolist() for one in columns] == [[], ids[1:].tolist(), []]
    assert [one.lost.tolist() for one in columns] == [[], [], ids[:1].tolist()]
    truth = columns[0].audit.truth
    predicted = columns[1].audit.predicted
    assert columns[1].macro_f1 == pytest.approx(
        f1_score(truth, predicted, average="macro", labels=np.unique(truth))
    )
    assert columns[0].log_loss == pytest.approx(
        log_loss(truth, columns[0].audit.probs, labels=[0, 1])
    )


def test_what_is_kept_of_a_model_is_shown(open_app: Run, audited: Project) -> None:
    add_model(audited, 1, 1)
    app = open_app(audited, "models")
    text = " ".join(one.value for one in app.markdown)
    assert "Learned from" in text
    assert f"`{'a' * 12}…`" in text, "the label set"
    assert "not kept then" in text, "the weights of a model of before"
    assert "torch 2\\.15" in text


def test_a_card_on_the_page_is_read_letter_by_letter() -> None:
    shown = models_export._shown("# Model 1 of :red\\[x\\]\n\n## Data\n\nat 10:20, a: b")
    assert shown == "#### Model 1 of :\u2060red\\[x\\]\n\n##### Data\n\nat 10:20, a: b"


@pytest.fixture
def page(audited: Project, tmp_path: Path) -> Iterator[Page]:
    if browsers.chromium() is None:
        pytest.skip("no Chromium on this machine")
    for number in (1, 2, 3):
        add_model(audited, number, number)
    running = browsers.start_app(audited.root, tmp_path / "server")
    try:
        with browsers.shared() as chromium:
            opened = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
            opened.set_default_timeout(browsers.PATIENCE)
            opened.goto(running.page("models"))
            yield opened
            opened.context.close()
    finally:
        running.stop()


def test_in_a_browser(page: Page, audited: Project, tmp_path: Path) -> None:
    expect(page.get_by_text("Put another in use before you delete it.")).to_be_visible()
    page.get_by_text("Model card", exact=True).click()
    expect(page.get_by_role("heading", name="Limits")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download MODEL_CARD.md").click()
    card = download.value.path().read_text("utf-8")
    assert card.startswith("# Model 3 of pets\n")
    table = page.locator("[data-testid=stDataFrame] canvas").first
    for row, shown in ((2, "Model 3: became right 1"), (3, "Model 3: became right 2")):
        table.click(position={"x": 16, "y": 17 + 35 * row}, force=True)
        expect(page.locator("button", has_text=shown)).to_be_visible()
    page.screenshot(path=tmp_path / "compared.png")
    page.locator("button", has_text="Model 3: became right 2").click()
    figures = page.locator(".lb-gallery figure")
    expect(figures).to_have_count(2)
    expect(figures.first).to_contain_text("was ")
    assert [one.model for one in audit_seal.shown(audited)] == [3]
    page.get_by_role("button", name="Delete models 1, 2").click()
    page.get_by_role("button", name="Delete the files").click()
    expect(page.get_by_text("Models 1, 2 deleted")).to_be_visible()
    expect(page.get_by_text("nothing left to compare")).to_be_visible()
    with audited.store.read() as unit:
        assert [one.deleted_at is not None for one in unit.models.all()] == [True, True, False]
