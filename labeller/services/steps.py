"""Steps on pages: what one click did to one image or to many, taken back and done again whole.

The events of a step have keys of one pattern, ``page-<24 hex digits>``, by which they are found:
a reload, or another server, loses none. A redo has the digits of what it does again and a number.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labeller.errors import StepError
from labeller.project import Project
from labeller.services.labelling import Act
from store.records import EventRecord, EventResult, NewEvent

LOOK_BACK = 1000  # of the annotator's latest events
_KEY = re.compile(r"(?P<page>[a-z]+)-(?P<step>[0-9a-f]{24})(?:r(?P<again>\d+))?(?P<rest>-.*)?")


@dataclass(frozen=True, slots=True)
class Step:
    """What was done at once: its `events`, oldest first; `undone_at` is the last event undoing it.

    `step` is what all its redos have in common, `again` counts them.
    """

    page: str
    step: str
    again: int
    events: tuple[EventRecord, ...]
    undone_at: int = 0

    @property
    def items(self) -> tuple[int, ...]:
        """The images that it is about."""
        return tuple(dict.fromkeys(event.item_id for event in self.events))

    @property
    def said(self) -> EventRecord:
        """The event that says what was done: labels, where others were cleared before."""
        return next((one for one in self.events if one.kind != "clear"), self.events[0])


@dataclass(frozen=True, slots=True)
class Latest:
    """What would be taken back and what would be done again next."""

    undo: Step | None
    redo: Step | None


def keyed(page: str, events: Sequence[Act]) -> list[Act]:
    """Return events with the keys of a new step of a page."""
    step = f"{page}-{secrets.token_hex(12)}"
    return [replace(event, key=f"{step}-{n}") for n, event in enumerate(events)]


def latest(project: Project, page: str, annotator: str) -> Latest:
    """Return what somebody can take back and do again on a page.

    Whoever does something new has nothing to do again, as everywhere.
    """
    with project.store.read() as unit:
        events = unit.labels.recent(annotator, limit=LOOK_BACK)[::-1]
    undos = {one.undoes: one.id for one in events if one.kind == "undo"}
    versions = _versions(events, page)
    done = [one for one in versions if not all(event.undone for event in one.events)]
    undone = [
        replace(one, undone_at=max(undos.get(event.id, 0) for event in one.events))
        for one in versions
        if all(event.undone for event in one.events)
    ]
    begun = max((first for first in _begun(events, page)), default=0)
    redo = max(undone, key=lambda one: one.undone_at, default=None)
    if redo is not None and redo.undone_at < begun:
        redo = None
    return Latest(max(done, key=lambda one: one.events[-1].id, default=None), redo)


def _versions(events: Sequence[EventRecord], page: str) -> list[Step]:
    """Return every step as it was done last."""
    found: dict[str, dict[int, list[EventRecord]]] = {}
    for event in events:
        parts = _KEY.fullmatch(event.key)
        if event.kind != "undo" and parts is not None and parts["page"] == page:
            of_step = found.setdefault(parts["step"], {})
            of_step.setdefault(int(parts["again"] or 0), []).append(event)
    return [
        Step(page, step, max(of_step), tuple(of_step[max(of_step)]))
        for step, of_step in found.items()
    ]


def _begun(events: Sequence[EventRecord], page: str) -> list[int]:
    """Return the events of a page that do something new, no redo."""
    parts = ((event, _KEY.fullmatch(event.key)) for event in events if event.kind != "undo")
    return [
        event.id
        for event, found in parts
        if found is not None and found["page"] == page and found["again"] is None
    ]


def undo(project: Project, step: Step, annotator: str, session: str) -> list[EventResult]:
    """Take a step back, whole; images that others have decided about since keep that.

    Raises
    ------
    StepError
        When none of it can be taken back.
    """
    events = [
        NewEvent(f"{event.key}-undo", "undo", undoes=event.key)
        for event in reversed(step.events)
        if not event.undone
    ]
    return _record(project, annotator, session, events)


def redo(project: Project, step: Step, annotator: str, session: str) -> list[EventResult]:
    """Do a step again; images that somebody has decided about since stay as they are.

    Raises
    ------
    StepError
        When none of it can be done again.
    """
    events = [NewEvent(_again(event.key), "redo", redoes=event.key) for event in step.events]
    return _record(project, annotator, session, events)


def _again(key: str) -> str:
    """Return the key of the redo of an event of a step."""
    parts = _KEY.fullmatch(key)
    if parts is None:
        raise StepError(f"{key} is the key of no step.")
    number = int(parts["again"] or 0) + 1
    return f"{parts['page']}-{parts['step']}r{number}{parts['rest'] or ''}"


def _record(
    project: Project, annotator: str, session: str, events: Sequence[NewEvent]
) -> list[EventResult]:
    """Record events; with none taken, nothing is stored and the first reason is raised."""
    settings = project.settings
    with project.store.write() as unit:
        results = unit.labels.record(
            annotator, session, "page", events, settings.label_price, settings.lease_seconds
        )
        if results and all(one.status == "refused" for one in results):
            why = results[0].reason
            raise StepError("The budget is spent." if why == "budget" else why or "It was refused.")
        # An undo leases the item to who undid it; here nobody is about to label it.
        items = [one.item_id for one in results if one.item_id is not None]
        unit.queue.release(session, items)
    return results
