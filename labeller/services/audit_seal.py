"""The seal of the audit set: who was shown the model's mistakes there, and what changed after.

A label that is changed because the model disagreed measures the model no more. Nobody is kept from
it, but it never goes unnoticed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from labeller.project import Project
from store.records import EventRecord

KEY = "audit_shown"


@dataclass(frozen=True, slots=True)
class Shown:
    """The first time that somebody saw audit images with a model's predictions."""

    at: float
    annotator: str
    model: int


@dataclass(frozen=True, slots=True)
class Relabelled:
    """An audit item whose label is no longer the one that measured the model.

    `annotator` and `at` (UTC seconds) say who changed it last and when; `after` whether that was
    after mistakes had been shown; `gone` whether it has no label now, and so measures nothing.
    """

    item: int
    annotator: str
    at: float
    after: bool
    gone: bool


def note_shown(project: Project, annotator: str, model: int) -> bool:
    """Keep that somebody is shown audit images with a model's predictions; once for each.

    Returns
    -------
    bool
        Whether it was the first time.
    """
    if any(one.annotator == annotator and one.model == model for one in shown(project)):
        return False
    with project.store.write() as unit:
        listed = unit.settings.get(KEY, [])
        entry = {"at": time.time(), "annotator": annotator, "model": model}
        unit.settings.set(KEY, [*listed, entry])
    return True


def shown(project: Project) -> list[Shown]:
    """Return who was shown what, oldest first."""
    with project.store.read() as unit:
        return [Shown(**entry) for entry in unit.settings.get(KEY, [])]


def relabelled(project: Project, items: Sequence[int]) -> list[Relabelled]:
    """Say by whom and when the labels of audit items were last changed, or taken away.

    Parameters
    ----------
    project : Project
    items : sequence of int
        Items whose label is another one than when a model was measured, or gone.
    """
    first = min((one.at for one in shown(project)), default=None)
    with project.store.read() as unit:
        histories = unit.labels.histories(items)
    return [_relabelled(histories[item], first) for item in items]


def _relabelled(events: Sequence[EventRecord], first: float | None) -> Relabelled:
    """Tell an item's last change: an undo may be later than the event that decides now."""
    last = next(one for one in reversed(events) if one.current or one.kind == "undo")
    return Relabelled(
        last.item_id,
        last.annotator,
        last.at,
        after=first is not None and last.at >= first,
        gone=not any(one.current and one.kind == "label" for one in events),
    )
