"""Unfinished work of a process that lives is left alone; that of a killed one is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labeller import jobs
from labeller.project import Project, change_settings, create_project
from labeller.services import backups, leftovers, model_shelf, recent, retention, uploading
from labeller.services.importing import import_sources
from labeller.ui import uploads
from store import alive, scratch
from store.records import NewModel
from tests.labeller.pictures import folder_of
from tests.ui.test_sources import Sent

CHILD = """
import io, sys, threading
from pathlib import Path
from labeller.project import open_project
from labeller.progress import Silent
project, out = open_project(sys.argv[1]), Path(sys.argv[2])

def stop():
    print("ready", flush=True)
    threading.Event().wait()

class Stuck(io.BytesIO):
    def read(self, size=-1):
        data = super().read(size)
        return data or stop()

class Slow(Silent):
    def check(self):
        stop()
"""
WORK = {
    "images that are sent": """
from labeller.services.uploading import receive
receive(project, [("a.jpg", Stuck(b"\\xff\\xd8\\xff" + b"0" * 5_000_000))])
""",
    "an upload by a browser": """
from labeller.ui import uploads
def copy(data, target):
    target.write(b"half")
    stop()
uploads._copy = copy
class Sent(io.BytesIO):
    name = "a.png"
uploads.keep(project, [Sent(b"1")])
""",
    "an import": """
from labeller.services.importing import import_sources
class AtFiles(Slow):
    def check(self):
        if any((project.root / "images").glob(".*")):
            stop()
import_sources(project, [out / "photos"], copy=True, progress=AtFiles())
""",
    "a prediction": """
from labeller.services.predicting import Sources
sources = Sources.open(project, [out / "photos"])
stop()
""",
    "a snapshot": """
from labeller.services.snapshots import export_snapshot
export_snapshot(project, out / "snap", "copy", progress=Slow())
""",
    "a backup": """
from labeller.services.backups import make_backup
make_backup(project, out / "b.zip", progress=Slow())
""",
    "a setting": """
import os
from store import durable
os.fsync = lambda descriptor: stop()
from labeller.project import change_settings
change_settings(project, batch=7)
""",
    "a thumbnail": """
from store import durable
(project.thumbnails / "ab").mkdir()
with durable._replacing(project.thumbnails / "ab" / "x.jpg", 0o600) as file:
    file.write(b"half")
    file.flush()
    stop()
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = create_project(tmp_path / "project", ["cat", "dog"], workers=1)
    import_sources(project, [folder_of(tmp_path / "first", 3)], copy=True)
    return project


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextmanager
def at_work(project: Project, work: str, out: Path, temporary: Path) -> Iterator[None]:
    """Have a process stop in the middle of some work; it is killed at the end."""
    command = [sys.executable, "-c", CHILD + WORK[work], str(project.root), str(out)]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    try:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        yield
    finally:
        os.killpg(child.pid, 9)
        child.communicate()


def hidden(*folders: Path) -> set[Path]:
    """Return what is not finished."""
    found = {path for folder in folders for path in folder.rglob(".*")}
    return found | set(folders[-1].iterdir())


@pytest.mark.parametrize("work", WORK)
def test_only_what_dead_processes_left_is_removed(
    project: Project, tmp_path: Path, temporary: Path, work: str
) -> None:
    out = tmp_path / "out"
    folder_of(out / "photos", 5)
    with at_work(project, work, out, temporary):
        begun = hidden(project.root, out, temporary)
        assert begun, "something is under way"
        leftovers.remove_leftovers(project)
        leftovers.remove_half_thumbnails(project)
        scratch.remove_abandoned(out)
        assert hidden(project.root, out, temporary) == begun, "it is not ours to delete"
    leftovers.remove_leftovers(project)
    leftovers.remove_half_thumbnails(project)
    scratch.remove_abandoned(out)  # as the next snapshot or backup beside it does
    assert hidden(project.root, out, temporary) == set()


def test_a_project_that_is_opened_is_cleared(project: Project, temporary: Path) -> None:
    with at_work(project, "images that are sent", temporary, temporary):
        pass
    assert list((project.root / uploading.ARRIVALS).iterdir())
    recent._open.pop(project.root, None)
    recent.opened(project.root)
    assert not list((project.root / uploading.ARRIVALS).iterdir())


