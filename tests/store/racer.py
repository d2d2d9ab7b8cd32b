"""What one of several processes does: ``python -m tests.store.racer TASK URL NUMBER ...``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from store.records import NewEvent
from store.store import Store


def claim(store: Store, number: int, *_: str) -> list[int]:
    """Claim until nothing is left and return the items, in the order they came."""
    got: list[int] = []
    session = f"process-{number}"
    while True:
        with store.write() as unit:
            entries = unit.queue.claim("ann", session, 3, 600.0, 1.0)
        if not entries:
            return got
        got.extend(entry.item_id for entry in entries)
        with store.write() as unit:
            unit.labels.record(
                f"ann-{number}",
                session,
                "page",
                [NewEvent(f"{session}-{e.item_id}", "label", e.item_id, 1) for e in entries],
                1.0,
            )


def spend(store: Store, number: int, first: str, last: str) -> list[str]:
    """Label a range of items without a lease and return each one's status."""
    said: list[str] = []
    for item_id in range(int(first), int(last)):
        event = NewEvent(f"p{number}-{item_id}", "label", item_id, 1)
        with store.write() as unit:
            said += [
                r.status for r in unit.labels.record(f"cli-{number}", None, "cli", [event], 1.0)
            ]
    return said


def same_key(store: Store, number: int, item_id: str) -> list[str]:
    """Send the same fifty keys as everybody else."""
    said: list[str] = []
    for key in range(50):
        event = NewEvent(f"same-{key}", "label", int(item_id) + key, 1)
        with store.write() as unit:
            said += [r.status for r in unit.labels.record("ann", "s", "page", [event], 1.0)]
    return said


def opened(store: Store, number: int) -> list[str]:
    """Say which revision was found."""
    return [store.revision()]


TASKS: dict[str, Callable[..., object]] = {
    "claim": claim,
    "spend": spend,
    "same_key": same_key,
    "opened": opened,
}

if __name__ == "__main__":
    task, url, number, *rest = sys.argv[1:]
    print(json.dumps(TASKS[task](Store.open(url), int(number), *rest)))
