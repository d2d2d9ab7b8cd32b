"""Acknowledged means on the disk: the power is cut while people label, send images and import."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from labeller import jobs, tokens
from labeller.config import FILE
from labeller.jobs import control
from labeller.project import KEY_FILE, Project, create_project, open_project
from labeller.services import rounds
from labeller.services.importing import import_sources
from tests.browser import ROOT, RunningApp, start_app
from tests.cards import picture, queued_project, until
from tests.faults.cuts import (
    after_cut,
    check_images,
    check_jobs,
    check_labelling,
    check_labels,
    check_models,
    check_sent,
    check_thumbnails,
    check_vectors,
    cuts,
)
from tests.faults.power import Disk, Recorder
from tests.labeller.learning.shapes import label, run, shapes

SIDE = 400  # of images: more than a thumbnail has


@dataclass
class Serving:
    """A recorded workbench and its project."""

    recorder: Recorder
    project: Project
    app: RunningApp

    def ask(self, path: str, **what: Any) -> Any:
        """Post to the API as an annotator."""
        headers = {"Authorization": f"Bearer {tokens.make(self.project, 'anna')}"}
        answer = httpx.post(f"{self.app.url}/api/v1/{path}", headers=headers, timeout=60, **what)
        assert answer.is_success, answer.text
        return answer.json()

    def label(self, item: int) -> None:
        """Label an item; its mark says that the answer came."""
        event = {"key": f"cut-{item}", "kind": "label", "item": item, "class": "cat"}
        told = self.ask("labels", json={"session": f"s{item}", "events": [event]})
        assert [one["status"] for one in told["results"]] == ["accepted"]
        self.recorder.mark(f"label cut-{item}", written=item % 10 == 0)

    def send(self, numbers: range) -> None:
        """Send images; their marks say that the answer came."""
        pictures = [picture(number, SIDE) for number in numbers]
        files = [("images", (f"{n}.jpg", d)) for n, d in zip(numbers, pictures, strict=True)]
        told = self.ask("items", files=files)["files"]
        assert [one["sha256"] for one in told] == [hashlib.sha256(d).hexdigest() for d in pictures]
        for one in told[:-1]:
            self.recorder.mark(f"image {one['sha256']}")
        self.recorder.mark(f"image {told[-1]['sha256']}", written=True)

    def settle(self) -> None:
        """Wait until what arrived is imported."""
        arrivals = self.project.root / "arrivals"

        def quiet() -> bool:
            with self.project.store.read() as unit:
                return not unit.jobs.active() and not any(arrivals.iterdir())

        until(quiet, "what was sent is imported", 60)
        self.recorder.mark("settled", written=True)


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no job of a project that was cut; the recorded workbench does."""
    monkeypatch.setenv("LABELLER_START_WORKERS", "false")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    recorder = Recorder(tmp_path / "disk", tmp_path / "log")
    project = queued_project(recorder.root / "project", items=60, workers=1)
    project.store.close()
    recorder.begin()
    environment = recorder.environment | {"LABELLER_START_WORKERS": "true"}
    app = start_app(project.root, tmp_path / "state", environment)
    yield Serving(recorder, project, app)
    app.kill()


def check(serving: Serving, to: Path, number: int) -> None:
    """Cut the power at some moments, in the worst way and in one that chance draws."""
    for place, cut in enumerate(cuts(serving.recorder, number)):
        with after_cut(serving.recorder, cut, to / f"cut-{cut}", place or None) as (project, told):
            check_labels(project, told)
            check_sent(project, told)
            check_images(project)
            check_jobs(project, told)
            check_labelling(project)
    last = len(serving.recorder.notes())
    with after_cut(serving.recorder, last, to / "last") as (project, told):
        check_labels(project, told)
        check_sent(project, told)


