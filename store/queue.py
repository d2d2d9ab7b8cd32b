"""The queue: what to label next, and who holds what for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, not_, select, update

from store.models import Budget, Item, Queue
from store.records import NewQueueEntry, QueueCounts, QueueEntry
from store.repository import Repository, as_record, chunks, thousandths

# A lease that begins further in the future than this was given before the clock went back.
CLOCK_SLACK = 5.0

COLUMNS = (
    Queue.id,
    Queue.item_id,
    Queue.position,
    Queue.strategy,
    Queue.score,
    Queue.blind,
    Queue.suggestion_class_id,
    Queue.suggestion_confidence,
    Queue.round_id,
    Queue.state,
    Queue.leased_by,
    Queue.leased_until,
    Queue.leased_to,
)

# Places of an earlier queue that were held when this one came; they are in nobody's list.
PRESENT = Queue.outdated.is_(False)

NOBODY = {
    "leased_by": None,
    "leased_to": None,
    "leased_at": None,
    "leased_until": None,
    "lease_price": 0,
}


def leased(now: float) -> ColumnElement[bool]:
    """Return the condition that a place is held at `now`."""
    return and_(
        Queue.state == "waiting", Queue.leased_until > now, Queue.leased_at <= now + CLOCK_SLACK
    )


def is_leased(now: float, leased_at: float | None, leased_until: float | None) -> bool:
    """Say the same as :func:`leased` of a place that is loaded and waits."""
    if leased_at is None or leased_until is None:
        return False
    return leased_until > now and leased_at <= now + CLOCK_SLACK


class Queues(Repository):
    """The present queue."""

    def replace(self, entries: Sequence[NewQueueEntry], round_id: int | None = None) -> int:
        """Put a new queue in place of the present one.

        Places that somebody holds become outdated: their labels are taken as ever, but nobody is
        handed them again, so that the new picks come at once. Picks that are held, or are not
        unlabelled any more, are left out: the picks were made while labelling went on.

        Parameters
        ----------
        entries : sequence of NewQueueEntry
            The picks, most wanted first.
        round_id : int, optional
            The round that made them.

        Returns
        -------
        int
            How many of the picks are in the queue.
        """
        self._gate()
        self._connection.execute(delete(Queue).where(not_(held(self._clock()))))
        self._connection.execute(update(Queue).values(outdated=True))
        wanted = {entry.item_id: entry for entry in reversed(entries)}
        for item_id in self._connection.execute(select(Queue.item_id)).scalars():
            wanted.pop(item_id, None)
        return self._put(entries, wanted, 0, round_id)

    def append(self, entries: Sequence[NewQueueEntry], round_id: int | None = None) -> int:
        """Put more picks behind the present queue.

        Those that are in it already, held from an earlier one, or not unlabelled are left out.

        Parameters
        ----------
        entries : sequence of NewQueueEntry
            The picks, most wanted first.
        round_id : int, optional
            The round whose model made them.

        Returns
        -------
        int
            How many of the picks were put there.
        """
        self._gate()
        wanted = self._not_queued(entries)
        return self._put(
            entries, wanted, self._count(select(func.max(Queue.position))) + 1, round_id
        )

    def prepend(self, entries: Sequence[NewQueueEntry]) -> int:
        """Put picks before the present queue; what is in it already, or held, is left out.

        Parameters
        ----------
        entries : sequence of NewQueueEntry
            The picks, most wanted first.

        Returns
        -------
        int
            How many of the picks were put there.
        """
        self._gate()
        wanted = self._not_queued(entries)
        first = self._count(select(func.min(Queue.position))) - len(wanted)
        return self._put(entries, wanted, first, None)

    def withdraw(self, item_ids: Sequence[int], strategy: str) -> int:
        """Take those of the items out that one strategy put there and nobody has begun."""
        self._gate()
        unheld = and_(
            Queue.state == "waiting", Queue.strategy == strategy, not_(held(self._clock()))
        )
        return sum(
            self._connection.execute(delete(Queue).where(unheld, Queue.item_id.in_(part))).rowcount
            for part in chunks([int(item_id) for item_id in item_ids])
        )

    def _not_queued(self, entries: Sequence[NewQueueEntry]) -> dict[int, NewQueueEntry]:
        """Return the picks, by item, that have no place yet."""
        wanted = {entry.item_id: entry for entry in reversed(entries)}
        for part in chunks(list(wanted)):
            query = select(Queue.item_id).where(Queue.item_id.in_(part))
            for item_id in self._connection.execute(query).scalars():
                wanted.pop(item_id)
        return wanted

    def _put(
        self,
        entries: Sequence[NewQueueEntry],
        wanted: dict[int, NewQueueEntry],
        first: int,
        round_id: int | None,
    ) -> int:
        """Insert those of the picks that are wanted and unlabelled, in their order."""
        open_ids = self._unlabelled(list(wanted))
        rows = [
            _row(wanted.pop(entry.item_id), round_id)
            for entry in entries
            if entry.item_id in open_ids and entry.item_id in wanted
        ]
        for position, row in enumerate(rows, first):
            row["position"] = position
        for part in chunks(rows):
            self._connection.execute(insert(Queue), part)
        return len(rows)

    def _unlabelled(self, ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for part in chunks(ids):
            query = select(Item.id).where(Item.id.in_(part), Item.state == "unlabelled")
            found.update(self._connection.execute(query).scalars())
        return found

    def claim(
        self, annotator: str, session: str, n: int, lease_seconds: float, price: float
    ) -> list[QueueEntry]:
        """Hand out up to `n` places, each to one session only.

        First those that the session holds already (their lease begins anew), then the first free
        ones, as many as the budget that is neither spent nor reserved can pay.

        Parameters
        ----------
        annotator, session : str
            Who asks; the session is what holds the lease.
        n : int
            How many at most.
        lease_seconds : float
            How long they stay with a session that falls silent.
        price : float
            What a label costs; so much is reserved with each place.

        Returns
        -------
        list of QueueEntry
            In order of position.
        """
        if n <= 0:
            return []
        cost = thousandths(price)
        free = self._free()
        now = self._clock()
        own = self._locked(and_(leased(now), PRESENT, Queue.leased_by == session), n)
        want = n - len(own)
        if free is not None and cost > 0:
            want = min(want, max(free, 0) // cost)
        fresh = self._locked(and_(Queue.state == "waiting", PRESENT, not_(held(now))), want)
        lease = {"leased_at": now, "leased_until": now + lease_seconds}
        holder = {"leased_by": session, "leased_to": annotator, "lease_price": cost}
        self._lease(own, lease)
        self._lease(fresh, {**lease, **holder})
        return self._entries_of(own + fresh)

    def _free(self) -> int | None:
        """Return, and lock, the thousandths neither spent nor reserved; None without a limit."""
        if self._connection.execute(select(Budget.total)).scalar_one() is None:
            return None
        self._gate()
        total, spent = self._connection.execute(select(Budget.total, Budget.spent)).one()
        if total is None:
            return None
        reserved = select(func.sum(Queue.lease_price)).where(leased(self._clock()))
        return int(total - spent - self._count(reserved))

    def _locked(self, condition: ColumnElement[bool], n: int) -> list[int]:
        """Return the first `n` places of a condition, passing over those being claimed now."""
        if n <= 0:
            return []
        query = select(Queue.id).where(condition).order_by(Queue.position, Queue.id).limit(n)
        query = query.with_for_update(skip_locked=True)
        return list(self._connection.execute(query).scalars())

    def _lease(self, ids: Sequence[int], values: Mapping[str, object]) -> None:
        for part in chunks(ids):
            self._connection.execute(update(Queue).where(Queue.id.in_(part)).values(values))

    def _entries_of(self, ids: Sequence[int]) -> list[QueueEntry]:
        found = [
            as_record(QueueEntry, row)
            for part in chunks(ids)
            for row in self._connection.execute(select(*COLUMNS).where(Queue.id.in_(part)))
        ]
        return sorted(found, key=lambda entry: (entry.position, entry.id))

    def renew(self, annotator: str, session: str, lease_seconds: float) -> int:
        """Let the session's live leases begin anew and return how many there are."""
        self._gate()
        now = self._clock()
        changed = self._connection.execute(
            update(Queue)
            .where(leased(now), PRESENT, Queue.leased_by == session)
            .values(leased_at=now, leased_until=now + lease_seconds, leased_to=annotator)
        )
        return changed.rowcount

    def release(self, session: str, item_ids: Sequence[int] | None = None) -> int:
        """Give back the session's places, or those of some items; return how many there were."""
        self._gate()
        condition = and_(Queue.state == "waiting", Queue.leased_by == session)
        if item_ids is None:
            return self._connection.execute(update(Queue).where(condition).values(NOBODY)).rowcount
        return sum(
            self._connection.execute(
                update(Queue).where(condition, Queue.item_id.in_(part)).values(NOBODY)
            ).rowcount
            for part in chunks(list(item_ids))
        )

    def end_leases(self) -> int:
        """Give back the places of all sessions; return how many there were."""
        self._gate()
        held = and_(Queue.state == "waiting", Queue.leased_by.is_not(None))
        return self._connection.execute(update(Queue).where(held).values(NOBODY)).rowcount

    def counts(self) -> QueueCounts:
        """Count free, held and done places."""
        live = case((leased(self._clock()), 1), else_=0)
        query = select(Queue.state, func.count(), func.sum(live)).where(PRESENT)
        query = query.group_by(Queue.state)
        rows = {state: (n, h) for state, n, h in self._connection.execute(query)}
        waiting, live = rows.get("waiting", (0, 0))
        done, _ = rows.get("done", (0, 0))
        return QueueCounts(waiting=int(waiting - live), leased=int(live), done=int(done))

    def made_by(self) -> dict[str, int]:
        """Count the places of the present queue, done ones too, by what put the items there."""
        query = select(Queue.strategy, func.count()).where(PRESENT).group_by(Queue.strategy)
        return dict(self._connection.execute(query).all())

    def newest(self) -> int:
        """Return the number of the place that was made last, 0 when there is none."""
        return self._count(select(func.max(Queue.id)))

    def entries(self, limit: int = 100, offset: int = 0) -> list[QueueEntry]:
        """Return places in order of position, done ones too."""
        query = select(*COLUMNS).where(PRESENT).order_by(Queue.position, Queue.id)
        query = query.limit(limit).offset(offset)
        return [as_record(QueueEntry, row) for row in self._connection.execute(query)]

    def held(self, item_ids: Sequence[int]) -> set[int]:
        """Return those of the items that somebody is labelling now."""
        found: set[int] = set()
        for part in chunks(item_ids):
            query = select(Queue.item_id).where(Queue.item_id.in_(part), held(self._clock()))
            found.update(self._connection.execute(query).scalars())
        return found

    def entry_for(self, item_id: int) -> QueueEntry | None:
        """Return an item's place, in the present queue or outdated."""
        row = self._connection.execute(select(*COLUMNS).where(Queue.item_id == item_id)).first()
        return as_record(QueueEntry, row) if row else None


def held(now: float) -> ColumnElement[bool]:
    """Like :func:`leased`, but false instead of unknown where nobody ever held the place."""
    return func.coalesce(leased(now), False)


def _row(entry: NewQueueEntry, round_id: int | None) -> dict[str, object]:
    return {
        "item_id": entry.item_id,
        "strategy": entry.strategy,
        "score": entry.score,
        "blind": entry.blind,
        "suggestion_class_id": entry.suggestion_class_id,
        "suggestion_confidence": entry.suggestion_confidence,
        "round_id": round_id,
        "state": "waiting",
        "lease_price": 0,
        "outdated": False,
    }
