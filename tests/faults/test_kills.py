"""Processes that are killed (SIGKILL) at any moment, again and again: nothing answered is lost."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from labeller import jobs, tokens
from labeller.jobs.control import get
from labeller.project import Project, create_project
from labeller.services.importing import import_sources
from tests.browser import ROOT, RunningApp, start_app
from tests.cards import picture, queued_project, until
from tests.faults.cuts import check_images, check_jobs, check_labels, check_sent

ITEMS = 150  # for each kill


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no job but where the test says."""
    monkeypatch.setenv("LABELLER_START_WORKERS", "false")


class Annotator(threading.Thread):
    """Labels and sends images as a client should: again, with the same key, until answered."""

    def __init__(self, project: Project, app: RunningApp, items: range, stop: threading.Event):
        super().__init__()
        self.items, self.stop, self.app = items, stop, app
        first = items.start
        self.headers = {"Authorization": f"Bearer {tokens.make(project, f'person-{first}')}"}
        self.answered: list[str] = []  # as the marks of power cuts
        self.statuses: Counter[str] = Counter()

    def run(self) -> None:
        for turn, item in enumerate(self.items):
            if self.stop.is_set():
                return
            key = f"kill-{item}"
            event = {"key": key, "kind": "label", "item": item, "class": "cat"}
            told = self.ask("labels", json={"session": f"s{self.items.start}", "events": [event]})
            self.statuses[told["results"][0]["status"]] += 1
            self.answered.append(f"label {key}")
            if turn % 10 == 0:
                data = picture(1_000_000 + item, 64)
                self.ask("items", files=[("images", ("a.jpg", data))])
                self.answered.append(f"image {hashlib.sha256(data).hexdigest()}")

    def ask(self, path: str, **what: Any) -> Any:
        while True:
            try:
                url = f"{self.app.url}/api/v1/{path}"
                answer = httpx.post(url, headers=self.headers, timeout=60, **what)
                assert answer.is_success, answer.text
                return answer.json()
            except httpx.TransportError:
                time.sleep(0.02)


def kill_server(tmp_path: Path, kills: int) -> None:
    """Kill the server under four annotators, start it again, and look each time."""
    project = queued_project(tmp_path / "project", items=ITEMS * kills, side=16)
    app = start_app(project.root, tmp_path / "state", {"LABELLER_START_WORKERS": "false"})
    try:
        _kill_server(project, app, kills)
    finally:
        app.kill()


def _kill_server(project: Project, app: RunningApp, kills: int) -> None:
    rng = np.random.default_rng(3)
    stop = threading.Event()
    shares = [range(first, ITEMS * kills + 1, 4) for first in range(1, 5)]
    people = [Annotator(project, app, share, stop) for share in shares]
    for person in people:
        person.start()
    try:
        for _ in range(kills):
            time.sleep(rng.uniform(0.3, 0.8))
            app.kill(signal.SIGKILL)
            told = [text for person in people for text in list(person.answered)]
            check_labels(project, told)
            check_sent(project, told)
            app.start()
    finally:
        time.sleep(0.5)
        stop.set()
        for person in people:
            person.join(60)
    told = [text for person in people for text in person.answered]
    assert len(told) > 10 * kills
    check_labels(project, told)
    check_sent(project, told)
    check_images(project)
    with project.store.read() as unit:
        events = Counter(event.item_id for event in unit.labels.recent(limit=100_000))
    assert set(events.values()) == {1}
    statuses = sum((person.statuses for person in people), Counter[str]())
    assert statuses["accepted"] + statuses["duplicate"] == statuses.total() == len(events)


def test_labels_and_sent_images_survive_kills(tmp_path: Path) -> None:
    kill_server(tmp_path, kills=2)


@pytest.mark.faults
def test_labels_and_sent_images_survive_twenty_kills(tmp_path: Path) -> None:
    kill_server(tmp_path, kills=20)


def kill_import(project: Project, folder: Path, after: float) -> str:
    """Kill an import some seconds after it began; returns what its row says then."""
    job = jobs.submit(project, "import", {"sources": [str(folder)], "copy": True})
    command = [sys.executable, "-m", "labeller", "worker", str(project.root), "--job", str(job.id)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    until(lambda: get(project, job.id).state != "waiting", "the job is claimed")
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    check_jobs(project, [])
    return get(project, job.id).state


def kill_imports(tmp_path: Path, kills: int, images: int) -> None:
    """Kill import jobs while they run; one that is left alone then brings the rest."""
    rng = np.random.default_rng(4)
    project = create_project(tmp_path / "project", ["cat"], workers=2, thumbnail_pixels=64)
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(images):
        (folder / f"{n}.jpg").write_bytes(picture(n, 96))
    states: Counter[str] = Counter()
    for _ in range(kills):
        states[kill_import(project, folder, rng.uniform(0.0, 1.0))] += 1
        check_images(project)
    assert states["failed"], states
    report = import_sources(project, [folder], copy=True)
    assert report.failed == 0
    with project.store.read() as unit:
        assert unit.items.count().items == images
    check_images(project)


def test_imports_survive_kills(tmp_path: Path) -> None:
    kill_imports(tmp_path, kills=2, images=400)


@pytest.mark.faults
def test_imports_survive_twenty_kills(tmp_path: Path) -> None:
    kill_imports(tmp_path, kills=20, images=3_000)
