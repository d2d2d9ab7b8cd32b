"""Images sent through the API: limited, with safe names, imported by a job."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from labeller import jobs
from labeller.api import limits
from labeller.project import Project, change_settings
from labeller.services import uploading


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what arrives to the test."""
    monkeypatch.setattr("labeller.services.watching.ensure", lambda _project: None)


@pytest.fixture
def project(project: Project) -> Project:
    """The project of the other tests; nobody starts its jobs."""
    return change_settings(project, start_workers=False, workers=1)


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (shade, 90, 10)).save(buffer, "PNG")
    return buffer.getvalue()


def send(client: TestClient, *files: tuple[str, bytes]) -> Any:
    return client.post("/items", files=[("images", (n, data, "image/png")) for n, data in files])


def arrivals(project: Project) -> list[Path]:
    return sorted(path for path in (project.root / "arrivals").rglob("*") if path.is_file())


def test_images_are_kept_then_imported(client: TestClient, project: Project) -> None:
    answer = send(client, ("new.png", png(3)), ("same.png", png(3)), ("bad.png", b"no picture"))
    assert answer.status_code == 202
    told = answer.json()
    assert [one["name"] for one in told["files"]] == ["new.png", "same.png", "bad.png"]
    digest = hashlib.sha256(png(3)).hexdigest()
    assert [one["sha256"] for one in told["files"]][:2] == [digest] * 2
    assert {one["item"] for one in told["files"]} == {None}
    assert len(arrivals(project)) == 3
    done = jobs.run(project, told["job"])
    assert done is not None
    assert done.result is not None
    assert (done.result["added"], done.result["known"], done.result["failed"]) == (1, 1, 1)
    assert arrivals(project) == []
    with project.store.read() as unit:
        item = unit.items.by_hash(digest)
    assert item is not None
    assert item.copied
    assert project.file(item.path).read_bytes() == png(3)
    again = send(client, ("again.png", png(3))).json()
    assert again["files"][0]["item"] == item.id


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/passwd.png", "passwd.png"),
        ("C:\\Windows\\x.png", "x.png"),
        ("/abs/ünïcode.JPG", "ünïcode.JPG"),
        ("..", "_"),
        ("x" * 300 + ".png", "x" * 200 + ".png"),
    ],
)
def test_names_lead_nowhere(client: TestClient, project: Project, name: str, kept: str) -> None:
    answer = send(client, (name, png(9)))
    assert answer.status_code == 202
    assert answer.json()["files"][0]["name"] == kept
    (path,) = arrivals(project)
    assert path.name == kept
    assert path.parents[2] == project.root / "arrivals"


@pytest.mark.parametrize("name", ["list.csv", "all.zip", "x.tsv", "notes.txt", "run.exe"])
def test_only_images_are_taken(client: TestClient, project: Project, name: str) -> None:
    answer = send(client, ("fine.png", png(1)), (name, b"path\n/etc/passwd\n"))
    assert answer.status_code == 400
    assert "is no image, by its name and its bytes" in answer.json()["detail"]
    assert arrivals(project) == []
    with project.store.read() as unit:
        assert unit.jobs.all() == []


@pytest.mark.parametrize("name", ["scan.0001", "frame.dat", "photo.txt", "bare"])
def test_images_are_known_by_their_bytes(client: TestClient, project: Project, name: str) -> None:
    answer = send(client, (name, png(7)))
    assert answer.status_code == 202, answer.text
    done = jobs.run(project)
    assert done is not None
    assert done.result is not None
    assert done.result["added"] == 1
    with project.store.read() as unit:
        assert unit.items.by_hash(hashlib.sha256(png(7)).hexdigest()) is not None


def test_what_arrives_during_an_import_comes_next(client: TestClient, project: Project) -> None:
    first = send(client, ("a.png", png(1))).json()["job"]
    assert first is not None
    assert send(client, ("b.png", png(2))).json()["job"] is None
    jobs.run(project, first)
    assert [path.name for path in arrivals(project)] == ["b.png"]
    job = uploading.import_arrivals(project)
    assert job is not None
    jobs.run(project, job.id)
    assert not uploading.waiting(project)
    with project.store.read() as unit:
        assert unit.items.count().items == 14


def test_limits_and_access(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/items", json={}).status_code == 422
    assert client.post("/items", files={"other": ("x.png", png(1))}).status_code == 400
    assert client.post("/items", content=(b"x" for _ in range(3))).status_code == 411
    monkeypatch.setattr(limits, "MOST_UPLOAD_BYTES", 100)
    assert send(client, ("x.png", png(1))).status_code == 413
    monkeypatch.undo()
    del client.headers["Authorization"]
    assert send(client, ("x.png", png(1))).status_code == 401


def test_a_full_disk_is_said(
    client: TestClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.durable.os.fsync", full)
    answer = send(client, ("x.png", png(1)))
    assert answer.status_code == 400
    assert "No space left on device" in answer.json()["detail"]
    assert arrivals(project) == []
    shutil.rmtree(project.root / "arrivals")
    assert not uploading.waiting(project)
