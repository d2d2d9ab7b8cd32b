"""Small projects to test on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from store.records import EventResult, NewEvent, NewItem, NewQueueEntry, Split
from store.store import Store

ROOT = Path(__file__).parents[2]
SPLITS: tuple[Split, ...] = ("train", "train", "train", "valid", "audit")


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def new_items(n: int, start: int = 0) -> list[NewItem]:
    return [
        NewItem(
            sha256=f"{number:064x}",
            path=f"/images/{number:07d}.jpg",
            copied=False,
            width=64,
            height=48,
            format="JPEG",
            bytes=1000 + number,
            group=f"{number:064x}",
            split=SPLITS[number % len(SPLITS)],
        )
        for number in range(start, start + n)
    ]


def fill(store: Store, items: int = 10, classes: Sequence[str] = ("cat", "dog")) -> list[int]:
    """Add classes and items, all items queued in order, and return the items' ids."""
    with store.write() as unit:
        for position, name in enumerate(classes):
            unit.classes.add(name, str(position + 1), "#336699", position)
        ids = unit.items.add(new_items(items))
        unit.queue.replace([NewQueueEntry(item_id, "margin", 0.5) for item_id in ids])
    return ids


def class_id(store: Store, name: str) -> int:
    with store.read() as unit:
        found = unit.classes.by_name(name)
    assert found is not None
    return found.id


def record(
    store: Store,
    *events: NewEvent,
    annotator: str = "ann",
    session: str | None = "s",
    price: float = 1.0,
) -> list[EventResult]:
    with store.write() as unit:
        return unit.labels.record(annotator, session, "page", events, price)


def label(key: str, item_id: int, of_class: int) -> NewEvent:
    return NewEvent(key, "label", item_id, of_class)


def undo(key: str, undoes: str) -> NewEvent:
    return NewEvent(key, "undo", undoes=undoes)


def run_processes(task: str, url: str, n: int, *arguments: object) -> list[str]:
    """Run `python -m tests.store.racer` n times at once and return what each said."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.racer", task, url, str(number)]
            + [str(argument) for argument in arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(n)
    ]
    said = []
    for process in running:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        said.append(out.strip())
    return said
