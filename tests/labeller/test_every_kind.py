"""Each kind of job as the product does it: entered by its service, done by a worker's processes.

What a job needs must be there in a process that did nothing else before. libmagic is hidden from
all of them, as on a slim machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller import jobs
from labeller.jobs import control
from labeller.jobs.kinds import KINDS
from labeller.project import Project, create_project
from labeller.services import (
    backups,
    cleaning,
    model_shelf,
    pool_predictions,
    predictions,
    propagation,
    replay_files,
    replays,
    rounds,
    snapshots,
    streams,
    synthesis,
)
from labeller.services.prediction_index import RESULT
from labeller.services.prediction_plans import folder_of
from labeller.services.propagation import PropagationPlan
from labeller.services.snapshot_restore import restore_snapshot
from labeller.services.streams_plan import StreamPlan
from labeller.services.synthesis import SynthesisPlan
from store.records import JobRecord
from tests.labeller.learning.shapes import CLASSES, picture

ROOT = Path(__file__).resolve().parents[2]
LABELLED, FREE, NEW = 16, 12, 4  # of each class, of no class, and images to predict
HIDE_LIBMAGIC = """
import ctypes, ctypes.util
real = ctypes.CDLL
def missing(name, *rest, **more):
    if name and "magic" in str(name):
        raise OSError(f"{name}: cannot open shared object file")
    return real(name, *rest, **more)
ctypes.CDLL = missing
ctypes.util.find_library = lambda name: None
"""

# What a user of the files writes; arguments: folder, file, images.
WITH_ONNX = """
import json, sys
import numpy as np, onnxruntime
from pathlib import Path
from PIL import Image
folder, file, *images = sys.argv[1:]
about = json.loads((Path(folder) / "classes.json").read_text("utf-8"))
size = about["side"], about["side"]
pixels = [Image.open(one).convert("RGB").resize(size, Image.Resampling.BILINEAR) for one in images]
session = onnxruntime.InferenceSession(str(Path(folder) / file))
probs = session.run(None, {"pixels": np.stack([np.asarray(one) for one in pixels])})[0]
assert not any(name.partition(".")[0] in ("torch", "labeller") for name in sys.modules)
print(json.dumps(probs.tolist()))
"""
WITH_FASTAI = """
import json, sys
from pathlib import Path
from fastai.learner import load_learner
folder, file, *images = sys.argv[1:]
about = json.loads((Path(folder) / "classes.json").read_text("utf-8"))
learner = load_learner(Path(folder) / file)
assert list(learner.dls.vocab) == about["classes"]
print()
print(json.dumps([learner.predict(one)[2].tolist() for one in images]))
"""

Ended = dict[str, JobRecord]
Predicted = dict[Path, tuple[str, tuple[float, ...]]]


def draw(folder: Path, kind: int, seeds: range) -> None:
    folder.mkdir(parents=True)
    for seed in seeds:
        Image.fromarray(picture(kind, seed)).save(folder / f"{kind}-{seed:03}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of three classes, some of no class, and some for later."""
    made = tmp_path_factory.mktemp("kinds")
    for kind, name in enumerate(CLASSES):
        draw(made / "labelled" / name, kind, range(LABELLED))
        draw(made / "free" / name, kind, range(100, 100 + FREE))
        draw(made / "new" / name, kind, range(200, 200 + NEW))
    (made / "site").mkdir()
    (made / "site" / "sitecustomize.py").write_text(HIDE_LIBMAGIC, "utf-8")
    return made


@pytest.fixture(scope="module")
def project(home: Path) -> Project:
    """A project whose jobs wait for a worker."""
    return create_project(home / "p", CLASSES, 500.0, start_workers=False, leak_distance=0.0)


def work(project: Project, home: Path, *entered: JobRecord) -> list[JobRecord]:
    """Let a worker do what waits, and return how the jobs ended."""
    environment = {**os.environ, "PYTHONPATH": str(home / "site")}
    subprocess.run(
        [sys.executable, "-P", "-m", "labeller", "worker", str(project.root), "--once"],
        env=environment,
        cwd=home,
        check=True,
        capture_output=True,
    )
    return [control.get(project, one.id) for one in entered]


def model_in_use(project: Project) -> int:
    with project.store.read() as unit:
        model = unit.models.in_use()
    assert model is not None
    return model.id


def waiting(project: Project, kind: str) -> JobRecord:
    with project.store.read() as unit:
        (job,) = unit.jobs.active(kind)
    return job


@pytest.fixture(scope="module")
def ended(project: Project, home: Path) -> Ended:
    """All kinds of jobs, done one after the other by workers; what they need is made first."""

    def bring(folder: str, labels: str) -> JobRecord:
        sources = {"sources": [str(home / folder)], "copy": False, "labels": labels}
        (job,) = work(project, home, jobs.submit(project, "import", sources))
        return job

    imports = bring("labelled", "folders"), bring("free", "none")
    (first,) = work(project, home, rounds.start_round(project, "margin", 6))
    model = model_in_use(project)
    with project.store.write() as unit:
        unit.predictions.drop(model)
    forgotten = pool_predictions.start(project, model)
    assert forgotten is not None
    others = [
        forgotten,
        predictions.start(project, lambda _: [home / "new"]),
        replays.start(project, replays.checked(["margin"], 20, 10, 1)),
        model_shelf.start_export(project, model, tuple(model_shelf.FILES)),
        snapshots.start_export(project, home / "snapshot", "copy"),
        backups.start_backup(project, models=True, vectors=True),
        cleaning.start(project),
        synthesis.start(project, SynthesisPlan(count=6)),
    ]
    others = work(project, home, *others)
    propagation.start(project, PropagationPlan(confidence=0.4))
    (spread,) = work(project, home, waiting(project, "propagation"))
    streams.decide(project, spread.params["run"], "rolled_back", "ann")
    streams.start(project, StreamPlan(error=0.3))
    (stream,) = work(project, home, waiting(project, "stream"))
    streams.decide(project, stream.params["run"], "rolled_back", "ann")
    return {job.kind: job for job in (*imports, first, *others, stream, spread)}


