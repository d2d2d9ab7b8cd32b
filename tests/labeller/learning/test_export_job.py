"""A model as files for elsewhere: each says what the model says, and the card says how well."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from PIL import Image

from labeller.cli import cli, models
from labeller.errors import ExportError
from labeller.learning import exported, heads
from labeller.learning.export_job import run_export_job
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project, open_project
from labeller.services import model_shelf
from labeller.services.export_check import Check
from labeller.services.model_shelf import Export
from labeller.squares import Bytes, Resize, square_of
from store.errors import Conflict
from store.records import JobRecord, ModelRecord
from tests.labeller.learning.shapes import CLASSES, label, picture, run, shapes


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two models, trained for a moment."""
    made = shapes(tmp_path_factory.mktemp("exported") / "p", 60, start_workers=False)
    label(made, range(1, 51))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=30))
        run(made)
        run(made)
    return made


@pytest.fixture(scope="module")
def result(project: Project) -> dict[str, Any]:
    """What an export in every format says, entered as a finished job."""
    return export(project, 2, *model_shelf.FILES)


def export(project: Project, model: int, *formats: str) -> dict[str, Any]:
    """Export a model in this process, entered as a job."""
    with project.store.write() as unit:
        unit.jobs.add(model_shelf.KIND, {"model": model, "formats": formats}, exclusive=True)
        job = unit.jobs.claim("here", 1)
    assert job is not None
    try:
        found = run_export_job(project, job, Silent())
    except ExportError:
        with project.store.write() as unit:
            unit.jobs.finish(job.id, "failed")
        raise
    with project.store.write() as unit:
        assert unit.jobs.finish(job.id, "done", found)
    return found


def shown(project: Project, model: int) -> Export:
    """Return what the page shows of a model's export."""
    (one,) = [one for one in model_shelf.shelf(project) if one.model.id == model]
    assert one.export is not None
    return one.export


def model(project: Project, number: int) -> ModelRecord:
    with project.store.read() as unit:
        return unit.models.get(number)


def pixels(project: Project, resize: Resize, first: int, n: int) -> Bytes:
    files = sorted((project.root / "images").glob("*.png"))[first : first + n]
    return np.stack([square_of(file, resize, 10**6) for file in files])


def test_onnx_says_what_torch_says(project: Project, result: dict[str, Any]) -> None:
    trained = load_model(project, model(project, 2))
    images = pixels(project, trained.predictor.resize, 20, 33)
    images[0] = 0  # nothing changes anywhere: no edge has a direction
    images[1, :, :32] = 200
    logits = trained.predictor.on_pixels(images) / trained.temperature
    wanted = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted /= wanted.sum(axis=1, keepdims=True)
    whole = exported.probabilities(exported.Whole(trained), images)
    np.testing.assert_allclose(whole, wanted, atol=5e-3)  # items have features in half precision
    folder = Path(result["folder"])
    found = exported.onnx_probabilities(folder / "model.onnx", images)
    np.testing.assert_allclose(found, whole, atol=1e-5)
    small = exported.onnx_probabilities(folder / "model-int8.onnx", images)
    assert np.abs(small - wanted).max() < 0.2
    assert (small.argmax(1) == wanted.argmax(1)).mean() > 0.9


def test_each_file_is_compared_with_the_model(project: Project, result: dict[str, Any]) -> None:
    (shelved, _) = model_shelf.shelf(project)
    assert shelved.export is not None
    assert (shelved.export.split, shelved.export.n) == ("audit and valid", 23)
    checks = {check.name: check for check in shelved.export.checks}
    assert set(checks) == set(model_shelf.FILES.values())
    assert {check.compared for check in checks.values()} == {60}, "those without a label too"
    assert checks["model.onnx"].largest < 1e-5
    assert checks["learner.pkl"].largest < 1e-5
    assert checks["model-int8.onnx"].agree > 0.9
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
    one = session.run(None, {"pixels": pixels(project, Resize(64), 0, 1)})[0]
    assert one.shape == (1, 3)
    assert one.sum() == pytest.approx(1, abs=1e-5)


