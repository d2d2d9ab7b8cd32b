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
    undone = set(_undone(log))
    return [
        Change(number, entry["at"], entry["text"], number in undone)
        for number, entry in enumerate(log)
        if "text" in entry
    ]


def next_undo(unit: Unit) -> Change | None:
    """Return the latest change that is in force."""
    return next((line for line in lines(unit)[::-1] if not line.undone), None)


def next_redo(unit: Unit) -> Change | None:
    """Return what was taken back last; None when something else was changed since."""
    log = _entries(unit)
    latest = max((n for n, entry in enumerate(log) if "text" in entry), default=-1)
    number = next((n for n in reversed(_undone(log, latest)) if _replaced(log, n)), None)
    return None if number is None else next(one for one in lines(unit) if one.number == number)


def before(unit: Unit, number: int) -> dict[int, dict[str, Any]]:
    """Return the fields that a change replaced, by class."""
    return _by_class(_entries(unit)[number]["before"])


def after(unit: Unit, number: int) -> dict[int, dict[str, Any]]:
    """Return the fields that a change had given and its last undo replaced, by class."""
    return _by_class(_replaced(_entries(unit), number))


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
    _append(unit, {"at": time.time(), "text": text, "before": _written(replaced)})


def note_undo(unit: Unit, number: int, replaced: Mapping[int, Mapping[str, Any]]) -> None:
    """Append that a change was taken back, and which fields that replaced."""
    _append(unit, {"at": time.time(), "of": number, "before": _written(replaced)})


def note_redo(unit: Unit, number: int) -> None:
    """Append that a change was done again."""
    _append(unit, {"at": time.time(), "again": number})


def _undone(log: list[dict[str, Any]], since: int = -1) -> list[int]:
    """Return the changes taken back, in that order; by entries after `since` only."""
    undone: list[int] = []
    for entry in log[since + 1 :]:
        if "of" in entry:
            undone.append(entry["of"])
        elif "again" in entry and entry["again"] in undone:
            undone.remove(entry["again"])
    return undone


def _replaced(log: list[dict[str, Any]], number: int) -> dict[str, dict[str, Any]]:
    """Return the fields that the last undo of a change replaced; logs of old have none."""
    undo = next(entry for entry in reversed(log) if entry.get("of") == number)
    replaced: dict[str, dict[str, Any]] = undo.get("before", {})
    return replaced


def _written(fields: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(class_id): dict(values) for class_id, values in fields.items()}


def _by_class(fields: Mapping[str, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    # JSON knows no numbers as keys.
    return {int(i): values for i, values in fields.items()}


def _entries(unit: Unit) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = unit.settings.get(KEY, [])
    return entries


def _append(unit: Unit, entry: dict[str, Any]) -> None:
    unit.settings.set(KEY, [*_entries(unit), entry])
