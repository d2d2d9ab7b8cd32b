"""One import under way: count, hash, decode in worker processes, write in short transactions."""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from labeller.errors import ImportSourceError, JobCancelled
from labeller.processes import make_command
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import rounds, streams
from labeller.services.class_names import class_ids
from labeller.services.folder_rule import FolderMeaning
from labeller.services.import_plan import ImportPlan, SourcePlan, plan_import
from labeller.services.import_report import ImportReport, notes_on
from labeller.services.import_sources import Candidate, Labels, Refused, open_source
from labeller.services.import_unchanged import Unchanged, spot_unchanged
from labeller.services.import_worker import CannotWriteError
from labeller.services.import_writer import IMAGES, Writer
from labeller.services.worker_pool import Answer, Pool, Request
from store.errors import StoreError, StoreFull
from store.records import ImportProblem
from store.scratch import begin_scratch

COMMAND = make_command("labeller.services.import_worker")
SIFT = 64  # hashes looked up at once
STEPS = 64  # files begun before answers are looked at again
WAIT_SECONDS = 0.2
FILES_A_WORKER = 8  # fewer than this are not worth starting another process
WINDOW = 512  # files begun before the oldest of them is done: a slow one keeps nobody waiting

Meanings = Mapping[tuple[str, ...], FolderMeaning]


@dataclass(frozen=True, slots=True)
class _Turn:
    """A file and its place in the order of the sources."""

    number: int
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class _Image:
    """A file that is an image; `file` is a copy of our own to be moved in, if there is one."""

    candidate: Candidate
    facts: Answer
    file: Path | None


