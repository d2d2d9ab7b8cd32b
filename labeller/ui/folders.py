"""Folders of the machine that serves the pages: what a person can pick from."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labeller.services.folder_rule import decide_folders
from labeller.services.import_plan import SourcePlan
from labeller.services.import_sources import (
    Labels,
    Survey,
    SurveyStopped,
    is_candidate,
    open_source,
)

PATIENCE_SECONDS = 0.8
MOST_FOLDERS = 500


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder and how many images are in it and below; `more` when counting was cut short."""

    path: Path
    images: int
    more: bool

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name or str(self.path)


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's inside; `error` says why it cannot be shown."""

    path: Path
    folders: tuple[Folder, ...] = ()
    images: int = 0
    cut: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """Images in a folder and below: all of them, and by class when folders are taken as labels."""

    images: int
    classes: tuple[tuple[str, int], ...]
    cut: bool


def listing(path: Path, patience: float = PATIENCE_SECONDS) -> Listing:
    """Return the sub-folders of a folder, each with the number of images in it and below.

    Parameters
    ----------
    path : Path
        The folder.
    patience : float
        Seconds that counting may take in all; later folders then count as far as they got.
    """
    until = time.monotonic() + patience
    inside: list[Path] = []
    images = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    inside.append(Path(entry.path))
                elif is_image(entry.name):
                    images += 1
    except OSError as error:
        return Listing(path, error=f"{path}: cannot be opened ({error.strerror or error}).")
    inside.sort(key=lambda folder: folder.name.casefold())
    shown = [Folder(folder, *count_images(folder, until)) for folder in inside[:MOST_FOLDERS]]
    return Listing(path, tuple(shown), images, cut=len(inside) > MOST_FOLDERS)


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return bool(is_candidate(name))


def count_images(path: Path, until: float) -> tuple[int, bool]:
    """Count images in a folder and below until a moment (monotonic seconds).

    Returns
    -------
    (int, bool)
        The number, and whether there may be more.
    """
    number = 0
    for _, inside, files in os.walk(path):
        inside[:] = [name for name in inside if not name.startswith(".")]
        number += sum(is_image(name) and not name.startswith(".") for name in files)
        if time.monotonic() > until:
            return number, True
    return number, False


def contents(path: Path, patience: float = PATIENCE_SECONDS) -> Contents:
    """Count the images in a folder and below, as a whole and by the class their folder would be.

    Parameters
    ----------
    path : Path
        The folder.
    patience : float
        Seconds; what is counted by then is returned, marked as cut.
    """
    survey = survey_source(path, patience)
    decision = decide_source(path, survey, (), "folders").decision
    return Contents(survey.files, decision.classes if decision else (), survey.cut)


def survey_source(
    path: Path, patience: float = PATIENCE_SECONDS, classes: Sequence[str] = ()
) -> Survey:
    """Look at a folder, archive or table as an import will, for so many seconds.

    Raises
    ------
    ImportSourceError
        When it cannot be read as a whole.
    """
    until = time.monotonic() + patience

    def tick(_files: int) -> None:
        if time.monotonic() > until:
            raise SurveyStopped

    try:
        return open_source(path, None, path, 0, classes=classes).survey(tick)
    except SurveyStopped:
        return Survey(cut=True)


def decide_source(path: Path, survey: Survey, classes: Sequence[str], labels: Labels) -> SourcePlan:
    """Return what an import would take the folders of a source for."""
    decision = None
    if survey.folders:
        damaged = frozenset(survey.damaged)
        decision = decide_folders(survey.folders, classes, labels, damaged)
    return SourcePlan(str(path), survey, decision)


def starting_points() -> list[Path]:
    """Return folders to begin from: home, where the server runs, and mounted disks."""
    found = [Path.home(), Path.cwd(), Path("/mnt"), Path("/media"), Path("/data"), Path("/")]
    seen: dict[Path, None] = {}
    for folder in found:
        if folder.is_dir():
            seen.setdefault(folder, None)
    return list(seen)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
