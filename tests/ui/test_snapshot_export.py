"""The button on the models page that exports a snapshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from labeller.jobs import worker
from labeller.project import Project
from labeller.services import snapshots
from store.records import NewModel

Run = Callable[..., AppTest]


@pytest.fixture
def with_model(project: Project) -> Project:
    """A project with a model's row."""
    with project.store.write() as unit:
        classes = tuple(one.id for one in unit.classes.all())
        started = unit.rounds.start("margin", 6, None, 0, 0)
        made = NewModel("models/x", "a" * 64, 0, 0, "b", "CPU", classes, {}, {}, {}, {})
        model = unit.models.add(made, started.id)
        unit.rounds.finish(started.id, "done", model_id=model.id)
    return project


def test_a_snapshot_is_exported(open_app: Run, with_model: Project, tmp_path: Path) -> None:
    folder = f"snapshot_folder_{with_model.id}"
    app = open_app(with_model, "models")
    assert not app.exception
    assert Path(str(app.text_input(key=folder).value)).parent == with_model.root / "exports"
    app.text_input(key=folder).set_value(str(with_model.root)).run()
    app.button(key="snapshot_export").click().run()
    assert any("is not an empty folder" in error.value for error in app.error)
    target = tmp_path / "snapshot"
    app.text_input(key=folder).set_value(str(target)).run()
    app.button(key="snapshot_export").click().run()
    assert not app.exception
    assert app.button(key="snapshot_export").disabled
    with with_model.store.read() as unit:
        (job,) = unit.jobs.active(snapshots.KIND)
    worker.run(with_model, job.id)
    app = open_app(with_model, "models")
    assert not app.exception
    assert any("12 items and 0 labels" in caption.value for caption in app.caption)
    assert str(target) in [code.value for code in app.code]
    assert (target / "snapshot.json").is_file()
