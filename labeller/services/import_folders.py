"""Import from a folder and everything below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labeller import imaging
from labeller.config import FILE
from labeller.errors import ImportSourceError
from labeller.services.import_sources import (
    Candidate,
    Refused,
    Survey,
    Tick,
    is_candidate,
    is_hidden,
    safe_target,
    shown,
)

OWN_FOLDERS = ("thumbnails", "vectors", "models", "synthetic", "logs", "exports")


@dataclass(frozen=True, slots=True)
class _Folder:
    """One folder of the walk: its place below the source, and its files in order of name."""

    parts: tuple[str, ...]
    path: str
    files: list[str]


class FolderSource:
    """A folder: recursive, hidden names left out, links followed but never in a circle.

    Files are taken by their suffix; one without any suffix is taken when it begins like an image.
    The project's own folder, or another project's, is passed over.
    """

    def __init__(self, path: Path, project_root: Path) -> None:
        own = project_root.resolve()
        real = path.resolve()
        if real == own or any(real.is_relative_to(own / name) for name in OWN_FOLDERS):
            raise ImportSourceError(
                f"{shown(str(path))}: is the project's own folder. Import that of your images."
            )
        self.path = path
        self.shown = shown(str(path))

    def survey(self, tick: Tick) -> Survey:
        """Count the files by their names."""
        survey = Survey()
        for folder in self._walk():
            if isinstance(folder, _Folder):
                survey.count(folder.parts, len(folder.files))
                tick(survey.files)
        return survey

    def candidates(self, survey: Survey, folders: bool) -> Iterator[Candidate | Refused]:
        """Yield every file, folder by folder, in order of name."""
        for folder in self._walk():
            if isinstance(folder, Refused):
                yield folder
                continue
            label = survey.label(folder.parts) if folders else None
            for name in folder.files:
                path = os.path.join(folder.path, name)  # noqa: PTH118 - a million times
                target = safe_target([self.path.name, *folder.parts, name])
                key = "/".join([*folder.parts, name])
                yield Candidate(shown(path), path, target, label, key=shown(key))

    def _walk(self) -> Iterator[_Folder | Refused]:
        """Yield one folder after the other; only one is held in memory."""
        seen: set[tuple[int, int]] = set()
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            parts = waiting.pop()
            path = os.path.join(self.path, *parts)  # noqa: PTH118
            try:
                status = os.stat(path)  # noqa: PTH116
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                files, below = _listed(path)
            except OSError as error:
                yield Refused(
                    shown(path),
                    f"the folder cannot be read ({error.strerror or error})",
                    "Give yourself permission (chmod u+rx FOLDER), then try again.",
                    key=shown("/".join(parts)) or ".",
                )
                continue
            if parts and FILE in files:
                continue
            names = [name for name in files if _wanted(path, name)]
            yield _Folder(parts, path, names)
            waiting += [(*parts, name) for name in reversed(below)]


def _listed(path: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders in a folder, hidden ones left out."""
    files: list[str] = []
    below: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                (below if _is_folder(entry) else files).append(entry.name)
    return sorted(files), sorted(below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: listed as a file that cannot be opened
        return False


def _wanted(folder: str, name: str) -> bool:
    wanted = is_candidate(name)
    if wanted is None:
        return imaging.looks_like_image(os.path.join(folder, name))  # noqa: PTH118
    return wanted
