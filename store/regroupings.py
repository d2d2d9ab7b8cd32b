"""Regroupings: near-duplicates put into one group and one split, and how that is taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, insert, select, update

from store.errors import Conflict, NotFound
from store.models import Item, Label, Queue
from store.models_leaks import RegroupedItem, Regrouping
from store.records import ItemState, Split
from store.records_leaks import Regroup, RegroupedItemRecord, RegroupingRecord
from store.repository import Repository, as_record, chunks
from store.tallies import add_items, add_labels

RUN = tuple(getattr(Regrouping, name) for name in RegroupingRecord.__dataclass_fields__)
CHANGED = tuple(getattr(RegroupedItem, name) for name in RegroupedItemRecord.__dataclass_fields__)


class Regroupings(Repository):
    """What was put together because it looks alike."""

    def start(self, distance: float, apart: int, job_id: int | None = None) -> int:
        """Begin a regrouping and return its number."""
        values = {
            "at": self._clock(),
            "job_id": job_id,
            "distance": distance,
            "joined": 0,
            "moved": 0,
            "unused": 0,
            "apart": apart,
        }
        made = self._connection.execute(insert(Regrouping).values(values).returning(Regrouping.id))
        return made.scalar_one()

    def regroup(self, regrouping_id: int, changes: Sequence[Regroup]) -> None:
        """Put items into groups, and into the splits of these.

        An item of training or validation joins the audit set only when nobody has looked at it:
        what is labelled, skipped, flagged or queued becomes ``unused``.

        Parameters
        ----------
        regrouping_id : int
        changes : sequence of Regroup
            Items that are changed already are left alone.
        """
        self._gate()
        wanted = {one.item_id: one for one in changes}
        done = []
        for part in chunks(list(wanted)):
            query = (
                select(Item.id, Item.group_key, Item.split, Item.state, Queue.id)
                .outerjoin(Queue, Queue.item_id == Item.id)
                .where(Item.id.in_(part))
            )
            for item_id, group, split, state, place in self._connection.execute(query).all():
                one = wanted[item_id]
                seen = state != "unlabelled" or place is not None
                after = _split_after(split, one.split, seen)
                if (group, split) != (one.group, after):
                    done.append(_Change(item_id, state, group, one.group, split, after))
        self._apply(done)
        for some in chunks(done):
            rows = [
                {
                    "regrouping_id": regrouping_id,
                    "item_id": one.item_id,
                    "group_before": one.group_before,
                    "group_after": one.group_after,
                    "split_before": one.split_before,
                    "split_after": one.split_after,
                }
                for one in some
            ]
            self._connection.execute(insert(RegroupedItem), rows)
        moved = [one for one in done if one.split_before != one.split_after]
        unused = sum(one.split_after == "unused" for one in moved)
        self._connection.execute(
            update(Regrouping)
            .where(Regrouping.id == regrouping_id)
            .values(
                joined=Regrouping.joined + len(done),
                moved=Regrouping.moved + len(moved) - unused,
                unused=Regrouping.unused + unused,
            )
        )

    def _apply(self, changes: Sequence[_Change]) -> None:
        """Write groups and splits, and bring the tallies up to date."""
        items: Counter[tuple[ItemState, Split]] = Counter()
        labels: Counter[tuple[int, Split]] = Counter()
        targets: dict[tuple[str, Split], list[int]] = {}
        moved = {}
        for one in changes:
            targets.setdefault((one.group_after, one.split_after), []).append(one.item_id)
            if one.split_before != one.split_after:
                moved[one.item_id] = one
                items[one.state, one.split_before] -= 1
                items[one.state, one.split_after] += 1
        for (group, split), ids in targets.items():
            for part in chunks(ids):
                query = update(Item).where(Item.id.in_(part))
                self._connection.execute(query.values(group_key=group, split=split))
        for part in chunks(list(moved)):
            query_labels = select(Label.item_id, Label.class_id).where(Label.item_id.in_(part))
            for item_id, class_id in self._connection.execute(query_labels):
                labels[class_id, moved[item_id].split_before] -= 1
                labels[class_id, moved[item_id].split_after] += 1
        add_items(self._connection, items)
        add_labels(self._connection, labels)

    def undo(self, regrouping_id: int) -> int:
        """Take a regrouping back: these are no near-duplicates after all.

        Items that were changed again since stay as they are. A labelled item that left the audit
        set stays where it is, too: a model may have been trained on it by now.

        Parameters
        ----------
        regrouping_id : int

        Returns
        -------
        int
            How many items have their old group again.

        Raises
        ------
        NotFound
            When there is none of this number.
        Conflict
            When it was taken back already.
        """
        self._gate()
        if self.run(regrouping_id).undone_at is not None:
            raise Conflict(f"Regrouping {regrouping_id} was taken back already.")
        query = (
            select(*CHANGED, Item.state)
            .join(Item, Item.id == RegroupedItem.item_id)
            .where(
                RegroupedItem.regrouping_id == regrouping_id,
                Item.group_key == RegroupedItem.group_after,
                Item.split == RegroupedItem.split_after,
            )
        )
        changes = []
        for row in self._connection.execute(query).all():
            was, state = as_record(RegroupedItemRecord, row[:-1]), row[-1]
            trained = was.split_before == "audit" and state != "unlabelled"
            split = was.split_after if trained else was.split_before
            groups = was.group_after, was.group_before
            changes.append(_Change(was.item_id, state, *groups, was.split_after, split))
        self._apply(changes)
        self._connection.execute(
            update(Regrouping).where(Regrouping.id == regrouping_id).values(undone_at=self._clock())
        )
        return len(changes)

    def run(self, regrouping_id: int) -> RegroupingRecord:
        """Return one regrouping.

        Raises
        ------
        NotFound
            When there is none.
        """
        row = self._connection.execute(select(*RUN).where(Regrouping.id == regrouping_id)).first()
        if row is None:
            raise NotFound(f"There is no regrouping with number {regrouping_id}.")
        return as_record(RegroupingRecord, row)

    def runs(self) -> list[RegroupingRecord]:
        """Return all regroupings, newest first."""
        query = select(*RUN).order_by(Regrouping.id.desc())
        return [as_record(RegroupingRecord, row) for row in self._connection.execute(query)]

    def changes(
        self, regrouping_id: int, offset: int = 0, limit: int = 100
    ) -> list[RegroupedItemRecord]:
        """Return one page of what a regrouping changed: first what changed its split."""
        query: Select[*tuple[object, ...]] = (
            select(*CHANGED)
            .where(RegroupedItem.regrouping_id == regrouping_id)
            .order_by(
                RegroupedItem.split_before == RegroupedItem.split_after, RegroupedItem.item_id
            )
            .offset(offset)
            .limit(limit)
        )
        return [as_record(RegroupedItemRecord, row) for row in self._connection.execute(query)]

    def declined(self) -> dict[int, dict[int, str]]:
        """Return for each regrouping that was taken back the groups it had put items into."""
        query = (
            select(RegroupedItem.regrouping_id, RegroupedItem.item_id, RegroupedItem.group_after)
            .join(Regrouping, Regrouping.id == RegroupedItem.regrouping_id)
            .where(Regrouping.undone_at.is_not(None))
        )
        found: dict[int, dict[int, str]] = {}
        for regrouping_id, item_id, group in self._connection.execute(query):
            found.setdefault(regrouping_id, {})[item_id] = group
        return found


@dataclass(frozen=True, slots=True)
class _Change:
    """An item with its group and split before and after."""

    item_id: int
    state: ItemState
    group_before: str
    group_after: str
    split_before: Split
    split_after: Split


def _split_after(now: Split, wanted: Split, seen: bool) -> Split:
    """Return the split of an item in a group of the split `wanted`."""
    blind = now == "audit" or not seen
    return "unused" if wanted == "audit" and not blind else wanted
