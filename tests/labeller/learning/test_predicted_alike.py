"""The command, the API and the job say the same of the same images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

from labeller import jobs, tokens
from labeller.api.app import create_api
from labeller.cli import cli
from labeller.project import Project
from labeller.services import prediction_index, predictions
from labeller.services.prediction_index import Wanted
from labeller.services.prediction_plans import folder_of
from labeller.services.prediction_service import resident
from tests.labeller.learning.shapes import picture, trained

Found = dict[str, Mapping[str, Any]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a model, trained for a moment."""
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    return trained(tmp_path / "p")


def by_command(project: Project, photos: Path) -> Found:
    out = photos.parent / "out.jsonl"
    given = ["predict", str(project.root), str(photos), "--out", str(out), "--json"]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 0, done.output
    return {row["key"]: row for row in map(json.loads, out.read_text("utf-8").splitlines())}


def by_api(project: Project, photos: Path) -> Found:
    files = [("images", (file.name, file.read_bytes())) for file in photos.iterdir()]
    headers = {"Authorization": f"Bearer {tokens.make(project, 'anna')}"}
    try:
        with TestClient(create_api(), headers=headers) as client:
            lines = client.post("/predict", files=files).text.splitlines()
    finally:
        resident(project).close()
    return {row["key"]: row for row in map(json.loads, lines)}


def by_job(project: Project, photos: Path) -> Found:
    """Read the rows as the page does."""
    number = int(predictions.start(project, lambda _: [photos]).params["prediction"])
    done = jobs.run(project)
    assert done is not None
    assert done.state == "done", done.error
    folder = folder_of(project, number)
    rows = prediction_index.read_rows(folder)
    shown = [
        row
        for part in (Wanted(), Wanted("errors"))
        for row in prediction_index.read(
            folder, rows, prediction_index.find(rows, part, None).tolist()
        )
    ]
    return {
        row.key: {
            "class": row.class_name,
            "confidence": row.confidence,
            "energy": row.energy,
            "probabilities": row.probs,
            "error": row.error,
            "mend": row.mend,
        }
        for row in shown
    }


def test_all_ways_to_predict_say_the_same(project: Project, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(40):
        image = Image.fromarray(picture(number % 3, 900 + number, 60))
        image.save(photos / f"{number:02}.{'png' if number % 2 else 'jpg'}")
    (photos / "torn.jpg").write_bytes((photos / "00.jpg").read_bytes()[:300])
    (photos / "text.png").write_text("hello")
    project.store.close()
    command, api, job = (by(project, photos) for by in (by_command, by_api, by_job))
    assert command.keys() == api.keys() == job.keys()
    assert {key for key, row in job.items() if row["error"]} == {"torn.jpg", "text.png"}
    for key, row in job.items():
        for other in (command[key], api[key]):
            assert (row["class"], row["error"], row["mend"]) == (
                other["class"],
                other["error"],
                other["mend"],
            )
            if row["error"] is None:
                # batches of other sizes add up in another order
                assert row["confidence"] == pytest.approx(other["confidence"], abs=1e-5)
                assert row["energy"] == pytest.approx(other["energy"], abs=1e-4)
                assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
