"""Engines: pragmas, real BEGINs, and forks.

See https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-transactions: the driver's own
transaction handling is off, and the ``begin`` event sends the BEGIN that is meant.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from store.errors import StoreError
from store.plain import BUSY_SECONDS, to_json
from store.turns import Turns


@dataclass(frozen=True, slots=True)
class Database:
    """An engine with what goes with it.

    `writers` makes the threads of this process queue for SQLite's one write lock; without it
    they poll for it, and an unlucky one polls for long. A thread whose turn it is may fork.
    """

    url: str
    name: str
    engine: Engine
    file: Path | None
    inode: tuple[int, int] | None
    writers: Turns = field(default_factory=Turns)

    @property
    def sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.file is not None


_databases: dict[str, Database] = {}
_guard = threading.Lock()


def file_url(file: Path) -> str:
    """Return the URL of a SQLite file; a ``?``, ``#`` or ``%`` in its path is quoted.

    Raises
    ------
    StoreError
        When the path is not UTF-8, which a URL cannot hold.
    """
    try:
        return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{str(file)!a}: the name of the folder is not UTF-8. Rename it."
        ) from error


def database(url: str) -> Database:
    """Return this process's one engine for `url`.

    Parameters
    ----------
    url : str
        SQLAlchemy URL of a SQLite file or a PostgreSQL database (``postgresql+psycopg://``).

    Raises
    ------
    StoreError
        When the URL cannot be used.
    """
    with _guard:
        known = _databases.get(url)
        if known is not None and known.inode == _inode(known.file):
            return known
        if known is not None:
            known.engine.dispose()
        made = _make(url)
        _databases[url] = made
        return made


def remember_file(opened: Database) -> Database:
    """Note which file the pool's connections have open, once it exists."""
    with _guard:
        same = Database(
            opened.url,
            opened.name,
            opened.engine,
            opened.file,
            _inode(opened.file),
            opened.writers,
        )
        _databases[opened.url] = same
        return same


# What a fork found open. A child never closes it: SQLite would do it under the parent's hands.
_inherited: list[Database] = []
_held: list[Turns] = []


def _before_fork() -> None:
    """Let a write of another thread end and close what is idle.

    SQLite keeps its locks per process: a child would believe that it holds the parent's.
    """
    for known in list(_databases.values()):
        if known.sqlite and known.writers.hold(BUSY_SECONDS):
            _held.append(known.writers)
        known.engine.dispose()


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    _held.clear()
    _inherited.extend(_databases.values())
    _databases.clear()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


def _inode(file: Path | None) -> tuple[int, int] | None:
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def _make(url: str) -> Database:
    """Build the engine of a URL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"{url}: is not a database URL. Write sqlite:////folder/file.db"
        ) from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StoreError(f"{url}: names no file. Write sqlite:////path/to/file.db")
        file = Path(parsed.database).absolute()
        return Database(url, str(file), sqlite_engine(file), file, _inode(file))
    if kind == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(
            parsed,
            pool_size=10,
            max_overflow=30,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,
            json_serializer=to_json,
            connect_args={"options": f"-c lock_timeout={int(BUSY_SECONDS)}s"},
        )
        return Database(url, parsed.render_as_string(hide_password=True), engine, None, None)
    raise StoreError(f"{url}: only SQLite files and PostgreSQL databases can hold a project.")


def sqlite_engine(file: Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine on a SQLite file whose transactions begin as they say."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(file)),
        pool_size=20,
        max_overflow=60,
        pool_timeout=BUSY_SECONDS,
        json_serializer=to_json,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        _use_wal(connection, busy_seconds)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")  # of a file that somebody else made
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
        connection.execute("PRAGMA cache_size = -32768")
        entry.info["reads"] = False

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = not connection.get_execution_options().get("writes", False)
        if connection.info["reads"] != reads:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(reads)}")
            connection.info["reads"] = reads
        wait = connection.get_execution_options().get("wait_seconds", busy_seconds)
        if connection.info.get("wait") != wait:  # what waiting for a turn took is over
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(wait * 1000)}")
            connection.info["wait"] = wait
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself for the lock this needs."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)
