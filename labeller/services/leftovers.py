"""What killed processes left behind, removed by whoever opens the project next."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from labeller.project import Project
from labeller.services import uploading
from store.scratch import PREFIX, remove, remove_abandoned, remove_temporary

UPLOAD_SECONDS = 24 * 3600.0  # after which nobody submits an import of what a browser sent
_PLACES = (".", "images", "vectors", "models", "synthetic", "exports", uploading.ARRIVALS)
# What a person may put beside them, such as `.notes.2024`, is theirs.
_SETTINGS = (".project.toml.", ".secret.key.", ".labeller.db.")
_MADE_HERE = {
    "exports": (".snap",),
    **dict.fromkeys(("images", "vectors", "models", "synthetic"), (".",)),
}
_BEFORE = re.compile(r"\.(?:incoming-(\d+)-.*|.+?\.(\d+)(?:\.\d+)?)")  # of earlier versions


def remove_leftovers(project: Project) -> list[Path]:
    """Delete unfinished files of processes that are dead, and uploads that nobody imports.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of Path
        What was deleted. What a living process makes is left alone, also one of another machine.
    """
    gone = remove_temporary()
    for folder in _list_places(project.root):
        gone += remove_abandoned(folder)
        gone += [path for path in _list_nameless(folder) if remove(path)]
    return gone + [path for path in _list_forgotten_uploads(project) if remove(path)]


def remove_half_thumbnails(project: Project) -> list[Path]:
    """Delete thumbnails that a killed process did not finish; it looks at all of them."""
    folders = (Path(path) for path, _, _ in os.walk(project.thumbnails))
    return [path for folder in folders for path in remove_abandoned(folder)]


def _list_places(root: Path) -> Iterator[Path]:
    """Yield the folders in which files are made, and those one below."""
    for place in dict.fromkeys(root / name for name in (*_PLACES, uploading.UPLOADS)):
        yield place
        if place != root and place.name != "images" and place.is_dir():
            yield from (path for path in place.iterdir() if path.is_dir())


def _list_nameless(folder: Path) -> Iterator[Path]:
    """Yield what earlier versions left, whose names tell a pid at most."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if not path.name.startswith(".") or path.name.startswith(PREFIX):
            continue
        old = _BEFORE.fullmatch(path.name)
        dead = old is not None and not psutil.pid_exists(int(old[1] or old[2]))
        ours = _MADE_HERE.get(folder.name, _SETTINGS)
        if (dead and path.name.startswith(ours)) or folder.name == uploading.ARRIVALS:
            yield path


def _list_forgotten_uploads(project: Project) -> Iterator[Path]:
    """Yield what browsers sent for imports that were never submitted, or failed."""
    folder = project.root / uploading.UPLOADS
    if not folder.is_dir():
        return
    before = time.time() - UPLOAD_SECONDS
    old = [path for path in folder.iterdir() if path.lstat().st_mtime < before]
    if not old:
        return
    with project.store.read() as unit:
        sources = [
            Path(str(source))
            for job in unit.jobs.active("import")
            for source in job.params.get("sources", [])
        ]
    for path in old:
        if not any(source.is_relative_to(path) for source in sources):
            yield path
