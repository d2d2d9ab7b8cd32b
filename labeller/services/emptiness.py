"""Why there is nothing to label: the first thing that stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from labeller.project import Project
from store.records_budget import BudgetRecord

if TYPE_CHECKING:
    from store.store import Unit

EmptyReason = Literal[
    "no_images", "no_classes", "budget", "reserved", "leased", "no_queue", "done", "all_labelled"
]


def why_empty(project: Project, unit: Unit) -> dict[str, Any]:
    """Say why a session gets no items, with the figures the page shows for it.

    Parameters
    ----------
    project : Project
    unit : Unit
        A transaction in which a claim has just given nothing.

    Returns
    -------
    dict
        ``reason`` (one of `EmptyReason`); numbers of items by state; ``train`` and ``audit``
        labels; whether a round (``retraining``) or an import (``importing``) is on.
    """
    counts = unit.items.count()
    budget = unit.budget.get()
    facts = {
        "items": counts.items,
        "labelled": counts.labelled,
        "unlabelled": counts.unlabelled,
        "skipped": counts.skipped,
        "flagged": counts.flagged,
        "put_aside": counts.unused,
        "train": counts.labelled_train + counts.labelled_valid,
        "audit": counts.labelled_audit,
        "retraining": bool(unit.jobs.active("round")),
        "importing": bool(unit.jobs.active("import")),
    }
    return {"reason": _reason(project, unit, budget), **facts}


def _reason(project: Project, unit: Unit, budget: BudgetRecord) -> EmptyReason:
    """Name the first thing that stands in the way of labelling."""
    counts = unit.items.count()
    queue = unit.queue.counts()
    price = project.settings.label_price
    if counts.items == 0:
        return "no_images"
    if not unit.classes.all():
        return "no_classes"
    if not queue.total:
        return "no_queue" if counts.askable else "all_labelled"
    if budget.left is not None and price > 0 and budget.left < price:
        return "budget"
    if queue.waiting and budget.free is not None and budget.free < price:
        return "reserved"
    if queue.leased:
        return "leased"
    if counts.askable == 0:
        return "all_labelled"
    return "done"