class Import:
    """One import under way.

    Workers answer in any order; what they say is written in the order of the sources, in batches
    that no clock cuts. So the result does not depend on their number or speed.
    """

    def __init__(
        self,
        project: Project,
        sources: Sequence[Path],
        copy: bool,
        progress: Progress,
        labels: Labels,
        announce: Callable[[ImportPlan], None],
    ) -> None:
        self._project, self._copy, self._progress, self._labels = project, copy, progress, labels
        self._announce = announce
        self._started = time.monotonic()
        self._incoming = begin_scratch(project.root / IMAGES / "copies")
        self._max_bytes = 8 * project.settings.max_image_pixels + (64 << 20)
        with project.store.read() as unit:
            self._classes = list(class_ids(unit))
            # In an empty project there is nothing to be known already: hashing first is wasted.
            self._items = unit.items.count().items
            self._sift = self._items > 0
        self._sources = [
            open_source(
                Path(path),
                project.root,
                self._incoming,
                self._max_bytes,
                classes=self._classes,
                any_labels=labels == "folders",
            )
            for path in sources
        ]
        self._plan: ImportPlan | None = None
        self._again: deque[Request] = deque()
        self._sifted: list[tuple[Request, Answer]] = []
        self._decoded: set[str] = set()  # hashes that were not known, where known ones are sifted
        self._waiting: dict[int, _Image | ImportProblem] = {}  # for those before them
        self._done = self._begun = self._written = self._copies = 0

    def run(self) -> ImportReport:
        """Import, and close the import's row however it ends."""
        with self._project.store.write() as unit:
            import_id = unit.imports.start(", ".join(source.shown for source in self._sources))
        make = self._labels == "folders" or not self._classes
        self._writer = Writer(self._project, import_id, make)
        cancelled = False
        try:
            try:
                self._plan = self._look()
                self._announce(self._plan)
                self._writer.twins.expect(self._items + self._plan.files)
                self._writer.make_classes(self._plan.new_classes)
                self._drive(self._plan)
            except JobCancelled:
                cancelled = True
            self._write_all()
            self._tell()
        except BaseException as error:
            self._save_what_can_be()
            if isinstance(error, CannotWriteError | StoreFull):
                raise self._full(error) from error
            raise
        finally:
            self._writer.close()
            shutil.rmtree(self._incoming, ignore_errors=True)
        return self._end(import_id, cancelled)

    def _look(self) -> ImportPlan:
        """Count the files, so that there is a time left to show, and decide what names mean."""
        return plan_import(self._sources, self._classes, self._labels, self._progress)

    def _drive(self, plan: ImportPlan) -> None:
        """Keep the workers busy and write what they find."""
        settings = self._project.settings
        config = {
            "max_pixels": settings.max_image_pixels,
            "memory_mb": settings.decode_memory_mb,
            "thumbnails": str(self._project.thumbnails),
            "side": settings.thumbnail_pixels,
        }
        most = settings.workers or _cores()
        feed: Iterator[Candidate | Refused | Unchanged] = self._feed(plan)
        if self._sift:
            feed = spot_unchanged(self._project, self._feed(plan))
        more = True
        with Pool(COMMAND, max(1, min(most, -(-plan.files // FILES_A_WORKER))), config) as pool:
            while more or pool.outstanding or self._again or self._sifted:
                self._progress.check()
                more = self._begin(feed, pool) and more
                if pool.outstanding:
                    for request, answer in pool.answers(WAIT_SECONDS):
                        self._take(request, answer)
                if len(self._sifted) >= SIFT or not pool.outstanding:
                    self._look_up()
                self._write()
                self._tell()

    def _feed(self, plan: ImportPlan) -> Iterator[Candidate | Refused]:
        """Yield what the sources hold, with the labels and splits that were decided."""
        for source, decided in zip(self._sources, plan.sources, strict=True):
            meanings = _meanings(decided)
            for step in source.candidates():
                if isinstance(step, Candidate):
                    yield self._labelled(step, meanings, plan)
                else:
                    yield step

    def _labelled(self, candidate: Candidate, meanings: Meanings, plan: ImportPlan) -> Candidate:
        """Give a candidate what its folder means, and its label the name of the class."""
        if candidate.folder is not None and (meaning := meanings.get(candidate.folder)):
            candidate = replace(candidate, label=meaning.label, split=meaning.split)
        if candidate.label is None:
            return candidate
        name = None if self._labels == "none" else plan.find_class(candidate.label)
        return replace(candidate, label=name)

    def _begin(self, feed: Iterator[Candidate | Refused | Unchanged], pool: Pool) -> bool:
        """Hand out files while the workers have room; false when there are no more."""
        for _ in range(STEPS):
            if not pool.room:
                return True
            if self._again:
                pool.submit(self._again.popleft())
                continue
            if self._begun - self._written >= WINDOW:
                return True
            step = next(feed, None)
            if step is None:
                return False
            number, self._begun = self._begun, self._begun + 1
            if isinstance(step, Refused):
                self._note(number, step)
            elif isinstance(step, Unchanged):
                self._note(number, _Image(step.candidate, step.facts, None))
            elif (problem := self._nameless(step)) is not None:
                self._note(number, problem)
            else:
                pool.submit(self._request(_Turn(number, step), sift=self._sift))
        return True

    def _request(self, turn: _Turn, sift: bool) -> Request:
        """Ask for a file to be examined, and copied on the way when it is to be ours."""
        keep = None
        if self._copy and not turn.candidate.owned and not sift:
            self._incoming.mkdir(parents=True, exist_ok=True)
            keep = str(self._incoming / f"copy-{self._copies}")
            self._copies += 1
        return Request({"path": turn.candidate.path, "sift": sift, "keep": keep}, turn)

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
        turn: _Turn = request.about
        candidate = turn.candidate
        if "stop" in answer:
            raise CannotWriteError(answer["stop"])
        if "exhausted" in answer:
            raise ImportSourceError(
                f"{candidate.shown}: {answer['exhausted']} The {self._writer.added:,} images added "
                f"so far stay; import again for the others."
            )
        if "reason" in answer:
            if candidate.owned:
                Path(candidate.path).unlink(missing_ok=True)
            problem = ImportProblem(candidate.shown, answer["reason"], answer["mend"])
            self._note(turn.number, problem)
        elif request.message["sift"]:
            self._sifted.append((request, answer))
        else:
            file = request.message["keep"] or (candidate.path if candidate.owned else None)
            image = _Image(candidate, answer, None if file is None else Path(file))
            self._note(turn.number, image)

    def _look_up(self) -> None:
        """Pass over the images that were in before; have the others decoded."""
        if not self._sifted:
            return
        sifted, self._sifted = self._sifted, []
        with self._project.store.read() as unit:
            known = unit.items.known([answer["sha256"] for _, answer in sifted])
            records = unit.items.many(list(known.values()))
        lost = {r.sha256 for r in records.values() if not self._project.file(r.path).exists()}
        for request, answer in sifted:
            turn: _Turn = request.about
            sha256 = answer["sha256"]
            # A second copy of what this import brings is decoded too: whether the first one is in
            # by now is a matter of speed.
            if sha256 in known.keys() - self._decoded and not (self._copy and sha256 in lost):
                file = Path(turn.candidate.path) if turn.candidate.owned else None
                self._note(turn.number, _Image(turn.candidate, answer, file))
            else:
                self._decoded.add(sha256)
                self._again.append(self._request(turn, sift=False))

    def _note(self, number: int, outcome: _Image | ImportProblem) -> None:
        """Keep what became of a file until it is its turn to be written."""
        self._done += 1
        self._waiting[number] = outcome

    def _write(self) -> None:
        """Write what is known of the next files in order, batch by batch."""
        while self._written in self._waiting:
            self._hand_over(self._waiting.pop(self._written))
            self._written += 1
            if self._writer.due:
                self._writer.flush()

    def _write_all(self) -> None:
        """Write what is known of any file: nothing more will come before it."""
        for number in sorted(self._waiting):
            self._hand_over(self._waiting.pop(number))
        self._writer.flush()

    def _hand_over(self, outcome: _Image | ImportProblem) -> None:
        if isinstance(outcome, ImportProblem):
            self._writer.refuse(outcome)
        else:
            self._writer.take(outcome.candidate, outcome.facts, outcome.file)

    def _tell(self) -> None:
        writer = self._writer
        total = self._plan.files if self._plan else 0
        message = f"{writer.added:,} added"
        if writer.failed:
            message += f", {writer.failed:,} left out"
        numbers = {"added": writer.added, "known": writer.known, "failed": writer.failed}
        self._progress.update("import", self._done, max(total, self._done), message, **numbers)

    def _save_what_can_be(self) -> None:
        """Write what was found before something went wrong, if it can still be written."""
        with suppress(StoreError, CannotWriteError):
            self._write_all()
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
            notes=tuple(notes_on(self._project, self._plan, self._sources, writer)),
            sources=self._plan.sources if self._plan else (),
        )


def _meanings(decided: SourcePlan) -> Meanings:
    """Return what the folders of a source mean."""
    if decided.decision is None:
        return {}
    return {folder.folder: folder for folder in decided.decision.folders}


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
