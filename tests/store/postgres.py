"""A PostgreSQL cluster of the tests' own: in a temporary folder, on a Unix socket, never synced."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from store.base import Base
from store.engine import database
from store.store import Store


def binaries() -> Path | None:
    """Return the folder of the newest installed server's programs."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def cluster() -> Iterator[str | None]:
    """Yield the URL of a server, started here or named by LABELLER_TEST_POSTGRES, or None."""
    programs = binaries()
    if programs is None:
        yield os.environ.get("LABELLER_TEST_POSTGRES")
        return
    folder = Path(tempfile.mkdtemp(prefix="labeller-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data = str(folder / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-U", "postgres", "-A", "trust"]
        made = subprocess.run(
            [*_as_server(), *initdb, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            capture_output=True,
            text=True,
            cwd="/",
            timeout=120,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        server = _start(programs, data, folder)
        try:
            _wait_for(url, server)
            yield url
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_server() -> list[str]:
    """Return what to put before a command.

    PostgreSQL refuses to run as root; and it must end when the tests are killed.
    """
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig=QUIT", *user, "--"]


def _start(programs: Path, data: str, folder: Path) -> subprocess.Popen[bytes]:
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "150",
    }
    given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command = [*_as_server(), str(programs / "postgres"), "-D", data, *given]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")


def _wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Wait until the server answers."""
    engine = create_engine(url, poolclass=NullPool)
    deadline = time.monotonic() + seconds
    while True:
        try:
            engine.connect().close()
            return
        except OperationalError:
            assert server.poll() is None, "the server ended"
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


class Server:
    """Makes databases on a server; keeps one that is migrated and only emptied between tests."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._admin = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._prefix = f"labeller_{os.getpid()}"
        self._made: list[str] = []
        self._kept = self.empty()
        Store.open(self._kept).close()

    def _name(self) -> str:
        self._made.append(f"{self._prefix}_{len(self._made)}")
        return self._made[-1]

    def url_of(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def empty(self) -> str:
        """Make a database without tables and return its URL."""
        name = self._name()
        with self._admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        return self.url_of(name)

    def migrated(self) -> str:
        """Return the URL of the database with the present schema, without rows."""
        tables = ", ".join(f'"{name}"' for name in Base.metadata.tables)
        with database(self._kept).engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
            connection.execute(text("INSERT INTO budget (id, total, spent) VALUES (1, NULL, 0)"))
        return self._kept

    def close(self) -> None:
        """Drop every database made here, unless the whole server goes anyway."""
        if binaries() is not None:
            return
        with self._admin.connect() as connection:
            for name in self._made:
                connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        self._admin.dispose()
