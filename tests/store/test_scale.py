"""Many rows: what a page asks for every second must not grow with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from store.engine import database
from store.records import NewQueueEntry, Split
from store.store import Store, Unit
from tests.store.build import fill, label
from tests.store.large import fill_large

EVERY_SECOND: dict[str, Callable[[Unit], object]] = {
    "items.count": lambda unit: unit.items.count(),
    "items.page_count": lambda unit: unit.items.page_count(state="labelled", split="train"),
    "items.page_count of a class": lambda unit: unit.items.page_count(class_id=1),
    "queue.counts": lambda unit: unit.queue.counts(),
    "budget.get": lambda unit: unit.budget.get(),
    "labels.counts_by_class": lambda unit: unit.labels.counts_by_class(),
    "labels.rate": lambda unit: unit.labels.rate("ann", 1e9),
    "labels.rate of all": lambda unit: unit.labels.rate(None, 1e9),
    "labels.recent": lambda unit: unit.labels.recent("ann", limit=20),
    "labels.recent of a session": lambda unit: unit.labels.recent(session="s", limit=20),
    "labels.current": lambda unit: unit.labels.current(1),
    "labels.history": lambda unit: unit.labels.history(1),
    "jobs.active": lambda unit: unit.jobs.active("round"),
    "models.in_use": lambda unit: unit.models.in_use(),
    "rounds.latest": lambda unit: unit.rounds.latest(),
    "queue.entries": lambda unit: unit.queue.entries(20),
    "queue.entry_for": lambda unit: unit.queue.entry_for(1),
    "newest page": lambda unit: unit.items.page(limit=20),
    "page of a state": lambda unit: unit.items.page(state="skipped", limit=20),
    "page of a state and split": lambda unit: unit.items.page(
        state="labelled", split="audit", order="oldest", limit=20
    ),
    "page of a state by path": lambda unit: unit.items.page(state="flagged", order="path", limit=9),
    "page by path": lambda unit: unit.items.page(order="path", limit=20),
    "items.by_path": lambda unit: unit.items.by_path("/x"),
    "imports.problems": lambda unit: unit.imports.problems(1),
}
# These have a handful of rows however large the project is.
SMALL = {"label_class", "item_tally", "class_tally", "budget", "annotator", "round", "model"}


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Collect what is sent to the database."""
    engine = database(store.url).engine
    sent: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        sent.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", EVERY_SECOND)
@pytest.mark.parametrize("database", ["sqlite"])
def test_no_list_or_count_scans_or_sorts_rows(store: Store, database: str, name: str) -> None:
    fill(store)
    with statements(store) as sent, store.read() as unit:
        EVERY_SECOND[name](unit)
    selects = [(one, values) for one, values in sent if one.startswith("SELECT")]
    assert selects
    with _connection(store) as connection:
        for statement, values in selects:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            for *_, step in plan:
                scanned = re.match(r"SCAN (\w+)(.*)", step)
                if scanned and scanned[1] not in SMALL:
                    # Walking an index or the rows in order, and stopping at the limit, is no scan;
                    # nor is the present queue's index, which is as long as a batch.
                    walks = "LIMIT" in statement or scanned[1] == "queue"
                    assert walks, f"{step}: {statement}"
                # Active jobs are few however they are sorted.
                sorts = "TEMP B-TREE" in step and name != "jobs.active"
                assert not sorts, f"{step}: {statement}"


@contextmanager
def _connection(store: Store) -> Iterator[Connection]:
    with database(store.url).engine.connect() as connection:
        yield connection


def check_large(store: Store, items: int, labels: int) -> None:
    """Read and write a store of many rows."""
    fill_large(store, items, labels)
    with store.read() as unit:
        ids = unit.items.ids()
        assert (len(ids), ids[0], ids[-1]) == (items, 1, items)
        assert len(unit.items.ids("unlabelled", {"train", "valid"})) > 0
        found, classes, splits = unit.labels.arrays()
        assert len(found) == len(classes) == len(splits) == labels
        assert sum(unit.labels.counts_by_class().values()) == unit.items.count().labelled == labels
        for call in EVERY_SECOND.values():
            call(unit)
        chosen: tuple[Split | None, ...] = (None, "valid")
        for split in chosen:
            page = unit.items.page("unlabelled", None, split, order="path", limit=50)
            assert [item.path for item in page] == sorted(item.path for item in page)
        assert sum(1 for _ in unit.labels.export()) == labels
        assert sum(len(part) for part in unit.items.stream(5000)) == items
    with store.write() as unit:
        picks = [NewQueueEntry(int(i), "margin", 0.5) for i in ids[labels : labels + 2000]]
        assert unit.queue.replace(picks) == 2000
    events = [label(f"new{i}", int(i), 1) for i in ids[labels : labels + 1000]]
    with store.write() as unit:
        results = unit.labels.record("ann", "s", "page", events, 1)
    assert {result.status for result in results} == {"accepted"}


def test_fifty_thousand_items(store: Store) -> None:
    check_large(store, 50_000, 10_000)


@pytest.mark.slow
def test_a_million_items(store: Store) -> None:
    check_large(store, 1_000_000, 200_000)


def test_labelling_one_item_takes_few_statements(store: Store) -> None:
    """What a label costs is counted in statements: times on a busy machine say little."""
    ids = fill(store, items=50)
    with store.write() as unit:
        unit.labels.record("ann", "s", "page", [label("a", ids[0], 1)], 1.0)
    with statements(store) as sent, store.write() as unit:
        unit.labels.record("ann", "s", "page", [label("b", ids[1], 1)], 1.0)
    assert len(sent) <= 21
    with statements(store) as many, store.write() as unit:
        events = [label(f"c{item_id}", item_id, 1) for item_id in ids[2:]]
        unit.labels.record("ann", "s", "page", events, 1.0)
    # A few more for the tallies of the other splits, none for each label.
    assert len(many) <= len(sent) + 12


def test_joining_many_groups_takes_few_statements(store: Store) -> None:
    ids = fill(store, items=240)
    with store.write() as unit:
        unit.queue.replace([])
        facts = unit.leaks.groups(ids)
        run = unit.regroupings.start(0.25)

    def spent(pairs: list[int]) -> tuple[int, int]:
        moves = [(facts[one], [facts[one + 1].key]) for one in pairs]
        with statements(store) as joining, store.write() as unit:
            unit.regroupings.join(run, moves)
        with statements(store) as parting, store.write() as unit:
            assert unit.regroupings.undo(run, pairs) == len(pairs)
        return len(joining), len(parting)

    few = spent(ids[:20:2])
    many = spent(ids[20::2])
    assert max(few) <= 25
    assert many[0] <= few[0] + 2
    assert many[1] <= few[1] + 2


def test_text_that_looks_like_sql_is_text(store: Store) -> None:
    fill(store)
    with store.read() as unit:
        assert unit.items.page(text="'; DROP TABLE item; --") == []
        assert unit.items.by_path("' OR 1=1 --") is None
    with database(store.url).engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM item")).scalar() == 10
