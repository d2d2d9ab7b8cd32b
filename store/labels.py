"""Labels: the append-only events and their projection."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, or_, select

from store.classes import Classes
from store.models import Annotator, ClassTally, Event, Item, Label
from store.models_work import Round
from store.recording import Recorder
from store.records import (
    EventRecord,
    EventResult,
    EventSource,
    ExportRow,
    LabelRecord,
    NewEvent,
    Split,
)
from store.repository import Repository, amount, as_record, chunks

LEASE_SECONDS = 120.0

EVENT = (
    Event.id,
    Event.key,
    Event.kind,
    Event.item_id,
    Event.class_id,
    Annotator.name,
    Event.session,
    Event.source,
    Event.at,
    Event.reason,
    Event.undoes,
    Event.undone,
    Event.current,
    Event.strategy,
    Event.round_id,
    Event.cost,
    Event.duration_ms,
)


class Labels(Repository):
    """The labels of the project and how they came to be."""

    def hold(self) -> None:
        """Let nobody else change labels before this transaction ends, so that what it reads stays.

        For those who decide by what they read; :meth:`record` alone needs it not.
        """
        self._gate()

    def record(
        self,
        annotator: str,
        session: str | None,
        source: EventSource,
        events: Sequence[NewEvent],
        price: float,
        lease_seconds: float = LEASE_SECONDS,
    ) -> list[EventResult]:
        """Record what somebody did, with everything that follows from it, in this transaction.

        An event that is stored is a ``duplicate`` and changes nothing. One that cannot be (unknown
        item, archived class, budget spent, another event's key) is ``refused`` with the reason;
        the others of the batch go on. A label, skip or flag of an item that somebody else labelled
        is kept as a ``second_opinion``. The first label of an item costs `price`, imported ones
        nothing; an undo gives it back, and puts the item back at its place in the queue. A redo
        does again what an undo took back, as a new event of the same kind, unless somebody has
        decided about the item since.

        Parameters
        ----------
        annotator : str
            Who did it.
        session : str, optional
            The page it was done on.
        source : {"page", "api", "cli", "import"}
            Where it came from.
        events : sequence of NewEvent
            In the order they happened.
        price : float
            What a label costs now.
        lease_seconds : float
            How long an undone item stays with the session.

        Returns
        -------
        list of EventResult
            One for each event, in order.
        """
        if not events:
            return []
        recorder = Recorder(self._connection, self._clock)
        return recorder.record(annotator, session, source, events, price, lease_seconds)

    def current(self, item_id: int) -> LabelRecord | None:
        """Return an item's label."""
        query = (
            select(
                Label.item_id,
                Label.class_id,
                Annotator.name,
                Label.at,
                Label.source,
                Label.strategy,
                Label.round_id,
                Label.event_id,
            )
            .join(Annotator, Annotator.id == Label.annotator_id)
            .where(Label.item_id == item_id)
        )
        row = self._connection.execute(query).first()
        if row is None:
            return None
        class_now = self._classes.get(self._classes.resolve(row[1]))
        return LabelRecord(row[0], class_now.id, class_now.name, *row[2:])

    def times(self, item_ids: Sequence[int]) -> dict[int, float]:
        """Return when those of the items that have a label got it."""
        found: dict[int, float] = {}
        for part in chunks(item_ids):
            query = select(Label.item_id, Label.at).where(Label.item_id.in_(part))
            found.update(self._connection.execute(query).all())
        return found

    @property
    def _classes(self) -> Classes:
        return Classes(self._connection, self._clock)

    def arrays(
        self, split: Split | Collection[Split] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Split]]:
        """Return all current labels as columns, in ascending order of item.

        Parameters
        ----------
        split : str or collection of str, optional
            Only items of these splits.

        Returns
        -------
        item_ids : ndarray of int64, shape (M,)
        class_ids : ndarray of int64, shape (M,)
            Merged classes resolved.
        splits : list of str, length M
        """
        query = select(Label.item_id, Label.class_id, Item.split)
        query = query.join(Item, Item.id == Label.item_id)
        if split is not None:
            query = query.where(Item.split.in_([split] if isinstance(split, str) else list(split)))
        rows = self._connection.execute(query.order_by(Label.item_id)).all()
        ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        classes = np.fromiter((row[1] for row in rows), dtype=np.int64, count=len(rows))
        for class_id, target in self._classes.targets().items():
            if class_id != target:
                classes[classes == class_id] = target
        return ids, classes, [row[2] for row in rows]

    def history(self, item_id: int) -> list[EventRecord]:
        """Return an item's events, oldest first."""
        return self._events(_events().where(Event.item_id == item_id).order_by(Event.id))

    def histories(self, item_ids: Sequence[int]) -> dict[int, list[EventRecord]]:
        """Return the events of several items, oldest first; those without events have no entry."""
        found: dict[int, list[EventRecord]] = defaultdict(list)
        for part in chunks(item_ids):
            for event in self._events(_events().where(Event.item_id.in_(part)).order_by(Event.id)):
                found[event.item_id].append(event)
        return dict(found)

    def recent(
        self, annotator: str | None = None, session: str | None = None, limit: int = 100
    ) -> list[EventRecord]:
        """Return the newest events, newest first, of an annotator, a session, or all."""
        query = _events()
        if annotator is not None:
            query = query.where(Event.annotator_id == _number_of(annotator))
        if session is not None:
            query = query.where(Event.session == session)
        return self._events(query.order_by(Event.id.desc()).limit(limit))

    def _events(self, query: Select[*tuple[Any, ...]]) -> list[EventRecord]:
        rows = self._connection.execute(query)
        return [as_record(EventRecord, (*row[:15], amount(row[15]), row[16])) for row in rows]

    def rate(self, annotator: str | None, since: float) -> tuple[int, float]:
        """Return how many labels were given from a time on, and in how many seconds.

        Parameters
        ----------
        annotator : str, optional
            Only this one's.
        since : float
            UTC seconds.

        Returns
        -------
        count : int
            Labels that are not undone.
        seconds : float
            From the first of them to the last.
        """
        query = select(func.count(), func.min(Event.at), func.max(Event.at)).where(
            Event.kind == "label", Event.undone.is_(False), Event.at >= since
        )
        if annotator is not None:
            query = query.where(Event.annotator_id == _number_of(annotator))
        count, first, last = self._connection.execute(query).one()
        return int(count), float(last - first) if count else 0.0

    def events_count(self, since: float = 0.0, annotator: str | None = None) -> int:
        """Count the labels, not undone, given from a time (UTC seconds) on."""
        return self.rate(annotator, since)[0]

    def counts_by_class(self, split: Split | None = None) -> dict[int, int]:
        """Return the number of labels of each class that has any, merged classes resolved."""
        query = select(ClassTally.class_id, ClassTally.labels)
        if split is not None:
            query = query.where(ClassTally.split == split)
        targets = self._classes.targets()
        counts: Counter[int] = Counter()
        for class_id, number in self._connection.execute(query):
            counts[targets[class_id]] += number
        return {class_id: number for class_id, number in counts.items() if number}

    def given_by_class(self) -> dict[int, int]:
        """Count the labels of each class that anybody gave: those in force and second opinions."""
        counted = or_(Event.current.is_(True), Event.opinion.is_(True))
        query = select(Event.class_id, func.count()).where(
            Event.kind == "label", Event.undone.is_(False), counted
        )
        targets = self._classes.targets()
        counts: Counter[int] = Counter()
        for class_id, number in self._connection.execute(query.group_by(Event.class_id)):
            if class_id is not None:
                counts[targets[class_id]] += number
        return dict(counts)

    def set_hash(self, splits: Sequence[Split] = ("train", "valid")) -> str:
        """Return the identity of a label set: equal sets of (image, class, split) have equal ones.

        Parameters
        ----------
        splits : sequence of str
            The splits that count.

        Returns
        -------
        str
            Hexadecimal SHA-256 of the sorted lines ``hash TAB class TAB split``.
        """
        names = self._names()
        query = (
            select(Item.sha256, Label.class_id, Item.split)
            .join(Item, Item.id == Label.item_id)
            .where(Item.split.in_(list(splits)))
        )
        lines = [
            f"{sha256}\t{names[class_id]}\t{split}\n"
            for sha256, class_id, split in self._connection.execute(query)
        ]
        digest = hashlib.sha256()
        for line in sorted(lines):
            digest.update(line.encode())
        return digest.hexdigest()

    def _names(self) -> dict[int, str]:
        """Return for every class the name of the one it counts as now."""
        names = {one.id: one.name for one in self._classes.all(archived=True)}
        return {class_id: names[target] for class_id, target in self._classes.targets().items()}

    def export(self, batch: int = 2000) -> Iterator[ExportRow]:
        """Yield every labelled item in order of item, reading `batch` rows at a time."""
        names = self._names()
        after = 0
        while True:
            rows = self._connection.execute(_export_query(after, batch)).all()
            for item_id, path, sha256, class_id, *middle in rows:
                yield ExportRow(item_id, path, sha256, names[class_id], *middle)
            if len(rows) < batch:
                return
            after = rows[-1][0]


def _events() -> Select[*tuple[Any, ...]]:
    return select(*EVENT).join(Annotator, Annotator.id == Event.annotator_id)


def _number_of(annotator: str) -> Any:
    return select(Annotator.id).where(Annotator.name == annotator).scalar_subquery()


def _export_query(after: int, batch: int) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Label.item_id,
            Item.path,
            Item.sha256,
            Label.class_id,
            Annotator.name,
            Label.at,
            Label.strategy,
            Item.split,
            Label.source,
            Round.number,
            Item.group_key,
        )
        .join(Item, Item.id == Label.item_id)
        .join(Annotator, Annotator.id == Label.annotator_id)
        .outerjoin(Round, Round.id == Label.round_id)
        .where(Label.item_id > after)
        .order_by(Label.item_id)
        .limit(batch)
    )
