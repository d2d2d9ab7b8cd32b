"""Threads and processes against one database: nothing twice, nothing lost, nothing overspent."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import pytest

from store.errors import JobActive
from store.records import NewEvent, NewQueueEntry
from store.store import Store
from tests.store.build import class_id, fill, label, new_items, run_processes, undo

THREADS = 8

Answer = TypeVar("Answer")


def together(task: Callable[[int], Answer], n: int = THREADS) -> list[Answer]:
    """Run a task in n threads that begin at the same moment."""
    start = threading.Barrier(n)

    def run(number: int) -> Answer:
        start.wait()
        return task(number)

    with ThreadPoolExecutor(n) as threads:
        return list(threads.map(run, range(n)))


@pytest.mark.parametrize("budget", [None, 1000.0])
def test_threads_never_claim_the_same_item(store: Store, budget: float | None) -> None:
    ids = fill(store, items=200)
    with store.write() as unit:
        unit.budget.set_total(budget)
    claimed: list[list[int]] = [[] for _ in range(THREADS)]

    def claim(number: int) -> None:
        for _ in range(50):
            with store.write() as unit:
                got = unit.queue.claim("ann", f"s{number}", 2 + len(claimed[number]), 60, 1.0)
            claimed[number] = [entry.item_id for entry in got]

    together(claim)
    assert sorted(chain(*claimed)) == ids


def test_processes_never_claim_the_same_item_or_overspend(store: Store, url: str) -> None:
    ids = fill(store, items=60)
    with store.write() as unit:
        unit.budget.set_total(50)
    said = [json.loads(text) for text in run_processes("claim", url, 3)]
    got = list(chain(*said))
    assert sorted(got) == ids[:50]
    with store.read() as unit:
        assert unit.budget.get().spent == 50
        assert unit.items.count().labelled == 50


def test_who_holds_the_labels_reads_what_stays(store: Store) -> None:
    ids = fill(store, items=20)
    cat = class_id(store, "cat")

    def first(number: int) -> int:
        given = 0
        for item_id in ids:
            with store.write() as unit:
                unit.labels.hold()
                if unit.labels.current(item_id) is None:
                    mine = [label(f"{number}-{item_id}", item_id, cat)]
                    (result,) = unit.labels.record(f"a{number}", None, "cli", mine, 1.0)
                    given += 1
                    assert result.status == "accepted", "somebody came between"
        return given

    assert sum(together(first)) == len(ids)


def test_the_budget_is_never_overspent(store: Store, url: str) -> None:
    ids = fill(store, items=120)
    cat = class_id(store, "cat")
    with store.write() as unit:
        unit.budget.set_total(50)
    statuses: Counter[str] = Counter()

    def spend(number: int) -> None:
        for item_id in ids[number::THREADS]:
            with store.write() as unit:
                events = [label(f"t{item_id}", item_id, cat)]
                (result,) = unit.labels.record(f"a{number}", None, "cli", events, 1.0)
            statuses[result.status] += 1

    together(spend)
    assert statuses == {"accepted": 50, "refused": 70}
    with store.write() as unit:
        unit.budget.set_total(60)
    said = run_processes("spend", url, 2, ids[0], ids[-1] + 1)
    assert Counter(chain(*map(json.loads, said)))["accepted"] == 10
    with store.read() as unit:
        assert unit.budget.get().spent == unit.budget.get().total == 60
        assert unit.items.count().labelled == 60


def test_one_key_from_many_sides_counts_once(store: Store, url: str) -> None:
    ids = fill(store, items=60)
    cat = class_id(store, "cat")
    statuses: Counter[str] = Counter()

    def send(_: int) -> None:
        for item_id in ids[50:]:
            with store.write() as unit:
                events = [label(f"k{item_id}", item_id, cat)]
                (result,) = unit.labels.record("ann", "s", "page", events, 1.0)
            statuses[result.status] += 1

    together(send)
    assert statuses == {"accepted": 10, "duplicate": 70}
    said = list(chain(*map(json.loads, run_processes("same_key", url, 2, ids[0]))))
    assert Counter(said) == {"accepted": 50, "duplicate": 50}
    with store.read() as unit:
        assert unit.budget.get().spent == 60


def test_one_item_from_many_annotators_has_one_label(store: Store) -> None:
    ids = fill(store, items=20)
    cat = class_id(store, "cat")

    def send(number: int) -> list[str]:
        said: list[str] = []
        for item_id in ids:
            with store.write() as unit:
                events = [label(f"{number}-{item_id}", item_id, cat)]
                results = unit.labels.record(f"a{number}", f"s{number}", "page", events, 1.0)
            said += [result.status for result in results]
        return said

    said = Counter(chain.from_iterable(together(send)))
    assert said == {"accepted": 20, "second_opinion": 20 * (THREADS - 1)}
    with store.read() as unit:
        assert unit.budget.get().spent == 20


def test_everything_at_once_ends_consistent(store: Store) -> None:
    """Labelling, undoing, importing, merging and replacing the queue, without a deadlock."""
    ids = fill(store, items=80)
    cat, dog = class_id(store, "cat"), class_id(store, "dog")
    with store.write() as unit:
        unit.budget.set_total(100)

    def work(number: int) -> None:
        for step in range(12):
            with store.write() as unit:
                held = unit.queue.claim(f"a{number}", f"s{number}", 3, 60, 1.0)
            events = []
            for entry in held:
                key = f"{number}-{step}-{entry.item_id}"
                events.append(label(key, entry.item_id, cat if step % 2 else dog))
                if entry.item_id % 3 == 0:
                    events.append(undo(f"u{key}", key))
                elif entry.item_id % 5 == 0:
                    events.append(NewEvent(f"c{key}", "clear", entry.item_id))
            with store.write() as unit:
                unit.labels.record(f"a{number}", f"s{number}", "page", events, 1.0)

    def disturb(number: int) -> None:
        for step in range(6):
            with store.write() as unit:
                added = unit.items.add(new_items(5, start=1000 + 100 * number + 5 * step))
                picks = [*ids[step::2], *added]
                unit.queue.replace([NewQueueEntry(item_id, "random", None) for item_id in picks])
            with store.write() as unit:
                merged = None if step % 2 else cat
                unit.classes.update(dog, merged_into=merged, archived=merged is not None)
            with store.write() as unit:
                unit.queue.renew("a0", "s0", 60)
                unit.queue.release("s1")

    together(lambda number: work(number) if number < 6 else disturb(number))
    with store.read() as unit:
        found = unit.items.count()
        states = [item.state for part in unit.items.stream() for item in part]
        assert Counter(states) == {
            "unlabelled": found.unlabelled,
            "labelled": found.labelled,
        }
        labelled, classes, _ = unit.labels.arrays()
        assert len(labelled) == found.labelled == sum(unit.labels.counts_by_class().values())
        assert set(classes.tolist()) <= {cat, dog}
        paid = sum(e.cost for e in unit.labels.recent(limit=10_000) if not e.undone)
        assert unit.budget.get().spent == paid <= 100
        open_places = [e.item_id for e in unit.queue.entries(10_000) if e.state == "waiting"]
        assert set(open_places) <= set(unit.items.ids(state="unlabelled").tolist())


def test_readers_see_one_moment(store: Store) -> None:
    ids = fill(store, items=40)
    cat = class_id(store, "cat")
    stop = threading.Event()
    torn: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            with store.read() as unit:
                counted = unit.items.count().labelled
                listed = len(unit.labels.arrays()[0])
                if counted != listed:
                    torn.append((counted, listed))

    reader = threading.Thread(target=read)
    reader.start()
    for item_id in ids:
        with store.write() as unit:
            unit.labels.record("ann", "s", "page", [label(f"k{item_id}", item_id, cat)], 1.0)
    stop.set()
    reader.join()
    assert torn == []


def test_one_exclusive_job_at_a_time(store: Store) -> None:
    def add(_: int) -> str:
        try:
            with store.write() as unit:
                unit.jobs.add("round", {}, exclusive=True)
        except JobActive:
            return "active"
        return "added"

    assert Counter(together(add)) == {"added": 1, "active": THREADS - 1}


def test_one_worker_gets_a_job(store: Store) -> None:
    with store.write() as unit:
        for _ in range(3):
            unit.jobs.add("import", {}, exclusive=False)

    def claim(number: int) -> int | None:
        with store.write() as unit:
            job = unit.jobs.claim("host", number)
        return job.id if job else None

    got = Counter(together(claim))
    assert got.pop(None) == THREADS - 3
    assert set(got.values()) == {1}
    assert len(got) == 3


def test_two_imports_of_the_same_images(store: Store) -> None:
    items = new_items(600)

    def add(_: int) -> list[int]:
        with store.write() as unit:
            return unit.items.add(items)

    answers = together(add, 4)
    assert all(answer == answers[0] for answer in answers)
    with store.read() as unit:
        assert unit.items.count().items == 600
