"""Migrations: they make what the models say, carry data over, and fail without a trace."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from store import models, models_made, models_work, schema
from store.base import Base
from store.engine import Database, database
from store.errors import SchemaTooNew, StoreDamaged, StoreError
from store.store import Store
from tests.store.build import ROOT, class_id, fill, label, record

HEAD = schema.HEAD
NEXT = f"{int(HEAD) + 1:04d}"

# Rebuilds the item table, to which half of the others refer: with foreign keys on, SQLite would
# refuse it or, with cascades, empty them.
SECOND = f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "{NEXT}", "{HEAD}", None, None
def upgrade():
    with op.batch_alter_table("item") as table:
        table.add_column(sa.Column("taken_at", sa.Double(), nullable=True))
        table.alter_column("group_key", new_column_name="burst")
    op.execute("UPDATE item SET taken_at = 1.5")
"""
FAILS = SECOND + '    op.execute("INSERT INTO no_such_table VALUES (1)")\n'
ORPHANS = SECOND + '    op.execute("UPDATE label SET item_id = 4711")\n'


@pytest.fixture
def old(empty_url: str) -> Database:
    """A project of the present schema, which the test's next one makes an older one."""
    store = Store.open(empty_url)
    ids = fill(store, items=20)
    cat = class_id(store, "cat")
    record(store, *[label(f"k{item_id}", item_id, cat) for item_id in ids[:5]])
    return database(store.url)


def revision_folder(tmp_path: Path, source: str) -> Path:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / f"{NEXT}_next.py").write_text(source)
    return folder


def scalar(opened: Database, query: str) -> object:
    with opened.engine.connect() as connection:
        return connection.execute(text(query)).scalar()


def test_migrations_make_what_the_models_say(store: Store) -> None:
    made = models_made.SyntheticItem.metadata
    assert models.LabelClass.metadata is models_work.Job.metadata is made is Base.metadata
    with database(store.url).engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        checks = {
            name: {check["name"] for check in inspect(connection).get_check_constraints(name)}
            for name in Base.metadata.tables
        }
    for name, table in Base.metadata.tables.items():
        wanted = {str(c.name) for c in table.constraints if str(c.name).startswith("ck_")}
        assert checks[name] == wanted, name


def test_the_head_is_the_newest_revision() -> None:
    heads = ScriptDirectory(str(schema.SCRIPTS)).get_heads()
    assert heads == [schema.HEAD]


def test_an_older_project_is_upgraded_after_a_copy(old: Database, tmp_path: Path) -> None:
    folder = revision_folder(tmp_path, SECOND)
    schema.upgrade(old, [folder], NEXT)
    assert scalar(old, "SELECT version_num FROM alembic_version") == NEXT
    assert scalar(old, "SELECT count(*) FROM item WHERE taken_at = 1.5 AND burst <> ''") == 20
    assert scalar(old, "SELECT count(*) FROM label JOIN item ON item.id = label.item_id") == 5
    copies = list(tmp_path.glob("labeller.db.before-*"))
    if old.file is None:
        assert copies == []
        return
    assert copies == [tmp_path / f"labeller.db.before-{NEXT}"]
    with Store.open(f"sqlite:///{copies[0]}").read() as unit:
        assert unit.items.count().labelled == 5
        assert len(unit.labels.arrays()[0]) == 5
    # This program, which does not have that revision, refuses it, and leaves it alone.
    with pytest.raises(SchemaTooNew, match=rf"put back the copy .*labeller\.db\.before-{NEXT}"):
        schema.upgrade(old)


def test_threads_that_upgrade_at_once(old: Database, tmp_path: Path) -> None:
    folder = revision_folder(tmp_path, SECOND)
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            schema.upgrade(old, [folder], NEXT)
        except BaseException as error:
            errors.append(error)

    # Alembic's own state is per process; the store lets one thread at a time into it.
    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert scalar(old, "SELECT count(*) FROM item WHERE taken_at = 1.5") == 20


def test_a_migration_that_fails_leaves_everything_as_it_was(old: Database, tmp_path: Path) -> None:
    folder = revision_folder(tmp_path, FAILS)
    with pytest.raises(
        StoreError, match=rf"Upgrade from {HEAD} to {NEXT} failed\. .*no_such_table"
    ):
        schema.upgrade(old, [folder], NEXT)
    assert scalar(old, "SELECT version_num FROM alembic_version") == HEAD
    assert scalar(old, "SELECT count(*) FROM item WHERE group_key <> ''") == 20
    with old.engine.connect() as connection:
        columns = {column["name"] for column in inspect(connection).get_columns("item")}
    assert "taken_at" not in columns
    with Store.open(old.url).read() as unit:
        assert unit.items.count().labelled == 5


def test_a_migration_that_orphans_rows_is_taken_back(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'labeller.db'}")
    (item_id,) = fill(store, items=1)
    record(store, label("k", item_id, class_id(store, "cat")))
    opened = database(store.url)
    folder = revision_folder(tmp_path, ORPHANS)
    with pytest.raises(StoreDamaged, match=r"1 rows refer to missing ones .*table label"):
        schema.upgrade(opened, [folder], NEXT)
    assert scalar(opened, "SELECT version_num FROM alembic_version") == HEAD
    assert scalar(opened, "SELECT item_id FROM label") == item_id


def test_a_copy_that_cannot_be_written_stops_the_upgrade(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'labeller.db'}")
    fill(store)
    (tmp_path / f"labeller.db.before-{NEXT}.partial").mkdir()
    folder = revision_folder(tmp_path, SECOND)
    opened = database(store.url)
    with pytest.raises(StoreError, match=rf"before-{NEXT}: the copy before the upgrade cannot"):
        schema.upgrade(opened, [folder], NEXT)
    assert scalar(opened, "SELECT version_num FROM alembic_version") == HEAD


def test_the_copy_holds_what_is_still_in_the_log(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'labeller.db'}")
    fill(store)
    copy = schema.set_aside(tmp_path / "labeller.db", NEXT)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (10,)
    assert not list(tmp_path.glob("*.partial*"))


def test_drafting_the_next_revision(tmp_path: Path) -> None:
    path = schema.draft("nothing yet", tmp_path)
    source = path.read_text()
    assert path.name == f"{NEXT}_nothing_yet.py"
    assert f'down_revision = "{HEAD}"' in source.replace("'", '"')
    # Models and migrations agree, so there is nothing to do in it.
    assert "op." not in source


def test_the_drafting_command_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "migrations"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert 'python -m migrations "what changes"' in done.stderr


def test_a_project_of_every_earlier_schema_is_upgraded(empty_url: str) -> None:
    opened = database(empty_url)
    schema.upgrade(opened, head="0001")
    with opened.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("INSERT INTO annotator (name) VALUES ('ann')"))
    with Store.open(empty_url).read() as unit:
        assert unit.annotators.all() == ["ann"]
        assert unit.generated.all() == []
        assert unit.synthetic.runs() == []
