"""Bring a database to the present schema, or refuse it with a reason."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from store import engine
from store.durable import move_whole, sync_file
from store.engine import Database, sqlite_engine
from store.errors import SchemaTooNew, StoreDamaged, StoreError
from store.plain import explained

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"
HEAD = "0004"

# A second process waits this long for the first one's migration.
MIGRATION_SECONDS = 600.0
# Alembic keeps the migration under way in module variables.
_alembic = threading.Lock()
_ADVISORY_LOCK = 7_205_759_403_792


def upgrade(database: Database, more: Sequence[Path] = (), head: str = HEAD) -> None:
    """Migrate a database to `head`; do nothing when it is there already.

    A SQLite file that has data is copied aside first, as ``<file>.before-<head>``. Everything
    happens in one transaction: a migration that fails leaves the database as it was. Of several
    processes that open an old database at once, one migrates and the others wait.

    Parameters
    ----------
    database : Database
        The database, which need not exist yet.
    more : sequence of Path
        Further folders with migrations.
    head : str
        The revision to reach.

    Raises
    ------
    SchemaTooNew
        When the database is of a revision that this program does not know.
    StoreError
        When it is another program's database, or a migration failed.
    """
    with database.engine.connect() as connection, connection.begin():
        found = revision(connection, database.name)
    if found == head:
        return
    if database.file is None:
        with database.engine.begin() as connection:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            _run(connection, database, more, head)
        return
    patient = sqlite_engine(database.file, MIGRATION_SECONDS)
    try:
        _upgrade_sqlite(patient, database, more, head)
    finally:
        patient.dispose()


def _upgrade_sqlite(patient: Engine, database: Database, more: Sequence[Path], head: str) -> None:
    """Migrate with foreign keys off: rebuilding a table must not delete what refers to it."""
    with patient.connect().execution_options(writes=True) as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA foreign_keys = OFF")
        with connection.begin():
            _run(connection, database, more, head)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise StoreDamaged(
                    f"{database.name}: {len(broken)} rows refer to missing ones after the upgrade "
                    f"(first: table {broken[0][0]}). The database was left as it was."
                )


def _run(connection: Connection, database: Database, more: Sequence[Path], head: str) -> None:
    """Migrate inside the transaction of `connection`, which holds the lock."""
    found = revision(connection, database.name)
    if found == head:
        return
    # Alembic costs a tenth of a second to import, and most openings need no migration.
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config(connection, more)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaTooNew(
            f"{database.name}: was written by a newer version of this program (schema {found}; "
            f"this one knows up to {head}). Update the program, or put back the copy "
            f"{database.name}.before-{found} if you have it."
        )
    if found is not None and database.file is not None:
        set_aside(database.file, head)
    try:
        with _alembic:
            command.upgrade(config, head)
    except DBAPIError as error:
        reason = explained(database.name, error)
        raise type(reason)(f"Upgrade from {found} to {head} failed. {reason}") from error


def _config(connection: Connection, more: Sequence[Path] = ()) -> Config:
    """Return Alembic's settings for migrating on a connection."""
    from alembic.config import Config

    config = Config()
    folders = [SCRIPTS / "versions", *more]
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, folders)).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def draft(message: str, folder: Path = SCRIPTS / "versions") -> Path:
    """Write a revision that leads from the newest one to the tables as they are in the code.

    Parameters
    ----------
    message : str
        What changes.
    folder : Path
        Where the file goes; its number is the next after those in ``migrations/versions``.

    Returns
    -------
    Path
        The file, to be read and put right by a person.
    """
    from alembic import command

    number = f"{int(HEAD) + 1:04d}"
    with TemporaryDirectory() as scratch:
        made = engine.database(engine.file_url(Path(scratch) / "draft.db"))
        upgrade(made)
        with made.engine.connect() as connection, connection.begin():
            more = [] if folder == SCRIPTS / "versions" else [folder]
            script = command.revision(
                _config(connection, more),
                message,
                autogenerate=True,
                rev_id=number,
                version_path=str(folder),
            )
        made.engine.dispose()
    if script is None or isinstance(script, list):
        raise StoreError(f"{folder}: no revision was written.")
    return Path(script.path)


def revision(connection: Connection, name: str) -> str | None:
    """Return the revision of a database, None for an empty one."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        query = text("SELECT version_num FROM alembic_version")
        revisions = connection.execute(query).scalars().all()
        if len(revisions) == 1:
            return str(revisions[0])
    elif not tables:
        return None
    raise StoreError(
        f"{name}: holds another program's tables ({', '.join(sorted(tables)[:3])} …). "
        f"Name an empty database, or a project's."
    )


def set_aside(file: Path, head: str) -> Path:
    """Copy a SQLite database, as it was last committed, beside itself.

    Parameters
    ----------
    file : Path
        The database.
    head : str
        The revision that it is about to get.

    Returns
    -------
    Path
        The copy.
    """
    copy = file.with_name(f"{file.name}.before-{head}")
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        sync_file(partial)
        move_whole(partial, copy)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{copy}: the copy before the upgrade cannot be written ({error}). "
            f"Make room or check the permissions; the database was left as it was."
        ) from error
    return copy