def test_what_earlier_versions_left(project: Project, temporary: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    places = [
        project.root / uploading.ARRIVALS / ".0123456789abcdef",
        project.root / "exports" / f".snap-1.{dead.pid}",
        project.root / f".project.toml.{dead.pid}.140123",
        project.models / f".model-3.{dead.pid}",
    ]
    others = [
        project.root / "exports" / f".snap-2.{os.getpid()}",
        project.root / "exports" / ".gitignore",
        project.root / ".git",
        project.root / ".notes.20240101",
        project.root / "exports" / ".old.20240101",
    ]
    for place in (*places, *others):
        place.mkdir(parents=True)
        (place / "half").write_bytes(b"x")
    old, young = temporary / "labeller-predict-ab12cd_3", temporary / "labeller-predict-zz12cd_3"
    for place in (old, young):
        place.mkdir()
    os.utime(old, (0, 0))
    assert set(leftovers.remove_leftovers(project)) == {*places, old}
    assert young.exists()
    assert all(place.exists() for place in others)


def test_work_of_another_machine_is_given_up_after_a_day(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(alive, "host", lambda: "elsewhere")
        scratch._place.cache_clear()
        place = scratch.name_scratch(project.root / "labels.csv")
    scratch._place.cache_clear()
    place.write_bytes(b"half")
    assert leftovers.remove_leftovers(project) == []
    os.utime(place, (time.time() - 90_000,) * 2)
    assert leftovers.remove_leftovers(project) == [place]


def test_a_link_is_removed_and_not_followed(project: Project, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    arrivals = project.root / uploading.ARRIVALS
    arrivals.mkdir()
    (arrivals / ".link").symlink_to(precious)
    assert leftovers.remove_leftovers(project) == [arrivals / ".link"]
    assert (precious / "file").exists()


def test_a_second_tab_leaves_what_the_first_uploads(project: Project, temporary: Path) -> None:
    """Nothing but its own import, or a day without one, deletes what a tab sent."""
    (sent,) = uploads.keep(project, [Sent("a.png", b"1")])
    leftovers.remove_leftovers(project)  # the second tab opens the project
    assert sent.exists(), "it is not submitted yet"
    (other,) = uploads.keep(project, [Sent("b.png", b"2")])
    job = jobs.submit(
        change_settings(project, start_workers=False), "import", {"sources": [str(other)]}
    )
    for path in (sent, other):
        os.utime(path.parent, (0, 0))
    leftovers.remove_leftovers(project)
    assert other.exists(), "its import waits"
    assert not sent.parent.exists(), "its import never came"
    assert jobs.run(project, job.id)
    assert not other.parent.exists(), "its import is done"


def model_of(project: Project, in_use: bool) -> int:
    """Register a model with a file."""
    with project.store.write() as unit:
        classes = tuple(one.id for one in unit.classes.all())
        started = unit.rounds.start("margin", 6, None, 0, 0)
        path = f"models/{started.id}"
        (project.root / path).mkdir()
        (project.root / path / "weights").write_bytes(b"w" * 100)
        made = NewModel(path, "a" * 64, 9, 0, "b", "CPU", classes, {}, {}, {}, {})
        number = unit.models.add(made, started.id).id
        unit.rounds.finish(started.id, "done")
        if in_use:
            unit.models.use(number)
        return number


def test_the_newest_models_are_kept_and_the_one_in_use(project: Project) -> None:
    numbers = [model_of(project, False) for _ in range(5)]
    model_shelf.use(project, numbers[1])
    assert retention.remove_outdated(project) == [], "all are kept unless a setting says less"
    project = change_settings(project, models_kept=2)
    with project.store.write() as unit:
        job = unit.jobs.add("round", {}, True)
    assert retention.remove_outdated(project) == [], "a job is on"
    with project.store.write() as unit:
        unit.jobs.request_cancel(job.id)
    assert retention.remove_outdated(project) == [f"model {numbers[0]}", f"model {numbers[2]}"]
    with project.store.read() as unit:
        there = [one for one in unit.models.all() if one.deleted_at is None]
    assert [one.id for one in there] == [numbers[1], numbers[3], numbers[4]]
    assert set(project.models.iterdir()) == {project.root / one.path for one in there}


def test_a_job_process_clears_up_when_it_ends(project: Project, temporary: Path) -> None:
    log = project.logs / "job-99.log"
    log.write_text("x")
    os.utime(log, (0, 0))
    half = project.root / uploading.ARRIVALS / ".0123"
    half.mkdir(parents=True)
    project = change_settings(project, start_workers=False)
    job = backups.start_backup(project, models=False, vectors=False)
    command = [sys.executable, "-m", "labeller", "worker", str(project.root), "--job", str(job.id)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "logs/job-99.log" in ended.stdout + ended.stderr
    assert not log.exists()
    assert not half.exists()


def test_what_is_outdated_goes_by_the_settings(project: Project) -> None:
    log, export = project.logs / "job-1.log", project.root / "exports" / "snapshot-1"
    export.mkdir(parents=True)
    fresh = project.logs / "job-2.log"
    for path in (log, fresh, export / "items.jsonl"):
        path.write_text("x")
    for path in (log, export / "items.jsonl", export):
        os.utime(path, (time.time() - 100 * 86_400,) * 2)
    assert retention.remove_outdated(project) == ["logs/job-1.log"]  # logs: 90 days
    project = change_settings(project, exports_days=99)
    (export / "added.txt").write_text("y")
    assert retention.remove_outdated(project) == [], "something in it is new"
    (export / "added.txt").unlink()
    assert retention.remove_outdated(project) == ["exports/snapshot-1"]
    assert fresh.exists()
    log.write_text("x")
    os.utime(log, (0, 0))
    project = change_settings(project, logs_days=0)
    assert retention.remove_outdated(project) == []
