"""Append-only logs of changes that can be taken back and done again, kept with the settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from store.store import Unit

KEPT = 200  # entries: what is older can no longer be taken back


@dataclass(frozen=True, slots=True)
class Logged:
    """A change: what it was in words, who made it, and what was there before and after it."""

    number: int
    at: float
    by: str
    text: str
    before: Any
    after: Any


def next_undo(unit: Unit, log: str) -> Logged | None:
    """Return the latest change of a log that is in force."""
    done, _ = _stacks(unit, log)
    return done[-1] if done else None


def next_redo(unit: Unit, log: str) -> Logged | None:
    """Return what was taken back last; None when something else was changed since."""
    _, undone = _stacks(unit, log)
    return undone[-1] if undone else None


def note(unit: Unit, log: str, by: str, text: str, before: Any, after: Any) -> None:
    """Append a change."""
    _append(unit, log, {"by": by, "text": text, "before": before, "after": after})


def note_undo(unit: Unit, log: str, number: int, by: str) -> None:
    """Append that a change was taken back."""
    _append(unit, log, {"of": number, "by": by})


def note_redo(unit: Unit, log: str, number: int, by: str) -> None:
    """Append that a change was done again."""
    _append(unit, log, {"again": number, "by": by})


def _stacks(unit: Unit, log: str) -> tuple[list[Logged], list[Logged]]:
    """Return what is in force and what can be done again, each the latest last."""
    done: list[Logged] = []
    undone: list[Logged] = []
    for entry in unit.settings.get(log, []):
        if "of" in entry:
            _shift(done, undone, entry["of"])
        elif "again" in entry:
            _shift(undone, done, entry["again"])
        else:
            done.append(Logged(**entry))
            undone.clear()
    return done, undone


def _shift(source: list[Logged], target: list[Logged], number: int) -> None:
    for one in source:
        if one.number == number:
            source.remove(one)
            target.append(one)
            return


def _append(unit: Unit, log: str, entry: dict[str, Any]) -> None:
    entries = unit.settings.get(log, [])
    number = entries[-1]["number"] + 1 if entries else 0
    stamped = {**entry, "number": number, "at": time.time()}
    unit.settings.set(log, [*entries, stamped][-KEPT:])
