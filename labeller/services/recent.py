"""Projects opened in this process and, newest first, lately on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from labeller import config, trust
from labeller.project import (
    Project,
    database_url,
    is_project,
    look_at_project,
    open_project,
    own_database,
)
from labeller.services import leftovers
from labeller.state import state_folder
from store.durable import write_whole

FILE = "recent.json"
KEEP = 30
_lock = threading.Lock()
_open: dict[Path, Project] = {}


@dataclass(frozen=True, slots=True)
class Recent:
    """One project of the list; counts are those of when it was last on screen."""

    path: Path
    name: str
    id: str
    opened_at: float
    exists: bool
    items: int | None = None
    labelled: int | None = None


def opened(path: Path | str) -> Project:
    """Return the project in a folder; this process opens its database once and keeps it open.

    Parameters
    ----------
    path : path
        The project folder.

    Returns
    -------
    Project
        With the settings that ``project.toml`` holds now.

    Raises
    ------
    ProjectError, ConfigError
        As `open_project` does.
    """
    root = Path(path).expanduser().absolute()
    with _lock:
        known = _open.get(root)
        if known is not None and known.is_read_only and is_project(root):
            return known
        if known is not None and is_project(root):
            settings = config.load_settings(root)
            if settings == known.settings:
                return known
            same = settings.id == known.id
            if same and database_url(root, settings) == database_url(root, known.settings):
                stored = config.load_settings(root, {})
                trust.refuse_stranger(root, stored, own_database(root, stored))
                _open[root] = Project(root, settings, known.store)
                return _open[root]
        _open.pop(root, None)
        _open[root] = open_project(root)
        leftovers.remove_leftovers(_open[root])
        return _open[root]


def reopen(path: Path | str) -> Project:
    """Return the project in a folder, looked at anew where it could only be read before."""
    root = Path(path).expanduser().absolute()
    with _lock:
        if (known := _open.get(root)) is not None and known.is_read_only:
            del _open[root]
    return opened(root)


def look(path: Path) -> Project:
    """Open somebody else's project to look at, in this process."""
    with _lock:
        root = path.expanduser().absolute()
        _open[root] = look_at_project(root)
        return _open[root]


def list_open() -> list[Project]:
    """Return the projects that are open in this process; never waits for one that opens."""
    return list(_open.values())


def remember(project: Project, counts: tuple[int, int] | None = None) -> None:
    """Put a project on top of the list.

    Parameters
    ----------
    project : Project
        The project that was opened.
    counts : (int, int), optional
        Its items and labelled items, kept for the start page.

    Notes
    -----
    A list that cannot be written (a read-only home) is no reason to stop: the project is then
    known to this process only.
    """
    with _lock:
        _open.setdefault(project.root, project)
        old = {entry.path: entry for entry in list_entries()}
        before = old.pop(project.root, None)
        items, labelled = counts or ((before.items, before.labelled) if before else (None, None))
        top = Recent(project.root, project.name, project.id, time.time(), True, items, labelled)
        _write([top, *old.values()][:KEEP])


def recent() -> list[Recent]:
    """Return the projects opened lately, newest first, missing ones included."""
    with _lock:
        return [replace(entry, exists=is_project(entry.path)) for entry in list_entries()]


def by_id(project_id: str) -> Path | None:
    """Return the folder of the project with this identity, if it was opened here and is there."""
    return next(iter(all_by_id(project_id)), None)


def all_by_id(project_id: str) -> list[Path]:
    """Return the folders that `by_id` chooses from, the one opened last first.

    A copied project is there twice.
    """
    with _lock:
        folders = [entry.path for entry in list_entries() if entry.id == project_id]
        folders += [root for root, project in _open.items() if project.id == project_id]
    return [folder for folder in dict.fromkeys(folders) if is_project(folder)]


def list_folders(project_id: str) -> list[Path]:
    """Return the folders of the list that held a project of this identity, and hold one now.

    It takes no lock, as it is asked while a project is opened.
    """
    folders = [entry.path for entry in list_entries() if entry.id == project_id]
    return [folder for folder in folders if is_project(folder)]


def forget(path: Path | str) -> None:
    """Take a project off the list; its folder is left alone."""
    folder = Path(path)
    with _lock:
        _write([entry for entry in list_entries() if entry.path != folder])


def list_entries() -> list[Recent]:
    """Read the list; a damaged one counts as empty, damaged entries are passed over.

    It takes no lock, as it is asked while a project is opened.
    """
    try:
        rows = json.loads((state_folder() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for row in rows if (entry := _entry(row))] if isinstance(rows, list) else []


def _entry(row: Any) -> Recent | None:
    """Turn one stored row into an entry, or None when it is damaged."""
    if not isinstance(row, Mapping):
        return None
    try:
        return Recent(
            Path(str(row["path"])),
            str(row["name"]),
            str(row["id"]),
            float(row["opened_at"]),
            True,
            None if row.get("items") is None else int(row["items"]),
            None if row.get("labelled") is None else int(row["labelled"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _write(entries: list[Recent]) -> None:
    """Replace the list whole; see `remember` for why failing is silent."""
    rows = [{**asdict(entry), "path": str(entry.path)} for entry in entries]
    for row in rows:
        del row["exists"]
    folder = state_folder()
    with suppress(OSError):
        write_whole(folder / FILE, json.dumps(rows, indent=1))  # escaped: any name, UTF-8 or not
