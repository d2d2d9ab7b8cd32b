"""Keyed predictions of images that are no items, by a model in a process of its own."""

from __future__ import annotations

import csv
import json
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller.errors import ImageError, JobCancelled, PredictionError
from labeller.learning import prediction_worker
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project, create_project
from labeller.services import classes as class_service
from labeller.services import predicting, prediction_service
from labeller.services.import_sources import Candidate
from labeller.services.predicting import Predictor
from labeller.services.prediction_files import STAGE, predict_to_file
from labeller.services.prediction_partial import TWICE
from labeller.services.prediction_service import Resident
from labeller.squares import square_of
from store.vectors import VectorFile
from tests.labeller.learning.shapes import CLASSES, picture, trained


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a model, trained for a moment."""
    return trained(tmp_path_factory.mktemp("trained") / "p")


def pool_probs(project: Project) -> dict[str, list[float]]:
    """Return what the round predicted, by file name."""
    with project.store.read() as unit:
        model = unit.models.in_use()
        assert model is not None
        kept = unit.predictions.get(model.id)
        assert kept is not None
        items = unit.items.page(order="oldest")
    tag = Path(kept.file).stem.removeprefix("predictions-")
    file = VectorFile.open(project.file(kept.file), 3, "float32", tag)
    rows = file.read(np.array([item.id for item in items]))
    return {Path(item.path).name: row.tolist() for item, row in zip(items, rows, strict=True)}


def rows_of(path: Path) -> dict[str, Mapping[str, Any]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {row["key"]: row for row in rows if row["error"] != TWICE}


def test_all_kinds_of_sources_in_one_go(project: Project, tmp_path: Path) -> None:
    images = project.root / "images"
    (tmp_path / "bad.jpg").write_bytes((images / "0001.png").read_bytes()[:300])
    table = tmp_path / "list.csv"
    lines = [f"{name},{images / name}" for name in ("0000.png", "0001.png")]
    lines += ["=odd,bad.jpg", f"again,{images / '0002.png'}", f"again,{images / '0003.png'}"]
    table.write_text("\n".join(["key,path", *lines, "gone,none.png"]), "utf-8")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(images / "0005.png", "deep/five.png")
    out = tmp_path / "out.jsonl"
    report = predict_to_file(project, [table, images, tmp_path / "more.zip"], out)
    assert (report.predicted, report.failed, report.resumed) == (44, 3, 0)
    found = rows_of(out)
    pool = pool_probs(project)
    for key, name in {
        "list.csv/0000.png": "0000.png",
        "list.csv/again": "0002.png",
        "images/0007.png": "0007.png",
        "more.zip/deep/five.png": "0005.png",
    }.items():
        row = found[key]
        assert list(row["probabilities"]) == list(CLASSES)
        np.testing.assert_allclose(list(row["probabilities"].values()), pool[name], atol=2e-3)
        assert row["class"] == max(row["probabilities"], key=row["probabilities"].get)
        assert row["confidence"] == max(row["probabilities"].values())
        assert row["error"] is None
    torn = found["list.csv/=odd"]
    assert (torn["class"], torn["energy"], torn["probabilities"]) == (None, None, {})
    assert "truncated" in torn["error"]
    assert found["list.csv/again"]["error"] is None
    assert TWICE in out.read_text("utf-8")
    assert not list(tmp_path.glob(".*"))


def test_it_goes_on_where_it_stopped(project: Project, tmp_path: Path) -> None:
    class Stops(Silent):
        seen = 0

        def update(
            self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
        ) -> None:
            self.seen = done if stage == STAGE else 0

        def check(self) -> None:
            if self.seen >= 7:
                raise JobCancelled("Stopped.")

    images, out = project.root / "images", tmp_path / "out.csv"
    with pytest.raises(JobCancelled):
        predict_to_file(project, [images], out, progress=Stops())
    (partly,) = tmp_path.glob(".out.csv.partial")
    assert not out.exists()
    with partly.open("a", encoding="utf-8") as file:
        file.write('{"key": "0030.p')  # as a crash leaves it
    report = predict_to_file(project, [images], out)
    assert (report.predicted, report.failed, report.resumed) == (40, 0, 7)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pool = pool_probs(project)
    assert sorted(row["key"] for row in rows) == sorted(pool)
    for row in rows:
        mine = [float(row[f"p({name})"]) for name in CLASSES]
        np.testing.assert_allclose(mine, pool[row["key"]], atol=2e-3)
    assert not list(tmp_path.glob(".*"))


def test_a_process_that_stays(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [(f"k{n}", str(project.root / "images" / f"{n:04}.png")) for n in range(3)]
    one = Resident()
    first = {row["key"]: row for row in one.predict(project, files)}
    assert one._predictor is not None
    process = one._predictor._pool._workers[0].process
    assert sorted(first) == ["k0", "k1", "k2"]
    with project.store.read() as unit:
        bars, disc, _ = unit.classes.all()
    class_service.merge(project, disc.id, bars.id)  # merged classes are predicted as one
    again = {row["key"]: row for row in one.predict(project, files)}
    assert process.poll() is None, "the same process answers"
    for key, row in again.items():
        before = first[key]["probabilities"]
        assert row["probabilities"] == pytest.approx(
            {"bars": before["bars"] + before["disc"], "noise": before["noise"]}, abs=1e-6
        )

    def unreadable() -> Iterator[tuple[str, str]]:
        yield files[0]
        raise OSError("cut short")

    with pytest.raises(OSError, match="cut short"):
        one.predict(project, unreadable())
    assert process.poll() is not None, "answers nobody took must not reach the next who asks"
    monkeypatch.setattr(prediction_service, "IDLE_SECONDS", 0.05)
    assert len(one.predict(project, files[:1])) == 1
    waited = time.monotonic() + 60
    while getattr(one, "_predictor") and time.monotonic() < waited:  # noqa: B009 - it changes
        time.sleep(0.05)
    assert getattr(one, "_predictor") is None  # noqa: B009


SLOW = """
import sys, time
for line in sys.stdin:
    time.sleep(1)
    print("{}", flush=True)
