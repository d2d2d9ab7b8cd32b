"""From the words in files and folder names to classes."""

from __future__ import annotations

import os
import unicodedata

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
