"""Import from a folder and everything below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labeller.config import FILE
from labeller.errors import ImportSourceError
from labeller.file_kinds import FileKind
from labeller.services.import_sources import (
    TABLES,
    Candidate,
    Refused,
    Survey,
    SurveyStopped,
    Tick,
    glance_at,
    is_candidate,
    is_hidden,
    safe_target,
    shown,
)

OWN_FOLDERS = ("thumbnails", "vectors", "models", "synthetic", "logs", "exports")
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
PASSED = {
    "video": "videos",
    "sound": "sound files",
    "archive": "archives",
    "zip": "archives",
    "sheet": "sheets",
    "data": "data files",
    "document": "documents",
    "annotation": "annotations (JSON, XML)",
    "text": "text files",
    "file": "other files",
}
_LOOKS = 500  # files looked into between two ticks


@dataclass(frozen=True, slots=True)
class _Folder:
    """One folder of the walk: its place below the source, and its files in order of name."""

    parts: tuple[str, ...]
    path: str
    files: list[str]


@dataclass(frozen=True, slots=True)
class _Passed:
    """Something that the walk does not go into, by its path below the source."""

    kind: str
    key: str


class FolderSource:
    """A folder: recursive, hidden names left out, links followed but never in a circle.

    A file with the suffix of an image is taken for one; any other when it begins like one. The
    project's own folder, or another project's, is passed over. What is passed over is counted.
    """

    def __init__(self, path: Path, project_root: Path | None) -> None:
        if project_root is not None:
            own = project_root.resolve()
            real = path.resolve()
            if real == own or any(real.is_relative_to(own / name) for name in OWN_FOLDERS):
                raise ImportSourceError(
                    f"{shown(str(path))}: is the project's own folder. Import that of your images."
                )
        self.path = path
        self.shown = shown(str(path))
        self._odd: dict[tuple[str, ...], frozenset[str]] = {}  # images that are not named so

    def survey(self, tick: Tick) -> Survey:
        """Count the files by their names, and look into those that are not named like images."""
        survey = Survey()
        with suppress(SurveyStopped):
            survey.cut = True
            for step in self._walk():
                if isinstance(step, _Passed):
                    survey.pass_over(step.kind, step.key)
                elif isinstance(step, _Folder):
                    self._look(step, survey, tick)
                    tick(survey.files)
            survey.cut = False
        return survey

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Yield every file, folder by folder, in order of name."""
        for step in self._walk():
            if isinstance(step, Refused):
                yield step
            elif isinstance(step, _Folder):
                odd = self._odd.get(step.parts, frozenset())
                for name in step.files:
                    if is_candidate(name) or name in odd:
                        yield self._candidate(step, name)

    def _candidate(self, folder: _Folder, name: str) -> Candidate:
        path = os.path.join(folder.path, name)  # noqa: PTH118 - a million times
        target = safe_target([self.path.name, *folder.parts, name])
        key = _key(*folder.parts, name)
        return Candidate(shown(path), path, target, key=key, folder=folder.parts)

    def _look(self, folder: _Folder, survey: Survey, tick: Tick) -> None:
        """Tell images from other files, by suffix or by content."""
        odd: set[str] = set()
        named = 0
        for number, name in enumerate(folder.files):
            if number % _LOOKS == 0:
                tick(survey.files)
            if is_candidate(name):
                named += 1
                continue
            path = os.path.join(folder.path, name)  # noqa: PTH118
            kind = passed_as(name, glance_at(path))
            if kind is None:
                odd.add(name)
            else:
                survey.pass_over(kind, _key(*folder.parts, name))
        if odd:
            self._odd[folder.parts] = frozenset(odd)
        survey.count(folder.parts, named + len(odd))

    def _walk(self) -> Iterator[_Folder | _Passed | Refused]:
        """Yield one folder after the other; only one is held in memory."""
        seen: set[tuple[int, int]] = set()
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            parts = waiting.pop()
            path = os.path.join(self.path, *parts)  # noqa: PTH118
            try:
                status = os.stat(path)  # noqa: PTH116
                if (status.st_dev, status.st_ino) in seen:
                    yield _Passed("links to folders that are read already", _key(*parts))
                    continue
                seen.add((status.st_dev, status.st_ino))
                files, below, hidden = _list_folder(path)
            except OSError as error:
                yield Refused(
                    shown(path),
                    f"the folder cannot be read ({error.strerror or error})",
                    "Give yourself permission (chmod u+rx FOLDER), then try again.",
                    key=_key(*parts) or ".",
                )
                continue
            if parts and FILE in files:
                yield _Passed("folders of labelling projects", _key(*parts))
                continue
            yield from (_Passed(kind, _key(*parts, name)) for kind, name in hidden)
            yield _Folder(parts, path, files)
            waiting += [(*parts, name) for name in reversed(below)]


def _key(*parts: str) -> str:
    return shown("/".join(parts))


def passed_as(name: str, kind: FileKind | None) -> str | None:
    """Say as what a file that is not named like an image is passed over; None for an image."""
    suffix = PurePosixPath(name).suffix.lower()
    if name.casefold() in SYSTEM_FILES:
        return "files of the system"
    if suffix == ".thm":
        return "thumbnails of videos"
    if kind is None:
        return "files that are empty or cannot be read"
    if kind.family in ("image", "other image"):
        return None
    if suffix in ARCHIVES:
        return "archives"
    return "tables" if suffix in TABLES else PASSED[kind.family]


def _list_folder(path: str) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Return the files and folders in a folder by name, and with their kinds the hidden ones."""
    files: list[str] = []
    below: list[str] = []
    hidden: list[tuple[str, str]] = []
    with os.scandir(path) as entries:
        for entry in entries:
            folder = _is_folder(entry)
            if is_hidden(entry.name):
                hidden.append(("hidden folders" if folder else "hidden files", entry.name))
            else:
                (below if folder else files).append(entry.name)
    return sorted(files), sorted(below), sorted(hidden)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: listed as a file that cannot be opened
        return False