def test_labels_and_sent_images_survive(serving: Serving, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as annotators:
        list(annotators.map(serving.label, range(1, 25)))
    serving.send(range(100, 106))
    serving.settle()
    check(serving, tmp_path / "cuts", 4)


@pytest.mark.faults
def test_labels_survive_twenty_cuts(serving: Serving, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as annotators:
        list(annotators.map(serving.label, range(1, 61)))
    check(serving, tmp_path / "cuts", 20)


@pytest.mark.faults
def test_sent_images_survive_twenty_cuts(tmp_path: Path, serving: Serving) -> None:
    for start in range(100, 160, 10):
        serving.send(range(start, start + 10))
    serving.settle()
    check(serving, tmp_path / "cuts", 20)


def run_recorded(recorder: Recorder, *arguments: object) -> None:
    """Run the command line and note that it ended well."""
    command = [sys.executable, "-m", "labeller", *map(str, arguments)]
    environment = {**os.environ, **recorder.environment}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_a_new_project_survives(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "disk", tmp_path / "log")
    recorder.begin()
    root = recorder.root / "deep" / "project"
    run_recorded(recorder, "init", root, "--classes", "cat,dog", "--budget", "10")
    recorder.mark("made")
    Disk(recorder, recorder.notes(), len(recorder.notes())).write(tmp_path / "cut")
    cut = tmp_path / "cut" / "deep" / "project"
    assert (cut / KEY_FILE).read_bytes() == (root / KEY_FILE).read_bytes()
    assert (cut / FILE).read_bytes() == (root / FILE).read_bytes()
    again = open_project(cut)  # beside the original it becomes a project of its own
    with again.store.read() as unit:
        assert [one.name for one in unit.classes.all()] == ["cat", "dog"]
        assert unit.budget.get().total == 10


def import_recorded(tmp_path: Path, number: int) -> tuple[Recorder, Project, list[Path]]:
    """Import copies of a folder and of an archive, in job processes that are recorded."""
    recorder = Recorder(tmp_path / "disk", tmp_path / "log")
    project = create_project(
        recorder.root / "project", ["cat"], workers=2, start_workers=False, thumbnail_pixels=64
    )
    folder, packed = tmp_path / "folder", tmp_path / "packed.zip"
    folder.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(number):
            (folder / f"{n}.jpg").write_bytes(picture(n, 96))
            archive.writestr(f"{n % 3}/{n}.jpg", picture(number + n, 96))
    recorder.begin()
    sources = [folder, packed]
    for source in sources:
        job = jobs.submit(project, "import", {"sources": [str(source)], "copy": True})
        run_recorded(recorder, "worker", project.root, "--job", job.id)
        recorder.mark(f"done {job.id}", written=True)
    return recorder, project, sources


def check_imports(
    recorder: Recorder, sources: list[Path], to: Path, number: int, images: int
) -> None:
    """Cut the power at some moments of the imports; then import again, which brings the rest."""
    for place, cut in enumerate(cuts(recorder, number)):
        with after_cut(recorder, cut, to / f"cut-{cut}", place or None) as (project, told):
            check_images(project)
            check_thumbnails(project, 64)
            check_jobs(project, told)
            with project.store.read() as unit:
                there = unit.items.count().items
            assert there >= sum(text.startswith("done") for text in told) * images
            report = import_sources(project, sources, copy=True)
            assert (report.added, report.failed) == (2 * images - there, 0)
            check_images(project)
            check_labelling(project)


def test_imports_survive(tmp_path: Path) -> None:
    recorder, _, sources = import_recorded(tmp_path, 30)
    check_imports(recorder, sources, tmp_path / "cuts", 4, 30)


@pytest.mark.faults
def test_imports_survive_twenty_cuts(tmp_path: Path) -> None:
    recorder, _, sources = import_recorded(tmp_path, 320)
    check_imports(recorder, sources, tmp_path / "cuts", 20, 320)


def rounds_recorded(tmp_path: Path, number: int) -> tuple[Recorder, Path]:
    """Do rounds in job processes that are recorded; returns their vectors, too."""
    recorder = Recorder(tmp_path / "disk", tmp_path / "log")
    project = shapes(recorder.root / "project", 40, start_workers=False)
    label(project, range(1, 25))
    recorder.begin()
    for more in range(25, 25 + 3 * number, 3):
        label(project, range(more, more + 3))
        job = rounds.start_round(project)
        run_recorded(recorder, "worker", project.root, "--job", job.id)
        assert control.get(project, job.id).state == "done", control.get(project, job.id).error
        recorder.mark(f"done {job.id}", written=True)
        shutil.copytree(project.vectors, tmp_path / "vectors", dirs_exist_ok=True)
    return recorder, tmp_path / "vectors"


def check_rounds(
    recorder: Recorder, whole: Path, to: Path, number: int, again: Callable[[int], bool]
) -> None:
    """Cut the power at some moments of the rounds; then do one more, as often as asked."""
    for place, cut in enumerate(cuts(recorder, number)):
        with after_cut(recorder, cut, to / f"cut-{cut}", place or None) as (project, told):
            check_vectors(project, whole)
            check_models(project)
            check_jobs(project, told)
            check_labelling(project)
            with project.store.read() as unit:
                models = len(unit.models.all())
            assert models >= sum(text.startswith("done") for text in told)
            if again(place):
                assert run(project)["model"]
                check_models(project)


@pytest.mark.usefixtures("quick")
def test_rounds_survive(tmp_path: Path) -> None:
    recorder, vectors = rounds_recorded(tmp_path, 1)
    check_rounds(recorder, vectors, tmp_path / "cuts", 4, again=lambda place: place == 1)


@pytest.mark.faults
@pytest.mark.usefixtures("quick")
def test_rounds_survive_twenty_cuts(tmp_path: Path) -> None:
    recorder, vectors = rounds_recorded(tmp_path, 2)
    check_rounds(recorder, vectors, tmp_path / "cuts", 20, again=lambda _: True)
