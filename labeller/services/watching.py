"""The watched folder: images that are put there are imported by themselves, and join a stream."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from labeller import jobs
from labeller.errors import JobError, LabellerError
from labeller.jobs.control import get
from labeller.project import FOLDERS, Project, is_project
from labeller.services import prediction_plans, recent, uploading
from labeller.services.import_sources import glance_at, is_candidate, is_hidden
from store.errors import StoreError
from store.records import JobRecord

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
SLOWEST_SECONDS = 300.0
SHARE = 0.05  # of the time that looking may take: a big folder is looked at less often
MOST = 1_000  # files in one import

Stamp = tuple[int, int]

_lock = threading.Lock()
_watched: set[Path] = set()


def folder_of(project: Project) -> Path | None:
    """Return the watched folder, None when none is set; a relative one lies in the project."""
    named = project.settings.watch_folder
    return project.root / Path(named).expanduser() if named else None


def problem(project: Project) -> str | None:
    """Say why the watched folder cannot be watched, None when it can or none is set."""
    folder = folder_of(project)
    if folder is None:
        return None
    if not folder.is_dir():
        return f"{folder}: the watched folder is not there. Make it, or change watch_folder."
    real, root = folder.resolve(), project.root.resolve()
    own = [root / name for name in (*FOLDERS, uploading.ARRIVALS, prediction_plans.FOLDER)]
    if real == root or root.is_relative_to(real) or any(real.is_relative_to(one) for one in own):
        return f"{folder}: holds the project's own files and cannot be watched. Choose another."
    return None


@dataclass(slots=True)
class Watcher:
    """Looks at a folder again and again, and imports files that have stopped changing."""

    _before: dict[str, Stamp] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _job: int | None = None
    _sent: dict[str, Stamp] = field(default_factory=dict)
    failures: int = 0

    def tick(self, project: Project) -> JobRecord | None:
        """Look once; return the import that was submitted, if any.

        Parameters
        ----------
        project : Project
            With its settings as they are now.

        Raises
        ------
        OSError
            When the folder cannot be read.
        """
        if not self._settled(project):
            return None
        arrived = uploading.import_arrivals(project)
        if arrived is not None:
            self._job = arrived.id
            return arrived
        folder = folder_of(project)
        if folder is None or problem(project) is not None:
            return None
        fresh = self._unknown(project, self._still(folder))
        if not fresh:
            return None
        params = {"sources": list(fresh), "copy": False, "labels": "none"}
        try:
            job = jobs.submit(project, "import", params)
        except JobError:  # another import is on
            return None
        self._job, self._sent = job.id, fresh
        return job

    def _settled(self, project: Project) -> bool:
        """Whether the last import has ended; note what it took in."""
        if self._job is None:
            return True
        jobs.reap(project)
        job = get(project, self._job)
        if job.active:
            return False
        if job.state == "failed":
            self.failures += 1
        else:  # a person who cancelled does not want them now
            self.failures = 0
            self._taken.update(map(hash, self._sent.items()))
        self._job, self._sent = None, {}
        return True

    def _still(self, folder: Path) -> dict[str, Stamp]:
        """Return new files, at most 1,000, that are as they were the last time."""
        now: dict[str, Stamp] = {}
        still: dict[str, Stamp] = {}
        for path, stamp in _files(folder):
            if hash((path, stamp)) in self._taken:
                continue
            now[path] = stamp
            if self._before.get(path) == stamp and len(still) < MOST:
                still[path] = stamp
        self._before = now
        return still

    def _unknown(self, project: Project, files: dict[str, Stamp]) -> dict[str, Stamp]:
        """Leave out files that were imported before this process began to watch."""
        fresh = {}
        with project.store.read() as unit:
            for path, stamp in files.items():
                item, known = unit.items.by_path(path), unit.paths.many([path]).get(path)
                seen = known.stamp if known else None
                same = seen is None or (seen.bytes, seen.mtime_ns) == stamp
                if item is not None and item.bytes == stamp[0] and same:
                    self._taken.add(hash((path, stamp)))
                else:
                    fresh[path] = stamp
        return fresh


def _files(folder: Path) -> list[tuple[str, Stamp]]:
    """Return the files below a folder that may be images, with size and time of change."""
    found: list[tuple[str, Stamp]] = []
    for place, folders, names in os.walk(os.path.abspath(folder)):  # noqa: PTH100 - keeps links
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            if is_hidden(name):
                continue
            path = os.path.join(place, name)  # noqa: PTH118 - a million of them
            try:
                about = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            stamp = about.st_size, about.st_mtime_ns
            if is_candidate(name) or _begins_like_image(path, stamp):
                found.append((path, stamp))
    return sorted(found)


@lru_cache(maxsize=100_000)
def _begins_like_image(path: str, stamp: Stamp) -> bool:
    """Whether a file that is not named like an image is one; looked at once while it stays."""
    kind = glance_at(path) if stamp[0] else None
    return kind is not None and kind.family == "image"


def needed(project: Project) -> bool:
    """Whether there is a folder to watch, or something arrived that is not imported yet."""
    if project.is_read_only:
        return False
    return folder_of(project) is not None or uploading.waiting(project)


def ensure(project: Project) -> None:
    """Watch a project's folder in a thread of this process, once, if there is something to watch.

    Parameters
    ----------
    project : Project
    """
    with _lock:
        if project.root in _watched or not needed(project):
            return
        _watched.add(project.root)
    threading.Thread(
        target=_watch, args=(project.root,), name=f"watch-{project.root.name}", daemon=True
    ).start()


def _watch(root: Path) -> None:
    """Look every few seconds, with the settings of the moment, as long as it is needed."""
    watcher, told = Watcher(), ""
    while not _done(root):
        began, said = time.monotonic(), ""
        try:
            project = recent.opened(root)
            said = problem(project) or ""
            watcher.tick(project)
        except (LabellerError, StoreError, OSError) as error:
            said = str(error)
        if said and said != told:
            log.warning("%s", said)
        told = said
        time.sleep(_pause(time.monotonic() - began, watcher.failures))


def _done(root: Path) -> bool:
    """Whether nothing is left to watch; then another call of `ensure` begins anew."""
    with _lock:
        try:
            done = not is_project(root) or not needed(recent.opened(root))
        except (LabellerError, StoreError):  # a setting that is being mended, a busy database
            done = False
        if done:
            _watched.discard(root)
        return done


def _pause(took: float, failures: int) -> float:
    """Return how long to wait: longer for a big folder, and after imports that failed."""
    return min(SLOWEST_SECONDS, max(POLL_SECONDS * 2.0 ** min(failures, 10), took / SHARE))
