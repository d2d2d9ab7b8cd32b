"""The watched folder: new images come in by themselves, once, when they are whole."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from labeller import jobs
from labeller.project import Project, change_settings, create_project
from labeller.services import recent, streams, watching
from labeller.services.watching import Watcher
from store.records import JobRecord
from tests.labeller.pictures import photo, write
from tests.labeller.streaming import add_model, do_jobs, fixed, probabilities


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that watches a folder beside it."""
    (tmp_path / "drop").mkdir()
    return create_project(
        tmp_path / "p",
        ["a", "b", "c"],
        start_workers=False,
        workers=1,
        watch_folder=str(tmp_path / "drop"),
    )


def imported(project: Project, job: JobRecord | None) -> int:
    """Run an import and return how many images it added."""
    assert job is not None
    done = jobs.run(project, job.id)
    assert done is not None
    assert done.result is not None
    return int(done.result["added"])


def test_images_are_known_by_their_bytes(project: Project, tmp_path: Path) -> None:
    drop, watcher = tmp_path / "drop", Watcher()
    write(drop / "scan.0001", photo(1))
    write(drop / "frame.dat", photo(2))
    write(drop / "bare", photo(3))
    write(drop / "words.dat", b"no image at all")
    write(drop / "empty.dat", b"")
    watcher.tick(project)
    assert imported(project, watcher.tick(project)) == 3
    assert watcher.tick(project) is None


def test_files_come_in_once_and_only_when_they_are_whole(project: Project, tmp_path: Path) -> None:
    drop, watcher = tmp_path / "drop", Watcher()
    assert watcher.tick(project) is None
    write(drop / "1.png", photo(1)[:100])  # still being copied
    write(drop / "deep" / "2.png", photo(2))
    write(drop / ".3.png", photo(3))
    write(drop / "notes.txt", b"no image")
    assert watcher.tick(project) is None
    write(drop / "1.png", photo(1))
    job = watcher.tick(project)
    assert job is not None
    assert [Path(one).name for one in job.params["sources"]] == ["2.png"]
    assert watcher.tick(project) is None  # the import is on
    assert imported(project, job) == 1
    assert imported(project, watcher.tick(project)) == 1
    for _ in range(3):
        assert watcher.tick(project) is None
    with project.store.read() as unit:
        paths = {item.path for item in unit.items.page()}
    assert paths == {str(drop / "1.png"), str(drop / "deep" / "2.png")}
    again = Watcher()  # another process, later
    assert again.tick(project) is again.tick(project) is None
    write(drop / "1.png", photo(7))  # another image in its place
    assert again.tick(project) is None
    assert imported(project, again.tick(project)) == 1


def test_an_import_that_failed_is_tried_again_later(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher()
    path = write(tmp_path / "drop" / "1.png", photo(1))
    watcher.tick(project)
    job = watcher.tick(project)
    assert job is not None
    path.unlink()
    failed = jobs.run(project, job.id)
    assert failed is not None
    assert failed.state == "failed"
    assert watcher.tick(project) is None
    assert watcher.failures == 1
    assert watching._pause(0.0, 1) == 2 * watching.POLL_SECONDS
    assert watching._pause(60.0, 0) == watching._pause(0.0, 99) == watching.SLOWEST_SECONDS
    write(path, photo(1))
    watcher.tick(project)
    assert imported(project, watcher.tick(project)) == 1
    monkeypatch.setattr(watching, "MOST", 1)
    write(tmp_path / "drop" / "2.png", photo(2))
    write(tmp_path / "drop" / "3.png", photo(3))
    watcher.tick(project)
    assert imported(project, watcher.tick(project)) == 1
    assert watcher.failures == 0
    assert imported(project, watcher.tick(project)) == 1


def test_what_cannot_be_watched_is_said(project: Project, tmp_path: Path) -> None:
    assert watching.problem(project) is None
    predictions = project.root / "predictions"
    predictions.mkdir()
    for folder, said in (
        (tmp_path / "nowhere", "is not there"),
        (project.root, "holds the project's own files"),
        (project.root / "images", "holds the project's own files"),
        (predictions, "holds the project's own files"),
        (tmp_path, "holds the project's own files"),
    ):
        other = change_settings(project, watch_folder=str(folder))
        assert said in str(watching.problem(other))
        assert Watcher().tick(other) is None
    inside = change_settings(project, watch_folder="drop")
    (project.root / "drop").mkdir()
    assert watching.problem(inside) is None
    nothing = change_settings(project, watch_folder="")
    assert watching.folder_of(nothing) is None
    assert watching.problem(nothing) is None
    assert not watching.needed(nothing)


def test_a_thread_watches_once_and_ends_when_nothing_is_left(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.02)

    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == f"watch-{project.root.name}"]

    write(tmp_path / "drop" / "1.png", photo(1))
    watching.ensure(project)
    watching.ensure(project)
    assert len(threads()) == 1
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with recent.opened(project.root).store.read() as unit:
            if unit.jobs.active("import"):
                break
        time.sleep(0.05)
    else:
        pytest.fail("nothing was submitted")
    change_settings(project, watch_folder="")
    for thread in threads():
        thread.join(60)
    assert threads() == []


def test_what_arrives_joins_a_stream_and_not_the_queue(project: Project, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    for number in range(6):
        write(drop / f"{number}.png", photo(number))
    watcher = Watcher()
    watcher.tick(project)
    assert imported(project, watcher.tick(project)) == 6
    with project.store.write() as unit:
        unit.queue.replace([])
        ids = [*unit.items.ids().tolist(), *range(7, 20)]
    add_model(project, ids, probabilities([0.99] * len(ids), [0] * len(ids)))
    started = streams.start(project, fixed(follow=True))
    do_jobs(project)
    before = streams.runs(project)[0].run.passed
    for number in range(6, 16):
        write(drop / f"{number}.png", photo(number))
    watcher.tick(project)
    assert imported(project, watcher.tick(project)) == 10
    with project.store.read() as unit:
        (job,) = unit.jobs.active("stream")
        assert unit.queue.counts().total == 0  # the stream says what is asked
        arrived = len(unit.generated_labels.arrivals(streams.runs(project)[0].run.cursor))
    assert job.params == {"run": started.id}
    assert arrived > 0
    do_jobs(project)
    assert streams.runs(project)[0].run.passed == before + arrived
    assert len(list(drop.iterdir())) == 16  # the images stay where they are
