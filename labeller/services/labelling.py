"""Labelling: claim items on a lease, record what the annotator did, take it back.

The functions return plain JSON values: the API passes them on, the card reads them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from labeller.project import Project
from labeller.services import second_opinions
from labeller.services.class_names import class_name
from labeller.services.emptiness import why_empty
from store.records import ActKind, EventResult, EventSource, ItemRecord, NewEvent, QueueEntry
from store.records_budget import BudgetRecord

if TYPE_CHECKING:
    from store.store import Unit


@dataclass(frozen=True, slots=True)
class Act:
    """What an annotator did, as a client sends it.

    `label` is a class name, or a number that may be a class name or a class id; `class_id` is one.
    """

    key: str
    kind: ActKind
    item: int | None = None
    label: int | str | None = None
    class_id: int | None = None
    reason: str | None = None
    undoes: str | None = None
    redoes: str | None = None
    duration_ms: int | None = None
    client_at: float | None = None


def claim(project: Project, annotator: str, session: str, n: int) -> dict[str, Any]:
    """Lease up to `n` items of the queue to a session, those it holds already included.

    Parameters
    ----------
    project : Project
        The project.
    annotator : str
        Who labels.
    session : str
        The tab or client that holds the leases; two sessions never hold the same item.
    n : int
        Most items to hold.

    Returns
    -------
    dict
        ``items`` (audit items come ``blind``: without suggestion and strategy; so do those that
        somebody else labelled and that are asked ``again``, which are not leased), ``queue``,
        ``budget``, ``round``, ``lease_seconds``, and ``empty``: None, or why there are no items.
    """
    settings = project.settings
    again = second_opinions.due(project, annotator, n)
    with project.store.write() as unit:
        unit.annotators.ensure(annotator)
        # Without a class nothing can be labelled: then nobody is to hold an item.
        wanted = n if unit.classes.all() else 0
        entries = unit.queue.claim(
            annotator,
            session,
            wanted - 1 if again and wanted > 1 else wanted,
            settings.lease_seconds,
            settings.label_price,
        )
        empty = None if entries else why_empty(project, unit)
        stopped = empty is not None and empty["reason"] in second_opinions.STOPPED
        again = [] if stopped else again[: wanted - len(entries)]
        items = unit.items.many([*(entry.item_id for entry in entries), *again])
        suggestions = _suggestions(unit, entries)
        return {
            "items": [
                _item(project, items[entry.item_id], entry, suggestions.get(entry.item_id))
                for entry in entries
            ]
            + [_item(project, items[item_id], None, None) for item_id in again],
            **_meters(project, unit),
            "lease_seconds": settings.lease_seconds,
            "empty": None if again else empty,
        }


def renew(project: Project, annotator: str, session: str) -> dict[str, Any]:
    """Extend the leases of a session that is still there.

    Returns
    -------
    dict
        ``renewed`` (how many leases it still holds), ``queue``, ``budget``, ``round``.
    """
    with project.store.write() as unit:
        renewed = unit.queue.renew(annotator, session, project.settings.lease_seconds)
        return {"renewed": renewed, **_meters(project, unit)}


def release(
    project: Project, annotator: str, session: str, items: Sequence[int] | None = None
) -> dict[str, Any]:
    """Give leased items back: those named, or all the session holds.

    Returns
    -------
    dict
        ``released``, ``queue``, ``budget``, ``round``.
    """
    del annotator  # leases belong to the session; the name is only checked by the token
    with project.store.write() as unit:
        released = unit.queue.release(session, None if items is None else list(items))
        return {"released": released, **_meters(project, unit)}


def version(project: Project) -> dict[str, Any]:
    """Return the counters alone, for those who ask every second.

    Returns
    -------
    dict
        ``queue``, ``budget``, ``round``, ``version`` (another whenever the queue is replaced or
        added to) and ``at`` (UTC seconds: what is older than what is known is no news).
    """
    with project.store.read() as unit:
        return _meters(project, unit)


def record(
    project: Project,
    annotator: str,
    session: str,
    source: EventSource,
    events: Sequence[Act],
) -> dict[str, Any]:
    """Store what an annotator did; an event whose key is stored already changes nothing.

    Parameters
    ----------
    project : Project
        The project.
    annotator, session : str
        Who did it, and in which tab or client.
    source : str
        ``page``, ``api`` or ``cli``.
    events : sequence of Act
        In the order they were done.

    Returns
    -------
    dict
        ``results`` (one per event: key, status, item, reason), ``queue``, ``budget``, ``round``.
    """
    with project.store.write() as unit:
        unit.annotators.ensure(annotator)
        made = [_event(unit, act) for act in events]
        known = [event for event in made if isinstance(event, NewEvent)]
        settings = project.settings
        stored = iter(
            unit.labels.record(
                annotator,
                session,
                source,
                known,
                settings.label_price,
                lease_seconds=settings.lease_seconds,
            )
        )
        results = [event if isinstance(event, EventResult) else next(stored) for event in made]
        return {
            "results": [_result(result) for result in results],
            **_meters(project, unit),
        }


def image_version(project: Project, item: ItemRecord) -> str:
    """Return the text that changes whenever an item's served images would."""
    settings = project.settings
    return f"{item.sha256[:16]}-{settings.card_pixels}-{settings.thumbnail_pixels}"