"""


def test_whoever_waits_for_the_model_leaves_the_cores_to_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "COMMAND", (sys.executable, "-c", SLOW))
    checks: list[float] = []

    def check() -> None:
        checks.append(time.monotonic())
        if checks[-1] - checks[0] > 1:
            raise JobCancelled("Stopped.")

    steps = iter([Candidate("a", "a.png", PurePosixPath(), key="a")])
    with Predictor(project) as one, pytest.raises(JobCancelled):
        list(one.stream(steps, check))
    assert 3 < len(checks) < 20, "a few times a second, not without a pause"


def test_what_the_worker_says_of_images(project: Project, tmp_path: Path) -> None:
    with project.store.read() as unit:
        record = unit.models.in_use()
    assert record is not None
    model = load_model(project, record)
    Image.fromarray(picture(1, 99)).save(tmp_path / "a.png")
    pixels = square_of(tmp_path / "a.png", model.predictor.resize, 10**6)
    missing = ImageError("there is no such file any more", "Put it back.")
    told, bad = prediction_worker.answers(model, [pixels, missing])
    assert bad == {"reason": missing.reason, "mend": missing.mend}
    assert prediction_worker.answers(model, [missing]) == [bad]
    logits = model.predictor.on_pixels(pixels[None])[0].astype(float) / model.temperature
    weights = np.exp(logits)
    np.testing.assert_allclose(told["probs"], weights / weights.sum(), atol=1e-6)
    assert told["energy"] == pytest.approx(-np.log(weights.sum()), abs=1e-6)


def test_what_cannot_be_predicted(project: Project, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"\.csv or \.jsonl, not \.txt"):
        predict_to_file(project, [project.root / "images"], tmp_path / "out.txt")
    with pytest.raises(PredictionError, match="has no model yet"):
        Predictor(create_project(tmp_path / "empty", ["a", "b"]))
    other = {"project": project.id, "sources": [], "model": 7, "classes": list(CLASSES)}
    (tmp_path / ".out.jsonl.partial").write_text(json.dumps(other) + "\n")
    with pytest.raises(PredictionError, match="was begun with model 7"):
        predict_to_file(project, [project.root / "images"], tmp_path / "out.jsonl")
