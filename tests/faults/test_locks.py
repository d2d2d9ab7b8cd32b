"""A database that another program locks: writes are refused in time, everything else goes on."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from labeller import tokens
from labeller.api.app import create_api
from labeller.project import Project
from store import plain, turns
from tests.cards import queued_project

CLIENTS = 60


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    return queued_project(tmp_path / "animals", items=CLIENTS)


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Hold the write lock, as another program would."""
    with closing(sqlite3.connect(project.root / "labeller.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


class Annotators:
    """Sixty people, each of whom sends one label again and again until it is acknowledged."""

    def __init__(self, client: TestClient, project: Project) -> None:
        self.client = client
        with project.store.read() as unit:
            self.class_id = unit.classes.all()[0].id
            self.items = [item.id for item in unit.items.page(limit=CLIENTS)]
        self.headers = {"Authorization": f"Bearer {tokens.make(project, 'ann', 'page')}"}
        self.answers: list[tuple[int, float]] = []
        self.threads = [threading.Thread(target=self._label, args=(item,)) for item in self.items]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def _label(self, item: int) -> None:
        event = {"key": f"k{item}", "kind": "label", "item": item, "class_id": self.class_id}
        while True:
            begun = time.monotonic()
            answer = self.client.post(
                "/labels", json={"session": f"s{item}", "events": [event]}, headers=self.headers
            )
            self.answers.append((answer.status_code, time.monotonic() - begun))
            if answer.status_code == 200:
                return
            assert answer.status_code == 503, answer.text
            assert "locked" in answer.json()["detail"]
            assert answer.headers["Retry-After"]
            time.sleep(0.2)


def hold_while_others_label(project: Project, seconds: float) -> Annotators:
    """Lock the database while sixty label, and read meanwhile."""
    with TestClient(create_api()) as client:
        people = Annotators(client, project)
        reads = 0
        with locked(project):
            people.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                assert client.get("/health").status_code == 200
                assert client.get("/status", headers=people.headers).status_code == 200
                reads += 1
                time.sleep(0.05)
            assert not any(status == 200 for status, _ in people.answers)
            assert any(status == 503 for status, _ in people.answers)
        people.join()
    assert reads > seconds  # writers that wait leave threads to who reads
    return people


def check_labels(project: Project) -> None:
    with project.store.read() as unit:
        assert unit.items.count().labelled == CLIENTS
        assert unit.budget.get().spent == CLIENTS
        assert len(unit.labels.recent(limit=1_000)) == CLIENTS


def test_reads_and_health_go_on_and_every_label_arrives_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "BUSY_SECONDS", 1.0)
    monkeypatch.setattr(turns, "STUCK_SECONDS", 0.3)
    hold_while_others_label(project, 3.0)
    check_labels(project)


@pytest.mark.faults
def test_nobody_waits_longer_than_ten_seconds_in_all(project: Project) -> None:
    people = hold_while_others_label(project, 25.0)
    check_labels(project)
    refused = [seconds for status, seconds in people.answers if status == 503]
    assert max(refused) < 10 + 5  # what a busy machine adds


def test_a_job_waits_longer_than_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "BUSY_SECONDS", 10.0)
    plain.wait_longer(60.0)
    assert plain.BUSY_SECONDS == 60.0
