"""The seal of the audit set: who was shown the model's mistakes there, and what changed after.

A label that is changed because the model disagreed measures the model no more. Nobody is kept from
it, but it never goes unnoticed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from labeller.project import Project

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

    `after` says whether its present label was given after mistakes had been shown.
    """

    item: int
    annotator: str
    at: float
    after: bool


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
    """Say by whom and when audit items got their present labels.

    Parameters
    ----------
    project : Project
    items : sequence of int
        Items whose label is another one than when a model was measured.
    """
    first = min((one.at for one in shown(project)), default=None)
    with project.store.read() as unit:
        labels = [label for item in items if (label := unit.labels.current(item)) is not None]
    return [
        Relabelled(one.item_id, one.annotator, one.at, first is not None and one.at >= first)
        for one in labels
    ]
