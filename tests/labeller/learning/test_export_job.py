"""A model as files for elsewhere: each says what the model says, and the card says how well."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from labeller.errors import ExportError
from labeller.learning import exported, heads, training
from labeller.learning.export_job import run_export_job
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project
from labeller.services import model_shelf
from labeller.squares import Bytes, square_of
from store.errors import Conflict
from store.records import ModelRecord
from tests.labeller.learning.shapes import CLASSES, label, run, shapes


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two models, trained for a moment."""
    made = shapes(tmp_path_factory.mktemp("exported") / "p", 60, start_workers=False)
    label(made, range(1, 51))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=30))
        patch.setattr(training, "FEW", 1)
        run(made)
        run(made)
    return made


@pytest.fixture(scope="module")
def result(project: Project) -> dict[str, Any]:
    """What an export in every format says, entered as a finished job."""
    formats = list(model_shelf.FILES)
    with project.store.write() as unit:
        unit.jobs.add(model_shelf.KIND, {"model": 2, "formats": formats}, exclusive=True)
        job = unit.jobs.claim("here", 1)
    assert job is not None
    found = run_export_job(project, job, Silent())
    with project.store.write() as unit:
        assert unit.jobs.finish(job.id, "done", found)
    return found


def model(project: Project, number: int) -> ModelRecord:
    with project.store.read() as unit:
        return unit.models.get(number)


def pixels(project: Project, side: int, first: int, n: int) -> Bytes:
    files = sorted((project.root / "images").glob("*.png"))[first : first + n]
    return np.stack([square_of(file, side, 10**6) for file in files])


def test_onnx_says_what_torch_says(project: Project, result: dict[str, Any]) -> None:
    trained = load_model(project, model(project, 2))
    images = pixels(project, trained.predictor.side, 20, 33)
    images[0] = 0  # nothing changes anywhere: no edge has a direction
    images[1, :, :32] = 200
    logits = trained.predictor.on_pixels(images) / trained.temperature
    wanted = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted /= wanted.sum(axis=1, keepdims=True)
    whole = exported.probabilities(exported.Whole(trained), images)
    np.testing.assert_allclose(whole, wanted, atol=5e-3)  # items have features in half precision
    folder = Path(result["folder"])
    found = exported.onnx_probabilities(folder / "model.onnx", images)
    np.testing.assert_allclose(found, whole, atol=1e-4)
    small = exported.onnx_probabilities(folder / "model-int8.onnx", images)
    assert np.abs(small - wanted).max() < 0.2
    assert (small.argmax(1) == wanted.argmax(1)).mean() > 0.9


def test_each_file_is_compared_with_the_model(project: Project, result: dict[str, Any]) -> None:
    (shelved, _) = model_shelf.shelf(project)
    assert shelved.export is not None
    assert (shelved.export.split, shelved.export.n) == ("audit", 11)
    checks = {check.name: check for check in shelved.export.checks}
    assert set(checks) == set(model_shelf.FILES.values())
    assert checks["model.onnx"].largest < 1e-4
    assert checks["learner.pkl"].largest < 0.02
    assert checks["model.onnx"].accuracy == checks["model.onnx"].model_accuracy
    assert checks["model-int8.onnx"].bytes < checks["model.onnx"].bytes / 2
    for check in checks.values():
        assert check.bytes == (shelved.export.folder / check.name).stat().st_size
    kept = json.loads((shelved.export.folder / "classes.json").read_text("utf-8"))
    assert kept["classes"] == list(CLASSES)
    card = (shelved.export.folder / "MODEL_CARD.md").read_text("utf-8")
    for part in ("Intended use", "Data", "Metrics", "Limits", "Files", "Provenance"):
        assert f"## {part}" in card
    assert model(project, 2).label_hash[:16] in card
    assert "| bars | " in card


def test_the_file_stands_alone(project: Project, result: dict[str, Any]) -> None:
    session = onnxruntime.InferenceSession(str(Path(result["folder"]) / "model.onnx"))
    (given,) = session.get_inputs()
    assert (given.name, given.type) == ("pixels", "tensor(uint8)")
    assert given.shape[1:] == [64, 64, 3]
    one = session.run(None, {"pixels": pixels(project, 64, 0, 1)})[0]
    assert one.shape == (1, 3)
    assert one.sum() == pytest.approx(1, abs=1e-5)


def test_going_back_and_deleting(project: Project, tmp_path: Path) -> None:
    own = Project(project.root, project.settings, project.store)
    assert [one.model.in_use for one in model_shelf.shelf(own)] == [True, False]
    with pytest.raises(Conflict, match="in use"):
        model_shelf.delete(own, 2)
    assert model_shelf.use(own, 1).in_use
    kept = tmp_path / "kept"
    shutil.copytree(own.file(model(own, 2).path), kept)
    size = model_shelf.shelf(own)[0].bytes
    assert size > sum(file.stat().st_size for file in kept.iterdir())
    assert model_shelf.delete(own, 2) == size
    gone = model_shelf.shelf(own)[0]
    assert (gone.bytes, gone.model.deleted_at is not None) == (0, True)
    assert not own.file(gone.model.path).exists()
    assert not list(own.vectors.glob("predictions-*"))
    assert gone.model.metrics["n"] == 11
    with pytest.raises(Conflict, match="was deleted"):
        model_shelf.use(own, 2)
    with pytest.raises(ExportError, match="was deleted"):
        model_shelf.start_export(own, 2, ["onnx"])
    with pytest.raises(ExportError, match="'tflite' is no format"):
        model_shelf.start_export(own, 1, ["tflite"])
    with pytest.raises(ExportError, match="Nothing is no format"):
        model_shelf.start_export(own, 1, [])
