"""The append-only log of class changes: what each change was, and what was there before it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from store.records import ClassRecord
from store.store import Unit

KEY = "class_changes"
FIELDS = ("name", "key", "colour", "position", "archived", "merged_into")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log of class changes; `undone` lines are no longer in force."""

    number: int
    at: float
    text: str
    undone: bool


def fields(record: ClassRecord, names: Iterable[str] = FIELDS) -> dict[str, Any]:
    """Return fields of a class as the log keeps them."""
    return {name: getattr(record, name) for name in names}


def lines(unit: Unit) -> list[Change]:
    """Return all changes, oldest first."""
    log = _entries(unit)
    undone = {entry["of"] for entry in log if "of" in entry}
    return [
        Change(number, entry["at"], entry["text"], number in undone)
        for number, entry in enumerate(log)
        if "of" not in entry
    ]


def before(unit: Unit, number: int) -> dict[int, dict[str, Any]]:
    """Return the fields that a change replaced, by class."""
    # JSON knows no numbers as keys.
    return {int(i): values for i, values in _entries(unit)[number]["before"].items()}


def chosen_keys(unit: Unit) -> frozenset[int]:
    """Return the classes whose key a person chose; other keys may be given to others."""
    log = _entries(unit)
    undone = {entry["of"] for entry in log if "of" in entry}
    chosen: set[int] = set()
    for number, entry in enumerate(log):
        if "of" in entry or number in undone:
            continue
        touched = [int(i) for i, values in entry["before"].items() if "key" in values]
        by_hand = [list(values) for values in entry["before"].values()] == [["key"]]
        chosen = chosen | set(touched) if by_hand else chosen - set(touched)
    return frozenset(chosen)


def note(unit: Unit, text: str, replaced: Mapping[int, Mapping[str, Any]]) -> None:
    """Append a change."""
    kept = {str(class_id): dict(values) for class_id, values in replaced.items()}
    _append(unit, {"at": time.time(), "text": text, "before": kept})


def note_undo(unit: Unit, number: int) -> None:
    """Append that a change was taken back."""
    _append(unit, {"at": time.time(), "of": number})


def _entries(unit: Unit) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = unit.settings.get(KEY, [])
    return entries


def _append(unit: Unit, entry: dict[str, Any]) -> None:
    unit.settings.set(KEY, [*_entries(unit), entry])
