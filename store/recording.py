"""Load histories, let the desk judge events, and write what changed, a few statements a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeGuard

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from store.annotators import Annotators
from store.classes import Classes
from store.desk import Desk
from store.history import Case, Fact, Place, Purse
from store.models import Annotator, Budget, Event, Item, Label, Ledger, Queue
from store.queue import leased
from store.records import EventResult, EventSource, ItemState, NewEvent, Split
from store.repository import Repository, chunks, thousandths
from store.tallies import add_items, add_labels


class Recorder(Repository):
    """Records batches of events of one annotator."""

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        super().__init__(connection, clock)
        self._gate()

    def record(
        self,
        annotator: str,
        session: str | None,
        source: EventSource,
        events: Sequence[NewEvent],
        price: float,
        lease_seconds: float,
    ) -> list[EventResult]:
        """Record events in order; see :meth:`store.labels.Labels.record`."""
        annotator_id = Annotators(self._connection, self._clock).ensure(annotator)
        classes = Classes(self._connection, self._clock)
        targets = classes.targets()
        archived = {one.id for one in classes.all(archived=True) if one.archived}
        names: dict[int, str] = {}
        if any(event.kind == "redo" for event in events):
            names = dict(self._connection.execute(select(Annotator.id, Annotator.name)).all())
        results: list[EventResult] = []
        for part in chunks(events):
            now = self._clock()
            desk = Desk(
                annotator=annotator,
                annotator_id=annotator_id,
                session=session,
                source=source,
                price=thousandths(price),
                lease_seconds=lease_seconds,
                now=now,
                purse=self._purse(now),
                targets=targets,
                archived=archived,
                names=names,
            )
            self._load(desk, part)
            results.extend(desk.judge(event) for event in part)
            self._write(desk)
        return results

    def _purse(self, now: float) -> Purse:
        total, spent = self._connection.execute(select(Budget.total, Budget.spent)).one()
        reserved = self._count(select(func.sum(Queue.lease_price)).where(leased(now)))
        return Purse(total, spent, reserved, now)

    def _load(self, desk: Desk, events: Sequence[NewEvent]) -> None:
        """Load every item that the events are about, with its whole history."""
        keys = {key for event in events for key in (event.key, event.undoes, event.redoes) if key}
        ids = {event.item_id for event in events if _possible(event.item_id)}
        for part in chunks(sorted(keys)):
            ids.update(
                self._connection.execute(select(Event.item_id).where(Event.key.in_(part))).scalars()
            )
        for chosen in chunks(sorted(ids)):
            self._load_cases(desk, chosen)
        for case in desk.cases.values():
            case.load()

    def _load_cases(self, desk: Desk, ids: Sequence[int]) -> None:
        run = self._connection.execute
        query = select(Item.id, Item.split, Item.state).where(Item.id.in_(ids))
        for item_id, split, state in run(query):
            desk.cases[item_id] = Case(item_id, split, state)
        facts = select(
            Event.id,
            Event.key,
            Event.kind,
            Event.item_id,
            Event.class_id,
            Event.annotator_id,
            Event.source,
            Event.at,
            Event.strategy,
            Event.round_id,
            Event.undone,
            Event.current,
            Event.opinion,
            Event.cost,
            Event.reason,
            Event.undoes,
        )
        for row in run(facts.where(Event.item_id.in_(ids)).order_by(Event.id)):
            fact = Fact(*row)
            desk.cases[fact.item_id].facts.append(fact)
            desk.by_key[fact.key] = fact
        places = select(
            Queue.item_id,
            Queue.id,
            Queue.state,
            Queue.strategy,
            Queue.round_id,
            Queue.leased_by,
            Queue.leased_to,
            Queue.leased_at,
            Queue.leased_until,
            Queue.lease_price,
        )
        for item_id, *place in run(places.where(Queue.item_id.in_(ids))):
            desk.cases[item_id].place = Place(*place)

    def _write(self, desk: Desk) -> None:
        """Store what the desk changed."""
        if not desk.new:
            return
        cases = [case for case in desk.cases.values() if case.touched]
        self._write_events(desk)
        self._write_labels(cases)
        self._write_states(cases)
        self._write_places(cases)
        self._write_purse(desk.purse)

    def _write_events(self, desk: Desk) -> None:
        """Insert the new events, give them their ids, and update the old ones."""
        changed = [
            fact
            for case in desk.cases.values()
            for fact in case.facts
            if fact.changed and fact.id is not None
        ]
        sessions = {"session": desk.session}
        plain = [fact for fact in desk.new if fact.undoes is None]
        undos = [fact for fact in desk.new if fact.undoes is not None]
        # An undo names its target's id, which exists only once the others are in.
        for facts in (plain, undos):
            if facts:
                self._connection.execute(insert(Event), [_event_row(f) | sessions for f in facts])
                self._number(facts)
        if changed:
            columns = ("undone", "current", "cost")
            self._update_each(Event, [(fact.id, fact) for fact in changed], columns)

    def _number(self, facts: Sequence[Fact]) -> None:
        """Read back the ids that the database gave."""
        ids: dict[str, int] = {}
        for part in chunks([fact.key for fact in facts]):
            query = select(Event.key, Event.id).where(Event.key.in_(part))
            ids.update(self._connection.execute(query).all())
        for fact in facts:
            fact.id = ids[fact.key]

    def _write_labels(self, cases: Sequence[Case]) -> None:
        """Bring the current labels and their numbers up to date."""
        moved: Counter[tuple[int, Split]] = Counter()
        gone, rows = [], []
        for case in cases:
            before = case.was if case.was is not None and case.was.kind == "label" else None
            after = case.label
            if before is after:
                continue
            if before is not None and before.class_id is not None:
                gone.append(case.item_id)
                moved[before.class_id, case.split] -= 1
            if after is not None and after.class_id is not None:
                rows.append(_label_row(after))
                moved[after.class_id, case.split] += 1
        for part in chunks(gone):
            self._connection.execute(delete(Label).where(Label.item_id.in_(part)))
        if rows:
            self._connection.execute(insert(Label), rows)
        add_labels(self._connection, moved)

    def _write_states(self, cases: Sequence[Case]) -> None:
        """Bring the items' states and their numbers up to date."""
        moved: Counter[tuple[ItemState, Split]] = Counter()
        by_state: dict[ItemState, list[int]] = {}
        for case in cases:
            if case.state != case.state_was:
                by_state.setdefault(case.state, []).append(case.item_id)
                moved[case.state_was, case.split] -= 1
                moved[case.state, case.split] += 1
        for state, ids in by_state.items():
            for part in chunks(ids):
                self._connection.execute(update(Item).where(Item.id.in_(part)).values(state=state))
        add_items(self._connection, moved)

    def _write_places(self, cases: Sequence[Case]) -> None:
        """Store the places in the queue that were closed or opened again."""
        places = [case.place for case in cases if case.place is not None and case.place.changed]
        if places:
            columns = (
                "state",
                "leased_by",
                "leased_to",
                "leased_at",
                "leased_until",
                "lease_price",
            )
            self._update_each(Queue, [(place.id, place) for place in places], columns)

    def _update_each(
        self,
        table: type[Event] | type[Queue],
        rows: Sequence[tuple[int | None, Fact | Place]],
        columns: Sequence[str],
    ) -> None:
        """Set columns of many rows, each to its own values, in one statement."""
        query = update(table).where(table.id == bindparam("row_id"))
        query = query.values({name: bindparam(f"new_{name}") for name in columns})
        values = [
            {"row_id": row_id, **{f"new_{name}": getattr(told, name) for name in columns}}
            for row_id, told in rows
        ]
        self._connection.execute(query, values)

    def _write_purse(self, purse: Purse) -> None:
        """Store what was spent and given back."""
        if not purse.lines:
            return
        self._connection.execute(update(Budget).values(spent=purse.spent))
        rows = [
            {"at": purse.now, "kind": kind, "amount": sum_, "event_id": fact.id}
            for kind, sum_, fact in purse.lines
        ]
        self._connection.execute(insert(Ledger), rows)


def _possible(item_id: int | None) -> TypeGuard[int]:
    """Whether an id fits in the database's column; a client can send any number."""
    return item_id is not None and 0 < item_id < 2**63


def _event_row(fact: Fact) -> dict[str, object]:
    return {
        "key": fact.key,
        "kind": fact.kind,
        "item_id": fact.item_id,
        "class_id": fact.class_id,
        "annotator_id": fact.annotator_id,
        "source": fact.source,
        "at": fact.at,
        "client_at": fact.client_at,
        "reason": fact.reason,
        "undoes": fact.undoes.id if fact.undoes is not None else None,
        "undone": fact.undone,
        "current": fact.current,
        "opinion": fact.opinion,
        "strategy": fact.strategy,
        "round_id": fact.round_id,
        "cost": fact.cost,
        "duration_ms": fact.duration_ms,
    }


def _label_row(fact: Fact) -> dict[str, object]:
    return {
        "item_id": fact.item_id,
        "class_id": fact.class_id,
        "annotator_id": fact.annotator_id,
        "at": fact.at,
        "source": fact.source,
        "strategy": fact.strategy,
        "round_id": fact.round_id,
        "event_id": fact.id,
    }
