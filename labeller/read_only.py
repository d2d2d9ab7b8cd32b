"""A project that can only be read: its database is copied aside, as SQLite writes even to read."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from store.scratch import make_temporary
from store.soundness import connect_readonly

_kept: list[tempfile.TemporaryDirectory[str]] = []


def find_hindrance(folder: Path, database: Path | None) -> str | None:
    """Say why a project cannot be written; None when it can.

    Parameters
    ----------
    folder : Path
        The project's.
    database : Path, optional
        Its SQLite file.
    """
    for path in (folder, database):
        if path is not None and path.exists() and not os.access(path, os.W_OK):
            return f"{path}: {_reason(path)}"
    return None


def _reason(path: Path) -> str:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS).lower()
    return os.strerror(errno.EACCES).lower()


def make_folder_aside() -> Path:
    """Make a folder that goes with this process."""
    kept = make_temporary("readonly")
    _kept.append(kept)
    return Path(kept.name)


def copy_database(file: Path, to: Path) -> Path:
    """Copy a database, with what its log holds, to a folder.

    Raises
    ------
    OSError
        When it cannot be read, or there is no room for it.
    """
    copy = to / file.name
    try:
        with closing(connect_readonly(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error:  # its log has no index, which nobody can make here: nobody writes either
        for suffix in ("", "-wal"):
            part = file.with_name(f"{file.name}{suffix}")
            if part.exists():
                shutil.copyfile(part, copy.with_name(f"{copy.name}{suffix}"))
    return copy
