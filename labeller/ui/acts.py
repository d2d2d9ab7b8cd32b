"""What is done to images on the Images page and in an image's dialog, each time as one step."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import labelling, steps
from labeller.services.labelling import Act
from labeller.ui import session, view
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import EventKind, ItemRecord

PAGE = "images"
FLAGGED = "flagged on the images page"


def relabel(
    project: Project, items: Sequence[ItemRecord], annotator: str, class_id: int
) -> list[Act]:
    """Return the events that give items a class, also where somebody else's label is in the way.

    A label by another annotator would count as a second opinion only; whoever relabels on this page
    reviews, so the old label is cleared first.
    """
    acts: list[Act] = []
    with project.store.read() as unit:
        for item in items:
            label = unit.labels.current(item.id)
            if label is not None and label.annotator != annotator:
                acts.append(act("clear", item))
            acts.append(Act(uuid.uuid4().hex, "label", item.id, class_id))
    return acts


def act(kind: EventKind, item: ItemRecord, reason: str | None = None) -> Act:
    """Return one event with a key of its own."""
    return Act(uuid.uuid4().hex, kind, item.id, reason=reason)


def record(project: Project, done: Sequence[Act]) -> None:
    """Store events as one step, and keep what came of it for the next drawing."""
    try:
        results = labelling.record(
            project,
            session.annotator(),
            session.page_session(),
            "page",
            steps.keyed(PAGE, done),
        )
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/error:")
    else:
        session.toast_later(*outcome(results["results"]))


def outcome(results: Sequence[dict[str, object]]) -> tuple[str, str]:
    """Say what became of events (how many images changed, why others did not), with an icon."""
    refused: dict[str, int] = {}
    changed = set()
    for result in results:
        if result["status"] == "refused":
            reason = str(result["reason"])
            text = "the budget is spent" if reason == "budget" else reason.rstrip(".")
            refused[text] = refused.get(text, 0) + 1
        else:
            changed.add(result["item"])
    parts = [f"{view.count(len(changed), 'image')} changed"] if changed or not refused else []
    parts += [f"{n:,} refused: {escape_markdown(text)}" for text, n in refused.items()]
    icon = ":material/error:" if refused else ":material/check_circle:"
    return ", ".join(parts) + ".", icon
