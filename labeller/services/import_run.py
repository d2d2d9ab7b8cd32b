"""One import under way: count, hash, decode in worker processes, write in short transactions."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from labeller.errors import ImportSourceError, JobCancelled
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import rounds, streams
from labeller.services.import_report import ImportReport, notes_on
from labeller.services.import_sources import (
    Candidate,
    Labels,
    Refused,
    Survey,
    folders_are_labels,
    open_source,
)
from labeller.services.import_worker import CannotWriteError
from labeller.services.import_writer import IMAGES, Writer
from labeller.services.worker_pool import Answer, Pool, Request
from store.errors import StoreError, StoreFull
from store.records import ImportProblem

COMMAND = (sys.executable, "-m", "labeller.services.import_worker")
SIFT = 64  # hashes looked up at once
STEPS = 64  # files begun before answers are looked at again
WAIT_SECONDS = 0.2
STALE_SECONDS = 86_400.0
FILES_A_WORKER = 8  # fewer than this are not worth starting another process


class Import:
    """One import under way."""

    def __init__(
        self,
        project: Project,
        sources: Sequence[Path],
        copy: bool,
        progress: Progress,
        labels: Labels,
    ) -> None:
        self._project, self._copy, self._progress, self._labels = project, copy, progress, labels
        self._started = time.monotonic()
        self._incoming = _incoming(project.root / IMAGES)
        self._max_bytes = 8 * project.settings.max_image_pixels + (64 << 20)
        self._sources = [
            open_source(Path(path), project.root, self._incoming, self._max_bytes)
            for path in sources
        ]
        with project.store.read() as unit:
            self._class_names = frozenset(record.name for record in unit.classes.all())
            # In an empty project there is nothing to be known already: hashing first is wasted.
            self._items = unit.items.count().items
            self._sift = self._items > 0
        self._surveys: list[Survey] = []
        self._again: deque[Request] = deque()
        self._sifted: list[tuple[Request, Answer]] = []
        self._done = self._number = 0

    def run(self) -> ImportReport:
        """Import, and close the import's row however it ends."""
        with self._project.store.write() as unit:
            import_id = unit.imports.start(", ".join(source.shown for source in self._sources))
        make = self._labels == "folders" or not self._class_names
        self._writer = Writer(self._project, import_id, make)
        cancelled = False
        try:
            try:
                self._survey()
                self._drive()
            except JobCancelled:
                cancelled = True
            self._writer.flush()
            self._tell()
        except BaseException as error:
            self._save_what_can_be()
            if isinstance(error, CannotWriteError | StoreFull):
                raise self._full(error) from error
            raise
        finally:
            shutil.rmtree(self._incoming, ignore_errors=True)
        return self._end(import_id, cancelled)

    def _survey(self) -> None:
        """Count the files, so that there is a time left to show."""
        counted = 0

        def tick(files: int) -> None:
            self._progress.update("count", counted + files, None)
            self._progress.check()

        for source in self._sources:
            self._surveys.append(source.survey(tick))
            counted += self._surveys[-1].files
        self._writer.twins.expect(self._items + counted)

    def _drive(self) -> None:
        """Keep the workers busy and write what they find."""
        total = sum(survey.files for survey in self._surveys)
        settings = self._project.settings
        config = {
            "max_pixels": settings.max_image_pixels,
            "thumbnails": str(self._project.thumbnails),
            "side": settings.thumbnail_pixels,
        }
        most = settings.workers or _cores()
        feed, more = self._feed(), True
        with Pool(COMMAND, max(1, min(most, -(-total // FILES_A_WORKER))), config) as pool:
            while more or pool.outstanding or self._again or self._sifted:
                self._progress.check()
                more = self._begin(feed, pool) and more
                if pool.outstanding:
                    for request, answer in pool.answers(WAIT_SECONDS):
                        self._take(request, answer)
                if len(self._sifted) >= SIFT or not pool.outstanding:
                    self._look_up()
                if self._writer.due:
                    self._writer.flush()
                self._tell()

    def _feed(self) -> Iterator[Candidate | Refused]:
        for source, survey in zip(self._sources, self._surveys, strict=True):
            folders = folders_are_labels(survey, self._class_names, self._labels)
            for step in source.candidates(survey, folders):
                if self._labels == "none" and isinstance(step, Candidate):
                    yield replace(step, label=None)
                else:
                    yield step

    def _begin(self, feed: Iterator[Candidate | Refused], pool: Pool) -> bool:
        """Hand out files while the workers have room; false when there are no more."""
        for _ in range(STEPS):
            if not pool.room:
                return True
            if self._again:
                pool.submit(self._again.popleft())
                continue
            step = next(feed, None)
            if step is None:
                return False
            if isinstance(step, Refused):
                self._refuse(step)
            elif (problem := self._nameless(step)) is not None:
                self._refuse(problem)
            else:
                pool.submit(self._request(step, sift=self._sift))
        return True

    def _request(self, candidate: Candidate, sift: bool) -> Request:
        """Ask for a file to be examined, and copied on the way when it is to be ours."""
        keep = None
        if self._copy and not candidate.owned and not sift:
            self._incoming.mkdir(parents=True, exist_ok=True)
            keep = str(self._incoming / f"copy-{self._number}")
            self._number += 1
        return Request({"path": candidate.path, "sift": sift, "keep": keep}, candidate)

    def _nameless(self, candidate: Candidate) -> ImportProblem | None:
        """Refuse a name that cannot be stored, when it would have to be."""
        if self._copy or candidate.owned or candidate.path.isprintable():
            return None
        try:
            candidate.path.encode("utf-8")
        except UnicodeEncodeError:
            return ImportProblem(
                candidate.shown, "its name is not UTF-8", "Rename it, or import with --copy."
            )
        return None

    def _take(self, request: Request, answer: Answer) -> None:
        """Note what a worker says about a file."""
        candidate: Candidate = request.about
        if "stop" in answer:
            raise CannotWriteError(answer["stop"])
        if "reason" in answer:
            if candidate.owned:
                Path(candidate.path).unlink(missing_ok=True)
            self._refuse(ImportProblem(candidate.shown, answer["reason"], answer["mend"]))
        elif request.message["sift"]:
            self._sifted.append((request, answer))
        else:
            file = request.message["keep"] or (candidate.path if candidate.owned else None)
            self._found(candidate, answer, None if file is None else Path(file))

    def _look_up(self) -> None:
        """Pass over the images that are in already; have the others decoded."""
        if not self._sifted:
            return
        sifted, self._sifted = self._sifted, []
        with self._project.store.read() as unit:
            known = unit.items.known([answer["sha256"] for _, answer in sifted])
            records = unit.items.many(list(known.values()))
        lost = {r.sha256 for r in records.values() if not self._project.file(r.path).exists()}
        for request, answer in sifted:
            candidate: Candidate = request.about
            if answer["sha256"] not in known or (self._copy and answer["sha256"] in lost):
                self._again.append(self._request(candidate, sift=False))
            else:
                self._found(candidate, answer, Path(candidate.path) if candidate.owned else None)

    def _found(self, candidate: Candidate, facts: Answer, file: Path | None) -> None:
        self._done += 1
        self._writer.take(candidate, facts, file)

    def _refuse(self, problem: ImportProblem) -> None:
        self._done += 1
        self._writer.refuse(problem)

    def _tell(self) -> None:
        writer = self._writer
        total = sum(survey.files for survey in self._surveys)
        message = f"{writer.added:,} added"
        if writer.failed:
            message += f", {writer.failed:,} left out"
        numbers = {"added": writer.added, "known": writer.known, "failed": writer.failed}
        self._progress.update("import", self._done, max(total, self._done), message, **numbers)

    def _save_what_can_be(self) -> None:
        """Write what was found before something went wrong, if it can still be written."""
        with suppress(StoreError, CannotWriteError):
            self._writer.flush()
        with suppress(StoreError):
            self._writer.finish(cancelled=True)

    def _full(self, error: Exception) -> ImportSourceError:
        return ImportSourceError(
            f"{self._project.root}: cannot be written any more ({error}). "
            f"The {self._writer.added:,} images added so far stay. "
            "Free some space and import again: it goes on from there."
        )

    def _end(self, import_id: int, cancelled: bool) -> ImportReport:
        """Close the import, give the person something to label, and report."""
        writer = self._writer
        writer.finish(cancelled)
        with self._project.store.read() as unit:
            queue, counts = unit.queue.counts(), unit.items.count()
        streams.follow_arrivals(self._project)
        empty = not queue.waiting + queue.leased
        if counts.askable and empty and not streams.followed(self._project):
            rounds.first_queue(self._project)
        return ImportReport(
            import_id=import_id,
            added=writer.added,
            known=writer.known,
            labelled=writer.labelled,
            failed=writer.failed,
            cancelled=cancelled,
            problems=tuple(writer.problems),
            seconds=time.monotonic() - self._started,
            conflicts=tuple(writer.conflicts),
            notes=tuple(notes_on(self._project, self._sources, self._surveys, writer)),
        )


def _incoming(images: Path) -> Path:
    """Name a folder for unfinished copies, and clear away those of imports that were killed."""
    for old in images.glob(".incoming-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    return images / f".incoming-{os.getpid()}-{time.monotonic_ns():x}"


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