def image_url(project: Project, item: ItemRecord) -> str:
    """Return an item's image address below the API's root; the client adds ``&size=``."""
    return f"items/{item.id}/image?v={image_version(project, item)}"


def item_name(item: ItemRecord) -> str:
    """Return the name of an item on screen: its file's."""
    return PurePath(item.path).name


def budget_meter(project: Project, budget: BudgetRecord) -> dict[str, float | None]:
    """Return the budget as the API shows it."""
    return {
        "total": budget.total,
        "spent": budget.spent,
        "reserved": budget.reserved,
        "left": budget.left,
        "price": project.settings.label_price,
    }


def _meters(project: Project, unit: Unit) -> dict[str, Any]:
    """Return the counters that every answer carries."""
    counts, number = unit.queue.counts(), queue_round(unit)
    return {
        "queue": {
            "waiting": counts.waiting,
            "leased": counts.leased,
            "done": counts.done,
            "total": counts.total,
        },
        "budget": budget_meter(project, unit.budget.get()),
        "round": number,
        "version": f"{number or 0}-{unit.queue.newest()}",
        "at": time.time(),
    }


def queue_round(unit: Unit) -> int | None:
    """Return the number of the round that made the present queue: the last one that got so far."""
    latest = unit.rounds.latest()
    if latest is None or latest.state == "done":
        return latest.number if latest else None
    return next((r.number for r in reversed(unit.rounds.all()) if r.state == "done"), None)


def _item(
    project: Project,
    item: ItemRecord,
    entry: QueueEntry | None,
    suggestion: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return one item; a blind one, as without a place in the queue, shows no suggestion."""
    blind = entry is None or entry.blind
    return {
        "item": item.id,
        "name": item_name(item),
        "width": item.width,
        "height": item.height,
        "blind": blind,
        "again": entry is None,
        "suggestion": None if blind else suggestion,
        "strategy": None if entry is None or entry.blind else entry.strategy,
        "image": image_url(project, item),
    }


def _suggestions(unit: Unit, entries: Sequence[QueueEntry]) -> dict[int, dict[str, Any]]:
    """Return item id -> suggestion, with merged classes resolved and archived ones left out."""
    alive = {record.id for record in unit.classes.all()}
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if entry.blind or entry.suggestion_class_id is None:
            continue
        class_id = unit.classes.resolve(entry.suggestion_class_id)
        if class_id in alive:
            found[entry.item_id] = {"class": class_id, "confidence": entry.suggestion_confidence}
    return found


def _event(unit: Unit, act: Act) -> NewEvent | EventResult:
    """Turn a class name into its id; an unknown name is refused here, the others go on."""
    class_id = act.class_id
    if act.label is not None:
        found = _find_class(unit, act.label)
        if isinstance(found, str):
            return EventResult(act.key, "refused", act.item, found)
        class_id = found
    return NewEvent(
        key=act.key,
        kind=act.kind,
        item_id=act.item,
        class_id=class_id,
        reason=act.reason,
        undoes=act.undoes,
        redoes=act.redoes,
        duration_ms=act.duration_ms,
        client_at=act.client_at,
    )


def _find_class(unit: Unit, label: int | str) -> int | str:
    """Return the id of the class that a client names, or why it names none."""
    named = unit.classes.by_name(str(label)) or unit.classes.by_name(class_name(str(label)))
    if isinstance(label, str):
        return named.id if named else f"There is no class {label!r} in this project."
    if label not in unit.classes.targets():
        return named.id if named else f"There is no class {label} in this project."
    if named is not None and named.id != label:
        return (
            f'The number {label} is the name of a class and the id of another one. Write "{label}" '
            "for the name, or `class_id` for the id."
        )
    return label


def _result(result: EventResult) -> dict[str, Any]:
    return {
        "key": result.key,
        "status": result.status,
        "item": result.item_id,
        "reason": result.reason,
    }
