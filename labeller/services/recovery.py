"""A project whose database is gone, damaged or another's: what can be put in its place.

Nothing is deleted: what is replaced stays beside it under another name.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from labeller import config
from labeller.errors import ProjectError
from labeller.project import DATABASE_FILE, Project, open_project, own_database
from labeller.services.backups import ListedBackup, list_backups, unpack_database
from store.durable import move_whole, sync_file
from store.engine import file_url
from store.scratch import begin_scratch
from store.soundness import connect_readonly, find_damage
from store.store import Store, StoreError

_ASIDE = ".aside-"
_COUNTS = "SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM label)"
_SIDES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """A database that may be put back; `problem` says why it cannot, `labels` what it holds."""

    path: Path
    changed_at: float
    items: int = 0
    labels: int = 0
    own: bool | None = None
    problem: str | None = None


def find_copies(folder: Path) -> list[DatabaseCopy]:
    """Return the databases that lie in a project's folder, the newest that can be used first.

    Copies made before an upgrade, files put aside by an earlier recovery, renamed ones, and the
    project's own file if it can be read at all.
    """
    root = folder.expanduser().absolute()
    identity = config.load_settings(root, {}).id
    copies = [_look(path, identity) for path in _candidates(root)]
    copies += [_look_at_backup(backup) for backup in list_backups(root)]
    return sorted(copies, key=lambda copy: (copy.problem is not None, -copy.changed_at))


def _look_at_backup(backup: ListedBackup) -> DatabaseCopy:
    counts = backup.counts
    return DatabaseCopy(
        backup.file,
        backup.created,
        counts.get("items", 0),
        counts.get("labels", 0),
        problem=backup.problem,
    )


def _candidates(root: Path) -> Iterator[Path]:
    """Yield the files whose first bytes say that they are SQLite databases."""
    for path in sorted(root.iterdir()):
        if path.name.endswith(_SIDES[1:]) or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(16) == b"SQLite format 3\0":
                yield path


def _look(path: Path, identity: str) -> DatabaseCopy:
    changed_at = path.stat().st_mtime
    problem = find_damage(path)
    if problem is not None:
        return DatabaseCopy(path, changed_at, problem=f"is damaged ({problem})")
    try:
        with closing(connect_readonly(path)) as connection:
            items, labels = connection.execute(_COUNTS).fetchone()
            row = _first(connection, "SELECT value FROM setting WHERE key = 'project'")
    except sqlite3.DatabaseError as error:
        return DatabaseCopy(path, changed_at, problem=f"is no database of a project ({error})")
    own = None if row is None else json.loads(row) == identity
    problem = "belongs to another project" if own is False else None
    return DatabaseCopy(path, changed_at, items, labels, own, problem)


def _first(connection: sqlite3.Connection, query: str) -> str | None:
    row = connection.execute(query).fetchone()
    return None if row is None else str(row[0])


def put_back(folder: Path, copy: Path) -> Project:
    """Put a copy of a database in the place of a project's own, and open the project.

    Parameters
    ----------
    folder : Path
        The project's.
    copy : Path
        A database of this project; it stays where it is.

    Raises
    ------
    ProjectError
        When the copy cannot be used, or cannot be written in its new place.
    """
    root = folder.expanduser().absolute()
    target = _own_file(root)
    scratch = begin_scratch(target)
    try:
        _copy_whole(copy, scratch)
        looked = _look(scratch, config.load_settings(root, {}).id)
        if looked.problem is not None:
            raise ProjectError(f"{copy}: {looked.problem}. Choose another copy.")
        sync_file(scratch)
        put_aside(root)
        move_whole(scratch, target)
    except OSError as error:
        raise ProjectError(f"{target}: cannot be written ({error}).") from error
    finally:
        scratch.unlink(missing_ok=True)
    return open_project(root)


def _copy_whole(copy: Path, target: Path) -> None:
    """Write a database, or that of a backup, to a file of its own.

    Raises
    ------
    ProjectError
        When it cannot be read.
    """
    if zipfile.is_zipfile(copy):
        unpack_database(copy, target)
        return
    try:
        with closing(connect_readonly(copy)) as source, closing(sqlite3.connect(target)) as into:
            source.backup(into)
    except sqlite3.Error as error:
        raise ProjectError(f"{copy}: is damaged ({error}). Choose another copy.") from error


def begin_anew(folder: Path) -> Project:
    """Give a project an empty database; images and label files can be imported again.

    Raises
    ------
    ProjectError
        When it cannot be written.
    """
    root = folder.expanduser().absolute()
    target = _own_file(root)
    try:
        put_aside(root)
        Store.open(file_url(target)).close()
    except (OSError, StoreError) as error:
        raise ProjectError(f"{target}: cannot be made anew ({error}).") from error
    return open_project(root)


def put_aside(root: Path) -> list[Path]:
    """Rename a project's database with its log, so that nothing of it is lost."""
    moved = []
    when = time.strftime("%Y%m%d-%H%M%S")
    for side in _SIDES:
        file = root / f"{DATABASE_FILE}{side}"
        if file.exists():
            # The log keeps the name that its database has: together they can be opened.
            target = root / f"{DATABASE_FILE}{_ASIDE}{when}{side}"
            move_whole(file, target)
            moved.append(target)
    return moved


def _own_file(root: Path) -> Path:
    file = own_database(root, config.load_settings(root))
    if file is None:
        raise ProjectError(
            f"{root}: its database is not in the folder (setting `database`). Recover it there."
        )
    return file
