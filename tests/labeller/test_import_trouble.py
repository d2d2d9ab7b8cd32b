from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from labeller.errors import ImportSourceError, JobLost, WorkerError
from labeller.project import Project, create_project
from labeller.services import import_run, import_writer, leftovers
from labeller.services.importing import import_sources
from labeller.services.worker_pool import Pool
from tests.labeller.imports import Recording, items, reasons
from tests.labeller.pictures import colours, encoded, folder_of, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ["cat", "dog"], workers=1)


CRASHER = """
import os, signal, sys, time
from labeller.services import import_worker
examine = import_worker._examined
def hostile(request, config):
    if "crash" in request["path"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in request["path"]:
        time.sleep(60)
    return examine(request, config)
import_worker._examined = hostile
import_worker.main()
"""


def test_a_file_that_kills_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = create_project(tmp_path / "p", ["a"], workers=2)
    source = folder_of(tmp_path / "photos", 12)
    for name in ("crash1.jpg", "crash2.jpg", "hang.jpg"):
        write(source / name, photo(100 + len(name)))
    monkeypatch.setattr(import_run, "COMMAND", (sys.executable, "-c", CRASHER))
    monkeypatch.setattr(import_run, "Pool", functools.partial(Pool, seconds=2))
    report = import_sources(project, [source], copy=True)
    assert report.added == 12
    told = reasons(report)
    assert told.keys() == {"crash1.jpg", "crash2.jpg", "hang.jpg"}
    assert "SIGSEGV" in told["crash1.jpg"]
    assert "longer than 2 seconds" in told["hang.jpg"]


def test_workers_that_cannot_start(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "COMMAND", (sys.executable, "-c", "import no_such_module"))
    with pytest.raises(WorkerError, match="no_such_module"):
        import_sources(project, [folder_of(tmp_path / "photos", 2)])


def test_cancel_keeps_what_is_in(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_writer, "BATCH", 4)
    source = folder_of(tmp_path / "photos", 60)
    report = import_sources(project, [source], progress=Recording(stop_at=10))
    assert report.cancelled
    assert 10 <= report.added < 60
    assert len(items(project)) == report.added
    with project.store.read() as unit:
        record = unit.imports.all()[0]
        assert unit.queue.counts().waiting > 0
    assert (record.cancelled, record.added) == (True, report.added)
    rest = import_sources(project, [source])
    assert (rest.added, rest.known) == (60 - report.added, report.added)


def test_a_lost_job_stops_and_keeps_what_is_in(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 40)
    with pytest.raises(JobLost):
        import_sources(project, [source], progress=Recording(5, JobLost("reaped")))
    assert 5 <= len(items(project)) < 40
    with project.store.read() as unit:
        assert unit.imports.all()[0].finished_at is not None


def test_thumbnails_that_cannot_be_written_stop_the_import(
    project: Project, tmp_path: Path
) -> None:
    write(project.thumbnails / "256", b"a file where a folder must be")
    source = write(tmp_path / "a.jpg", encoded(colours(600, 600), "JPEG"))
    with pytest.raises(ImportSourceError, match="cannot be written any more"):
        import_sources(project, [source])
    with project.store.read() as unit:
        assert unit.imports.all()[0].finished_at is not None


def test_a_full_disk_stops_the_import_and_keeps_what_is_in(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_writer, "BATCH", 5)
    source = folder_of(tmp_path / "photos", 40)
    link, done = os.link, Counter[str]()

    def full(old: Path, new: Path) -> None:
        done["links"] += 1
        if done["links"] > 12:
            raise OSError(28, "No space left on device")
        link(old, new)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(ImportSourceError, match="No space left on device") as caught:
        import_sources(project, [source], copy=True)
    kept = items(project)
    assert 5 <= len(kept) <= 12
    assert f"The {len(kept)} images" in str(caught.value)
    assert all(project.file(item.path).exists() for item in kept)
    monkeypatch.undo()
    assert import_sources(project, [source], copy=True).added == 40 - len(kept)
    files = [path for path in (project.root / "images").rglob("*") if path.is_file()]
    assert len(files) == 40


def test_a_full_disk_in_the_worker(project: Project, tmp_path: Path) -> None:
    limited = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{CRASHER}
"""
    source = folder_of(tmp_path / "photos", 2)
    write(source / "large.bmp", encoded(colours(200, 200), "BMP"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_run, "COMMAND", (sys.executable, "-c", limited))
        with pytest.raises(ImportSourceError, match="File too large"):
            import_sources(project, [source], copy=True)
    assert not list((project.root / "images").glob(".incoming*"))


def test_missing_sources_are_refused_before_anything_comes_in(
    project: Project, tmp_path: Path
) -> None:
    source = folder_of(tmp_path / "photos", 2)
    with pytest.raises(ImportSourceError, match=r"phtos: there is no such file or folder"):
        import_sources(project, [source, tmp_path / "phtos"])
    assert not items(project)


def test_a_source_without_images(project: Project, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    report = import_sources(project, [tmp_path / "nothing"])
    assert report.added == report.failed == 0
    assert "holds no image" in report.notes[0]


def test_left_overs_of_a_killed_import_are_cleared(project: Project, tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    old, young = (
        write(project.root / "images" / f".incoming-{pid}-a" / "copy-0", photo(1)).parent
        for pid in (dead.pid, os.getpid())
    )
    leftovers.remove_leftovers(project)
    import_sources(project, [folder_of(tmp_path / "photos", 1)])
    assert not old.exists()
    assert young.exists()
