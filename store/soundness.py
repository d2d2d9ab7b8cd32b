"""Whether a SQLite file was left open by a process that died, and whether it is whole."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

# SQLite's connections in write-ahead mode hold a shared lock on this byte of the index file
# (https://www.sqlite.org/walformat.html#wal_locks): who could lock it has the file for himself.
_HELD_BYTE = 128
_LOCK = struct.Struct("hhqqi4x")


def was_left_open(file: Path) -> bool:
    """Whether the last process that used a database died with it, and nobody uses it now.

    To be asked before this process opens it: asking would end its own locks.
    """
    log = file.with_name(f"{file.name}-wal")
    try:
        if log.stat().st_size == 0:
            return False
    except OSError:
        return False
    return not _is_held(file.with_name(f"{file.name}-shm"))


def _is_held(index: Path) -> bool:
    """Whether another process has the database open."""
    try:
        descriptor = os.open(index, os.O_RDWR)
    except OSError:
        return False
    try:
        wanted = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _HELD_BYTE, 1, 0)
        kind, *_ = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))
        return bool(kind != fcntl.F_UNLCK)
    finally:
        os.close(descriptor)


def find_damage(file: Path) -> str | None:
    """Return what SQLite's quick check says is wrong with a file; None when it is whole.

    It reads all of the file, about a second for some hundred megabytes.
    """
    try:
        with closing(connect_readonly(file)) as connection:
            lines = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.DatabaseError as error:
        return str(error)
    text = "; ".join(str(line[0]) for line in lines)
    return None if text == "ok" else text


def list_programs(file: Path) -> list[str]:
    """Name the triggers, views and virtual tables in a file: this program makes none.

    They would run whatever somebody else wrote, as soon as a table is read or written.

    Raises
    ------
    sqlite3.Error
        When the file cannot be read.
    """
    query = (
        "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('trigger', 'view') "
        "OR sql LIKE 'create virtual%' ORDER BY name"
    )
    with closing(connect_readonly(file)) as connection:
        return [str(row[0]) for row in connection.execute(query)]


def holds_nothing(file: Path) -> bool:
    """Whether a database has neither items nor events; False where that cannot be read."""
    if file.stat().st_size == 0:
        return True
    try:
        with closing(connect_readonly(file)) as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if not {"item", "event"} <= names:
                return not names
            query = "SELECT (SELECT count(*) FROM item) + (SELECT count(*) FROM event)"
            return int(connection.execute(query).fetchone()[0]) == 0
    except sqlite3.DatabaseError:
        return False


def connect_readonly(file: Path, immutable: bool = False) -> sqlite3.Connection:
    """Open a SQLite file that is not to be changed; `immutable`: nor looked for its log."""
    more = "&immutable=1" if immutable else ""
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro{more}", uri=True, timeout=5)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection
