"""Opening: a new database, an old one, a newer one, somebody else's, none, and after a fork."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from store import schema
from store.engine import database as database_of
from store.errors import NotFound, SchemaTooNew, StoreBusy, StoreDamaged, StoreError, StoreFull
from store.store import Store
from tests.store.build import class_id, fill, label, new_items, record, run_processes


def test_open_makes_and_opens_again(empty_url: str) -> None:
    made = Store.open(empty_url)
    assert made.revision() == schema.HEAD
    assert made.url == empty_url
    fill(made)
    again = Store.open(empty_url)
    with again.read() as unit:
        assert unit.items.count().items == 10
    made.close()
    with again.read() as unit:
        assert unit.items.count().items == 10
    assert again.dialect == empty_url.split(":", maxsplit=1)[0].split("+", maxsplit=1)[0]


def test_processes_that_open_at_once_migrate_once(empty_url: str) -> None:
    said = run_processes("opened", empty_url, 3)
    assert [json.loads(text) for text in said] == [[schema.HEAD]] * 3


def test_a_newer_database_is_refused(empty_url: str) -> None:
    store = Store.open(empty_url)
    with create_engine(empty_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match=r"newer version.*9999.*Update the program"):
        Store.open(empty_url)
    with create_engine(empty_url).begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM item")).scalar() == 0
    store.close()


def test_somebody_elses_database_is_refused(empty_url: str) -> None:
    with create_engine(empty_url).begin() as connection:
        connection.execute(text("CREATE TABLE invoice (id INTEGER)"))
    with pytest.raises(StoreError, match=r"another program's tables \(invoice"):
        Store.open(empty_url)


def test_pragmas(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
    with database_of(store.url).engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert found == {
        "journal_mode": "wal",
        "busy_timeout": 10_000,
        "foreign_keys": 1,
        "synchronous": 2,
    }


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "labeller.db"
    file.write_bytes(b"certainly not a database" * 100)
    with pytest.raises(StoreDamaged, match=r"labeller\.db: file is not a database\. Put back"):
        Store.open(f"sqlite:///{file}")


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"unable to open database file\. Check that the folder"):
        Store.open(f"sqlite:///{tmp_path / 'none' / 'labeller.db'}")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "no url", "mysql://host/name", "nonsense://x"]
)
def test_urls_that_cannot_hold_a_project(url: str) -> None:
    with pytest.raises(StoreError, match=r"names no file|is not a database URL|only SQLite"):
        Store.open(url)


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://user:secret@/name?host={tmp_path}"
    with pytest.raises(StoreError, match="Check that the PostgreSQL server runs") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_locked_database_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'labeller.db'}")
    other = sqlite3.connect(tmp_path / "labeller.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("store.plain.BUSY_SECONDS", 0.1)
    with pytest.raises(StoreBusy, match=r"labeller\.db: database is locked"), store.write():
        pass
    other.execute("ROLLBACK")
    with store.write() as unit:
        unit.settings.set("a", 1)
    other.close()


def test_a_write_that_never_ends_does_not_hang_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.plain.BUSY_SECONDS", 0.1)
    store = Store.open(f"sqlite:///{tmp_path / 'labeller.db'}")
    caught: list[Exception] = []

    def write() -> None:
        try:
            with store.write():
                pass
        except StoreBusy as error:
            caught.append(error)

    with store.write():
        waiting = threading.Thread(target=write)
        waiting.start()
        waiting.join()
    assert "is locked, by another program or a long write" in str(caught[0])


def test_a_full_disk_says_so_and_loses_nothing(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'labeller.db'}")
    ids = fill(store)
    record(store, label("a", ids[0], class_id(store, "cat")))
    with database_of(store.url).engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreFull, match=r"full\. Make room on the disk"), store.write() as unit:
        unit.items.add(new_items(5000, start=100))
    with store.read() as unit:
        assert unit.items.count().items == 10
        assert unit.labels.current(ids[0]) is not None


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot be written"), store.read() as unit:
        unit.settings.set("a", 1)
    with store.write() as unit:
        unit.settings.set("a", 2)
        assert unit.settings.get("a") == 2


def test_a_database_that_was_put_back_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "labeller.db"
    store = Store.open(f"sqlite:///{file}")
    fill(store)
    store.close()
    copy = shutil.copy(file, tmp_path / "copy.db")
    with store.write() as unit:
        unit.items.add(new_items(5, start=100))
    for name in ("labeller.db", "labeller.db-wal", "labeller.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(copy, file)
    with Store.open(f"sqlite:///{file}").read() as unit:
        assert unit.items.count().items == 10


def test_a_database_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "labeller.db"
    store = Store.open(f"sqlite:///{file}")
    for path in tmp_path.iterdir():
        path.unlink()
    with (
        pytest.raises(StoreError, match=r"labeller\.db: is gone\. Put the file back"),
        store.read(),
    ):
        pass
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_numbers_no_column_can_hold(store: Store) -> None:
    fill(store)
    (result,) = record(store, label("k", 10**30, class_id(store, "cat")))
    assert (result.status, result.reason) == ("refused", f"There is no item {10**30}.")
    try:
        with store.read() as unit:
            found = unit.items.get(10**30)
    except NotFound as error:
        assert "so large a number" in str(error)  # noqa: PT017 - PostgreSQL just finds nothing
    else:
        assert found is None


def test_text_that_is_no_unicode(store: Store) -> None:
    broken = replace(new_items(1)[0], path="/images/\udcff.jpg")
    with (
        pytest.raises(StoreError, match=r"cannot be stored as text.*rename"),
        store.write() as unit,
    ):
        unit.items.add([broken])
    with store.read() as unit:
        assert unit.items.count().items == 0


def _in_child(store: Store, answers: multiprocessing.SimpleQueue[int]) -> None:
    with store.write() as unit:
        unit.items.add(new_items(1, start=500))
        answers.put(unit.items.count().items)


def test_a_forked_child_uses_connections_of_its_own(store: Store) -> None:
    fill(store)
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.SimpleQueue[int] = context.SimpleQueue()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with store.write() as unit:
                unit.settings.set("written", os.getpid())

    # The forks happen while another thread of the parent writes.
    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        child = context.Process(target=_in_child, args=(store, answers))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert answers.get() == 11
        with store.read() as unit:
            assert unit.items.count().items == 11
    stop.set()
    writer.join()
    with store.read() as unit:
        assert unit.settings.get("written") == os.getpid()


def test_a_write_inside_a_write_is_refused(store: Store) -> None:
    with store.write() as unit:
        unit.settings.set("a", 1)
        with pytest.raises(StoreError, match="inside a write"), store.write():
            pass
        with store.read() as outside:
            assert outside.settings.get("a") is None
    with store.write() as unit:
        assert unit.settings.get("a") == 1
