"""The store: open a project's database, read it, write it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from store import schema
from store.annotators import Annotators
from store.budget import Budgets
from store.classes import Classes
from store.engine import Database, database, remember_file
from store.errors import (
    Conflict,
    JobActive,
    NotFound,
    SchemaTooNew,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
)
from store.evidence import Evidence
from store.generated import GeneratedRuns
from store.generated_labels import GeneratedLabels
from store.imports import Imports
from store.items import Items
from store.jobs import Jobs
from store.labels import Labels
from store.leaks import Leaks
from store.models_ import Models, Predictions
from store.paths import Paths
from store.plain import plain_errors
from store.queue import Queues
from store.regroupings import Regroupings
from store.rounds import Rounds
from store.settings import SettingsTable
from store.synthetic import SyntheticItems

__all__ = [
    "Conflict",
    "JobActive",
    "NotFound",
    "SchemaTooNew",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "Unit",
]


class Unit:
    """One transaction, seen through the repositories."""

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self.classes = Classes(connection, clock)
        self.items = Items(connection, clock)
        self.paths = Paths(connection, clock)
        self.labels = Labels(connection, clock)
        self.queue = Queues(connection, clock)
        self.rounds = Rounds(connection, clock)
        self.models = Models(connection, clock)
        self.predictions = Predictions(connection, clock)
        self.jobs = Jobs(connection, clock)
        self.budget = Budgets(connection, clock)
        self.annotators = Annotators(connection, clock)
        self.settings = SettingsTable(connection, clock)
        self.imports = Imports(connection, clock)
        self.generated = GeneratedRuns(connection, clock)
        self.generated_labels = GeneratedLabels(connection, clock)
        self.synthetic = SyntheticItems(connection, clock)
        self.evidence = Evidence(connection, clock)
        self.leaks = Leaks(connection, clock)
        self.regroupings = Regroupings(connection, clock)


# Which databases this thread is writing to: a write inside a write would wait for itself.
_writing = threading.local()


class Store:
    """A project's database. Cheap to open again, safe to share between threads and after a fork."""

    def __init__(self, url: str, clock: Callable[[], float], read_only: str = "") -> None:
        self._url = url
        self._clock = clock
        self.read_only = read_only

    @classmethod
    def open(cls, url: str, clock: Callable[[], float] = time.time, read_only: str = "") -> Store:
        """Open a database and bring it to the present schema.

        Parameters
        ----------
        url : str
            SQLAlchemy URL of a SQLite file (made if missing) or a PostgreSQL database.
        clock : callable
            The time in UTC seconds.
        read_only : str
            Why nothing may be written, as a sentence; empty where it may.

        Raises
        ------
        SchemaTooNew
            When a newer version of the program wrote it.
        StoreError
            When it cannot be opened or upgraded; the text names the file, the reason and the mend.
        """
        opened = database(url)
        with plain_errors(opened.name):
            schema.upgrade(opened)
        remember_file(opened)
        return cls(url, clock, read_only)

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        return self._url

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._database.engine.dialect.name

    @property
    def _database(self) -> Database:
        found = database(self._url)
        if found.file is not None and found.inode is None:
            raise StoreError(f"{found.name}: is gone. Put the file back, or open another project.")
        return found

    def revision(self) -> str:
        """Return the revision of the schema."""
        opened = self._database
        with plain_errors(opened.name), opened.engine.connect() as connection:
            return schema.revision(connection, opened.name) or ""

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """Begin a transaction that sees the database as it is now, whatever others write meanwhile.

        Raises
        ------
        StoreError
            When the database cannot be read, or the body tries to write.
        """
        opened = self._database
        snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        options = {} if opened.sqlite else snapshot
        with plain_errors(opened.name), opened.engine.connect() as plain:
            connection = plain.execution_options(**options)
            with connection.begin():
                yield Unit(connection, self._clock)

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """Begin a transaction that may write; it commits at the end, or takes all back on an error.

        On SQLite there is one at a time, of all threads and processes: keep it short.

        Raises
        ------
        StoreError
            When this thread is inside a write already.
        StoreReadOnly
            When it was opened to be read only.
        StoreBusy
            When no turn came within ten seconds, or many wait behind one that lasts.
        StoreFull
            When the disk is full.
        """
        if self.read_only:
            raise StoreReadOnly(self.read_only)
        opened = self._database
        with (
            _alone(opened),
            _turn(opened) as options,
            plain_errors(opened.name),
            opened.engine.connect() as plain,
        ):
            connection = plain.execution_options(**options)
            with connection.begin():
                yield Unit(connection, self._clock)

    def close(self) -> None:
        """Close the connections that nobody uses; the store can still be used."""
        database(self._url).engine.dispose()


@contextmanager
def _alone(opened: Database) -> Iterator[None]:
    """Refuse a write inside a write of the same thread."""
    names: set[str] = _writing.__dict__.setdefault("names", set())
    if opened.name in names:
        raise StoreError(f"{opened.name}: a write was begun inside a write. Use the outer one.")
    names.add(opened.name)
    try:
        yield
    finally:
        names.discard(opened.name)


@contextmanager
def _turn(opened: Database) -> Iterator[dict[str, Any]]:
    """Queue for SQLite's write lock among the threads of this process; gives options to begin."""
    if not opened.sqlite:
        yield {"writes": True}
        return
    with opened.writers.take(opened.name) as seconds:
        yield {"writes": True, "wait_seconds": seconds}
