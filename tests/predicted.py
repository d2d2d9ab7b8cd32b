"""Predictions by a small process in the model's place: what it says follows from a file's bytes."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labeller import jobs
from labeller.project import Project
from labeller.services import audit_files, energies, predictions
from store.records import JobRecord, NewModel
from store.vectors import VectorFile

WORKER = """
import json, sys, zlib
config = json.loads(sys.stdin.readline())
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    try:
        data = open(json.loads(line)["path"], "rb").read()
    except OSError:
        data = b""
    share = zlib.crc32(data) % 1000 / 1000
    good = {"probs": [share, 1 - share], "energy": -10 * share}
    bad = {"reason": "it is text, no image", "mend": "Remove it."}
    print(json.dumps(good if data[:4] == b"\\x89PNG" else bad), flush=True)
"""
COMMAND = (sys.executable, "-c", WORKER)
THRESHOLD = -2.0


def share_of(file: Path) -> float:
    """Return the probability of the first of two classes that the process gives an image."""
    return zlib.crc32(file.read_bytes()) % 1000 / 1000


def add_model(project: Project, threshold: float | None = THRESHOLD) -> int:
    """Register a model of the first two classes and put it in use."""
    told = energies.Familiarity(threshold, 250, 250).to_json()
    with project.store.write() as unit:
        classes = tuple(one.id for one in unit.classes.all())[:2]
        started = unit.rounds.start("margin", 6, None, 0, 0)
        metrics = {energies.KEY: told}
        made = NewModel("models/1", "a" * 64, 9, 0, "b", "CPU", classes, {}, metrics, {}, {})
        return unit.models.add(made, started.id).id


def add_audited_model(project: Project, shares: Sequence[float]) -> None:
    """Add a model that gave an audit set, items 1, 2, …, these probabilities of a cat."""
    number = add_model(project)
    folder = project.models / "1"
    folder.mkdir()
    ids = np.arange(1, len(shares) + 1)
    probs = np.column_stack([shares, 1 - np.array(shares)])
    audit_files.write(folder, ids, probs)
    nothing = np.empty(0, np.int64)
    np.savez(folder / audit_files.LABELLED, item_ids=nothing, class_ids=nothing, probs=probs[:0])
    path = project.vectors / "predictions-1.f32"
    VectorFile.open(path, 2, "float32", "1").write(ids, probs.astype(np.float32))
    told = VectorFile.open(energies.path_of(path), 1, "float32", "1")
    told.write(ids, -10 * probs[:, :1].astype(np.float32))
    with project.store.write() as unit:
        unit.predictions.add(number, "vectors/predictions-1.f32", len(ids), 1.0)


def predict(project: Project, *sources: Path, **given: Any) -> int:
    """Start a prediction, do its job in this process, and return its number."""
    job = predictions.start(project, given.pop("find", lambda _: list(sources)), **given)
    done = run(project)
    assert (done.id, done.state) == (job.id, "done"), done.error
    return int(job.params["prediction"])


def run(project: Project) -> JobRecord:
    """Do the job that waits and return how it ended."""
    done = jobs.run(project)
    assert done is not None
    return done


def uploading(*files: Path) -> Callable[[Path], list[Path]]:
    """Return a finder that puts files into the prediction's folder, as an upload does."""

    def find(folder: Path) -> list[Path]:
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
        return [folder]

    return find