@pytest.fixture(scope="module")
def predicted(project: Project, home: Path, ended: Ended) -> Predicted:
    """What the prediction says: class and probabilities of each image."""
    number = int(ended["predict"].params["prediction"])
    lines = (folder_of(project, number) / RESULT).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {
        home / "new" / row["key"]: (row["class"], tuple(row["probabilities"].values()))
        for row in rows
    }


def result_of(ended: Ended, kind: str) -> dict[str, Any]:
    assert ended[kind].state == "done", ended[kind].error
    return dict(ended[kind].result or {})


def test_there_is_a_test_for_every_kind(ended: Ended) -> None:
    assert set(ended) == set(KINDS)
    for kind in KINDS:
        assert f"test_{kind}" in globals()


def test_import(project: Project, ended: Ended) -> None:
    assert result_of(ended, "import")["added"] == 3 * FREE
    with project.store.read() as unit:
        count = unit.items.count()
    assert (count.items, count.labelled) == (3 * (LABELLED + FREE), 3 * LABELLED)


def test_round(project: Project, ended: Ended) -> None:
    assert result_of(ended, "round")["model"] == model_in_use(project)
    with project.store.read() as unit:
        assert len(unit.queue.entries()) >= 1


def test_predict_pool(project: Project, ended: Ended) -> None:
    result_of(ended, "predict_pool")
    with project.store.read() as unit:
        assert pool_predictions.there(project, unit, unit.models.get(model_in_use(project)))


def test_predict(predicted: Predicted, ended: Ended) -> None:
    assert result_of(ended, "predict")
    assert len(predicted) == 3 * NEW
    for _, probs in predicted.values():
        assert sum(probs) == pytest.approx(1, abs=1e-3)
    right = [said == path.parent.name for path, (said, _) in predicted.items()]
    assert np.mean(right) > 0.5, "three classes that look unlike each other"


def test_replay(project: Project, ended: Ended) -> None:
    result_of(ended, "replay")
    found = replay_files.read_result(Path(ended["replay"].params["out"]))
    assert found


def test_export_model(home: Path, ended: Ended, predicted: Predicted) -> None:
    """Each file, used where nothing else of the program is, says what the model says."""
    result = result_of(ended, "export_model")
    assert result["failed"] == {}
    assert {one["name"] for one in result["files"]} == set(model_shelf.FILES.values())
    for name, program, most in (
        ("model.onnx", WITH_ONNX, 0.01),  # items have features in half precision
        ("model-int8.onnx", WITH_ONNX, 0.3),
        ("learner.pkl", WITH_FASTAI, 0.01),
    ):
        command = [sys.executable, "-c", program, result["folder"], name, *map(str, predicted)]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=home, check=False)
        assert ran.returncode == 0, ran.stderr
        said = np.array(json.loads(ran.stdout.splitlines()[-1]))
        wanted = np.array([probs for _, probs in predicted.values()])
        assert np.abs(said - wanted).max() < most, name


def test_backup(project: Project, home: Path, ended: Ended) -> None:
    made = result_of(ended, "backup")
    assert made["problems"] == []
    restored = backups.restore_backup(Path(str(made["file"])), home / "restored")
    with restored.store.read() as unit:
        assert unit.items.count().labelled == made["labels"]
    assert restored.id != project.id  # the project is still where it was


def test_snapshot(home: Path, ended: Ended) -> None:
    assert result_of(ended, "snapshot")
    assert restore_snapshot(home / "snapshot", home / "again").labels == 3 * LABELLED


def test_cleaning(project: Project, ended: Ended) -> None:
    result_of(ended, "cleaning")
    found = cleaning.review(project)
    assert found is not None
    assert found.checked > 2 * LABELLED, "all but those of the audit set"


def test_synthesis(project: Project, ended: Ended) -> None:
    assert result_of(ended, "synthesis")["made"] == 6
    (run,) = synthesis.runs(project)
    for child in synthesis.children(project, run.run.id, limit=10):
        assert child.path is not None
        with Image.open(project.file(child.path)) as image:
            image.load()


def test_stream(project: Project, ended: Ended) -> None:
    result_of(ended, "stream")
    run = streams.get_run(project, ended["stream"].params["run"])
    assert (run.state, run.verdict) == ("finished", "rolled_back")
    assert run.accepted + run.asked + run.deferred > 0


def test_propagation(project: Project, ended: Ended) -> None:
    result_of(ended, "propagation")
    (view,) = streams.runs(project, "propagation")
    assert view.run.accepted > 0