def odd_images(folder: Path) -> list[Path]:
    """Write images that fastai reads otherwise than this program: one of each kind."""
    pixels = picture(0, 7, 96)
    pixels[:30, :50] = (250, 20, 20)
    whole = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x112] = 6
    whole.save(folder / "turned.jpg", exif=turned)
    half = whole.convert("RGBA")
    half.putalpha(Image.linear_gradient("L").resize(whole.size))
    half.save(folder / "half.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 9 + 1_000).save(folder / "deep.png")
    whole.convert("CMYK").save(folder / "inks.jpg")
    return sorted(folder.iterdir())


def test_the_learner_reads_images_as_the_model_does(project: Project, tmp_path: Path) -> None:
    from fastai.learner import load_learner

    (tmp_path / "odd").mkdir()
    files = odd_images(tmp_path / "odd")
    whole = exported.Whole(load_model(project, model(project, 2)))
    pixels = np.stack([square_of(file, whole.resize, 10**6) for file in files])
    wanted = exported.probabilities(whole, pixels)
    learner = tmp_path / "learner.pkl"
    exported.write_learner(whole, CLASSES, files[0], learner, 10**6)
    np.testing.assert_allclose(exported.learner_probabilities(learner, files), wanted, atol=1e-5)

    loaded = load_learner(learner)
    with loaded.no_bar():
        for file, row in zip(files, wanted, strict=True):
            for given in (file, str(file), file.read_bytes(), Image.open(file)):
                name, _, probs = loaded.predict(given)
                assert name == CLASSES[row.argmax()]
                np.testing.assert_allclose(probs.numpy(), row, atol=1e-5)
        array = np.asarray(Image.open(tmp_path / "odd" / "inks.jpg").convert("RGB"))
        assert loaded.predict(array)[0] in CLASSES


def test_a_later_export_keeps_the_formats_that_are_there(project: Project) -> None:
    assert [one["name"] for one in export(project, 1, "onnx")["files"]] == ["model.onnx"]
    folder = model_shelf.folder_of(project, 1)
    before = (folder / "model.onnx").read_bytes()
    export(project, 1, "fastai")
    found = shown(project, 1)
    assert {check.name for check in found.checks} == {"model.onnx", "learner.pkl"}
    assert (folder / "model.onnx").read_bytes() == before
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert "| `model.onnx` |" in card
    assert "| `learner.pkl` |" in card
    names = {file.name for file in folder.iterdir()}
    assert names == {"model.onnx", "learner.pkl", "classes.json", "MODEL_CARD.md"}
    assert not [file for file in folder.parent.iterdir() if file.name.startswith(".")]


@pytest.fixture
def quick(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports without the seconds that writing ONNX takes: the files are no ONNX."""
    whole = exported.Whole(load_model(project, model(project, 1)))
    monkeypatch.setattr(exported, "write_onnx", lambda _, file: file.write_bytes(b"32"))
    monkeypatch.setattr(exported, "write_int8", lambda _, file, __: file.write_bytes(b"8"))
    monkeypatch.setattr(
        exported, "onnx_probabilities", lambda _, images: exported.probabilities(whole, images)
    )


@pytest.mark.usefixtures("quick")
def test_a_project_that_moved_shows_its_own_export(project: Project, tmp_path: Path) -> None:
    export(project, 1, "onnx")
    moved = open_project(shutil.copytree(project.root, tmp_path / "moved"))
    assert shown(moved, 1).folder == tmp_path / "moved" / "exports" / "model-1"


@pytest.mark.usefixtures("quick")
def test_an_eight_bit_export_alone_leaves_no_other_file(project: Project) -> None:
    folder = model_shelf.folder_of(project, 1)
    shutil.rmtree(folder, ignore_errors=True)
    export(project, 1, "int8")
    files = {file.name for file in folder.iterdir()}
    assert files == {"model-int8.onnx", "classes.json", "MODEL_CARD.md"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("key", ["model", "label_hash"])
def test_files_of_another_model_are_not_kept(project: Project, key: str) -> None:
    folder = model_shelf.folder_of(project, 1)
    export(project, 1, "onnx")
    about = json.loads((folder / "classes.json").read_text("utf-8"))
    (folder / "classes.json").write_text(json.dumps(about | {key: "other"}), "utf-8")
    export(project, 1, "int8")
    assert [check.name for check in shown(project, 1).checks] == ["model-int8.onnx"]


@pytest.mark.usefixtures("quick")
def test_files_on_features_of_an_earlier_version_are_written_anew(project: Project) -> None:
    folder = model_shelf.folder_of(project, 1)
    export(project, 1, "onnx")
    about = json.loads((folder / "classes.json").read_text("utf-8"))
    (folder / "classes.json").write_text(json.dumps(about | {"features": 3}), "utf-8")
    (folder / "model.onnx").write_bytes(b"of an earlier version")
    export(project, 1, "int8")
    files = {check.name for check in shown(project, 1).checks}
    assert files == {"model.onnx", "model-int8.onnx"}
    assert (folder / "model.onnx").read_bytes() == b"32"


@pytest.mark.usefixtures("quick")
def test_what_passed_is_kept_when_another_format_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("no such operator")

    shutil.rmtree(model_shelf.folder_of(project, 1), ignore_errors=True)
    monkeypatch.setattr(exported, "write_learner", broken)
    found = export(project, 1, "onnx", "fastai")
    assert [one["name"] for one in found["files"]] == ["model.onnx"]
    (reason,) = shown(project, 1).failed.values()
    assert reason.startswith("learner.pkl: cannot be made (ValueError: no such operator)")
    shutil.rmtree(model_shelf.folder_of(project, 1))
    with pytest.raises(ExportError, match="cannot be made"):
        export(project, 1, "fastai")


def test_the_command_fails_with_a_format(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = Check("model-int8.onnx", 1, 0.8, 0.9, 0.2, 0.95, low=-0.2, high=0.0)
    result = {
        "folder": "exports/model-1",
        "failed": {"learner.pkl": "learner.pkl: no."},
        "files": [asdict(lossy)],
    }

    def follow(project: Project, job: JobRecord) -> tuple[JobRecord, bool]:
        with project.store.write() as unit:
            unit.jobs.claim("here", 1, job_id=job.id)
            unit.jobs.finish(job.id, "failed")
        return replace(job, state="done", result=result), False

    monkeypatch.setattr(models, "follow", follow)
    told = CliRunner().invoke(cli, ["models", str(project.root), "--export", "1"])
    assert told.exit_code == 1
    assert "learner.pkl: no.\nThe other files are in exports/model-1." in told.stderr
    assert "model-int8.onnx loses accuracy: −10.0 (−20.0 to 0.0) points" in told.stderr


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_the_earlier_export(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(project, 1, "onnx")
    folder = model_shelf.folder_of(project, 1)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if path.name == f".{folder.name}":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ExportError, match=r"model-1: cannot be written \(No space left"):
        export(project, 1, "int8")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in folder.parent.iterdir() if file.name.startswith(".")] == []


@pytest.mark.usefixtures("quick")
def test_an_export_that_was_being_replaced_when_the_job_ended_is_put_back(
    project: Project,
) -> None:
    export(project, 1, "fastai")
    folder = model_shelf.folder_of(project, 1)
    before = {file.name for file in folder.iterdir()}
    folder.rename(folder.with_name(f".{folder.name}.earlier"))
    export(project, 1, "onnx")
    assert {file.name for file in folder.iterdir()} == before | {"model.onnx"}
    assert [one.name for one in folder.parent.iterdir() if one.name.startswith(".")] == []


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
    with pytest.raises(ExportError, match="was deleted"):  # while its export waited
        export(own, 2, "onnx")
    with pytest.raises(ExportError, match="'tflite' is no format"):
        model_shelf.start_export(own, 1, ["tflite"])
    with pytest.raises(ExportError, match="Nothing is no format"):
        model_shelf.start_export(own, 1, [])
