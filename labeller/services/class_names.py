"""From the words in files and folder names to classes, and from a model's classes to names."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence

from store.store import Unit


def class_name(text: str) -> str:
    """Return a word for a class as class names are stored: trimmed, in NFC, always printable."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", readable).strip()


def class_ids(unit: Unit) -> dict[str, int]:
    """Return the class of every name; one that was merged away stands for what it merged into."""
    records = unit.classes.all(archived=True)
    targets = unit.classes.targets()
    live = {record.id for record in records if not record.archived}
    merged = {r.name: targets[r.id] for r in records if r.archived and targets[r.id] in live}
    return merged | {r.name: r.id for r in records if not r.archived}


def names_of(unit: Unit, ids: Sequence[int]) -> tuple[str, ...]:
    """Return a name for each class a model knows, no two alike.

    An archived class says so where another class has taken its name since.

    Parameters
    ----------
    unit : Unit
    ids : sequence of int
        Classes, each once.
    """
    known = {one.id: one for one in unit.classes.all(archived=True)}
    named = Counter(known[i].name for i in {*ids, *(i for i in known if not known[i].archived)})
    return tuple(
        f"{known[i].name} (archived class {i})"
        if known[i].archived and named[known[i].name] > 1
        else known[i].name
        for i in ids
    )
