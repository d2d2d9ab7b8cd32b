"""Many people label while a round runs: nothing is lost or doubled, nobody is turned away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from labeller.project import Project
from tests.browser import ROOT, start_app
from tests.cards import queued_project, until
from tests.faults.crowd import CLASSES, check_crowd, work_together


def load(tmp_path: Path, people: int, seconds: float, items: int, batch: int) -> None:
    project = queued_project(tmp_path / "project", items=items, side=48, classes=CLASSES, workers=1)
    app = start_app(project.root, tmp_path / "state", {"LABELLER_START_WORKERS": "false"})
    try:
        first = work_together(project, app.url, people=1, seconds=2, think=0.02)
        with rounds_going(project, batch):
            until(lambda: "running" in states_of_rounds(project), "a round runs")
            crowd = work_together(project, app.url, people, seconds, think=0.3, first=1)
            assert not {"failed", "cancelled"} & states_of_rounds(project)
    finally:
        app.kill()
    assert check_crowd(project, [*first, *crowd]) > people
    assert all(person.answered for person in crowd), "everybody came to label"


def states_of_rounds(project: Project) -> set[str]:
    with project.store.read() as unit:
        return {job.state for job in unit.jobs.all(100) if job.kind == "round"}


@contextmanager
def rounds_going(project: Project, batch: int) -> Iterator[None]:
    """Have a process do one round after the other while the block runs."""
    one = f"{sys.executable} -m labeller round {project.root} --batch {batch} --strategy margin"
    rounds = subprocess.Popen(
        ["/bin/sh", "-c", f"while {one}; do :; done"],
        cwd=ROOT,
        env={**os.environ, "LABELLER_START_WORKERS": "true"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(rounds.pid, signal.SIGKILL)
        rounds.wait(60)


def test_eight_people_and_a_round(tmp_path: Path) -> None:
    load(tmp_path, people=8, seconds=8, items=400, batch=200)


@pytest.mark.faults
def test_fifty_people_for_two_minutes(tmp_path: Path) -> None:
    load(tmp_path, people=50, seconds=120, items=8_000, batch=3_000)
