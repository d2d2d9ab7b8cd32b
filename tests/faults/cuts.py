"""What must be true of a project after the power was cut, whatever was going on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from labeller import jobs
from labeller.project import Project, open_project
from labeller.services import audit_files, thumbnails
from store.records import NewEvent
from store.vectors import HEADER, VectorFile
from tests.faults.power import Disk, Recorder, marks, moments

SEED = 7


def cuts(recorder: Recorder, number: int) -> list[int]:
    """Return moments: at the last mark, and drawn from all marks and flushes, half of each."""
    notes = recorder.notes()
    rng = np.random.default_rng(SEED)
    told = [cut for cut in moments(notes)[1:] if notes[cut - 1].kind == "M"]
    flushed = [cut for cut in moments(notes) if notes[cut - 1].kind != "M"]
    half = (number - 1) // 2
    chosen = {told[-1]} | set(rng.choice(told, min(half, len(told)), replace=False).tolist())
    left = min(number - len(chosen), len(flushed))
    return sorted(chosen | set(rng.choice(flushed, left, replace=False).tolist()))


@contextmanager
def after_cut(
    recorder: Recorder, cut: int, to: Path, seed: int | None = None
) -> Iterator[tuple[Project, list[str]]]:
    """Open the project as a cut left it; yields it with what had been answered by then."""
    notes = recorder.notes()
    disk = Disk(recorder, notes, cut)
    disk.write(to, None if seed is None else np.random.default_rng([seed, cut]))
    with closing(sqlite3.connect(to / "project" / "labeller.db")) as connection:
        (told,) = connection.execute("PRAGMA integrity_check").fetchone()
    assert told == "ok"
    project = open_project(to / "project")
    try:
        yield project, marks(notes, cut)
    finally:
        project.store.close()


def check_labels(project: Project, told: Iterable[str]) -> None:
    """Every label that was answered is there."""
    keys = {text.split()[1] for text in told if text.startswith("label ")}
    with project.store.read() as unit:
        stored = {event.key for event in unit.labels.recent(limit=100_000)}
    assert keys <= stored, f"lost: {sorted(keys - stored)}"


def check_sent(project: Project, told: Iterable[str]) -> None:
    """Images that were answered are there, imported or still to be."""
    with project.store.read() as unit:
        hashes = {item.sha256 for item in unit.items.page(limit=100_000)}
    arrived = (p for p in (project.root / "arrivals").glob("[!.]*/*/*") if p.is_file())
    waiting = {hashlib.sha256(path.read_bytes()).hexdigest() for path in arrived}
    wanted = {text.split()[1] for text in told if text.startswith("image ")}
    assert wanted <= hashes | waiting, f"lost {len(wanted - hashes - waiting)} of {len(wanted)}"


def check_images(project: Project) -> None:
    """No row names an image that is not there, or is another one, or cannot be shown."""
    with project.store.read() as unit:
        items = unit.items.page(limit=100_000)
    for item in items:
        path = project.file(item.path)
        assert path.is_file(), f"{item.path}: the row is there, the file is not"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256, item.path
        shown, _ = thumbnails.thumbnail(project, item, "thumb")
        with Image.open(shown) as image:
            image.load()


def check_thumbnails(project: Project, pixels: int) -> None:
    """Each image that came in has its thumbnail, whole, without making it again."""
    with project.store.read() as unit:
        items = unit.items.page(limit=100_000)
    for item in items:
        if max(item.width, item.height) > pixels:
            kept = thumbnails.kept_path(project.thumbnails, pixels, item.sha256)
            assert thumbnails.is_whole(kept), kept


def check_models(project: Project) -> None:
    """A model that has a row can be used: its files are whole, and so are its predictions."""
    from labeller.learning import saved

    with project.store.read() as unit:
        models = [model for model in unit.models.all() if model.deleted_at is None]
        predictions = [unit.predictions.get(model.id) for model in models]
        items = unit.items.page(limit=100_000)
    for model in models:
        saved.load_model(project, model)
        saved.load_audit(project, model)
        audit_files.read(project, model)
    for record in predictions:
        if record is not None:
            opened = open_vectors(project.file(record.file))
            assert int(opened.has([item.id for item in items]).sum()) == record.items


def check_vectors(project: Project, whole: Path) -> None:
    """Rows that count as there are those in a folder of files that were never cut."""
    for bits in project.vectors.glob("*.has"):
        file = bits.with_suffix("")
        if not VectorFile.exists(file):
            continue
        opened = open_vectors(file)
        ids = np.flatnonzero(opened.has(np.arange(opened.rows)))
        if len(ids):
            expected = open_vectors(whole / file.name).read(ids)
            assert np.array_equal(opened.read(ids), expected), file.name


def open_vectors(file: Path) -> VectorFile:
    """Open a vector file by what its header says."""
    with file.open("rb") as data:
        about = json.loads(data.read(HEADER))
    return VectorFile.open(file, about["dim"], about["dtype"], about["tag"])


def check_jobs(project: Project, told: Iterable[str]) -> None:
    """What was told to be done is done; what was on is said to have stopped, and why."""
    jobs.reap(project)
    with project.store.read() as unit:
        assert not [job for job in unit.jobs.active() if job.state == "running"]
        records = unit.jobs.all(1000)
    states = {job.id: job for job in records}
    for text in told:
        if text.startswith("done "):
            job = states.get(int(text.split()[1]))
            assert job is not None, f"{text}: was answered, and its row is gone"
            assert job.state == "done", job.error
    assert all(job.error for job in records if job.state == "failed")


def check_labelling(project: Project) -> None:
    """One more label can be given."""
    with project.store.write() as unit:
        (item, *_) = unit.items.page(limit=1)
        class_id = unit.classes.all()[0].id
        event = NewEvent(key="after the cut", kind="label", item_id=item.id, class_id=class_id)
        (result,) = unit.labels.record("anna", "session", "page", [event], 0.0)
    assert result.status in ("accepted", "second_opinion"), result.reason
