"""The models page: the table, what can be done with one model, two side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project
from labeller.services import audit_files, importing, labelling, model_comparison, model_shelf
from labeller.services.labelling import Act
from labeller.ui import models_page
from store.records import NewModel
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
    rows = models_page.comparison_rows(columns)
    assert f"{n - 1} became right, 0 wrong" in rows[1][f"Against model {old.id}"]
    by_class = models_page.class_rows(columns, names)
    assert {row["Class"] for row in by_class} <= {"cat", "dog"}
    assert sum(int(row["Audit items"]) for row in by_class) == n
