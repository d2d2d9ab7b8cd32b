"""Regroupings: near-duplicates put into one group and one split, and how that is taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, delete, insert, not_, select, update

from store.errors import Conflict, NotFound
from store.generated_labels import generated_items
from store.models import Event, Item, Label, Queue
from store.models_leaks import RegroupedItem, Regrouping
from store.models_made import GeneratedDecision
from store.queue import held
from store.records import ItemState, Split
from store.records_leaks import GroupFacts, Joined, RegroupedItemRecord, RegroupingRecord
from store.repository import Repository, as_record, chunks
from store.tallies import add_items, add_labels

RUN = tuple(getattr(Regrouping, name) for name in RegroupingRecord.__dataclass_fields__)
CHANGED = tuple(getattr(RegroupedItem, name) for name in RegroupedItemRecord.__dataclass_fields__)


class Regroupings(Repository):
    """What was put together because it looks alike."""

    def start(self, distance: float, apart: int = 0, job_id: int | None = None) -> int:
        """Begin a regrouping and return its number."""
        values = {
            "at": self._clock(),
            "job_id": job_id,
            "distance": distance,
            "joined": 0,
            "moved": 0,
            "unused": 0,
            "apart": apart,
            "undone": 0,
        }
        made = self._connection.execute(insert(Regrouping).values(values).returning(Regrouping.id))
        return made.scalar_one()

    def join(self, regrouping_id: int, into: GroupFacts, groups: Sequence[str]) -> None:
        """Put all that is in some groups now into another, and into its split.

        What joins the audit set from elsewhere becomes ``unused``: an audit set that took in what
        lies near it would take in what a strategy passed over, and be easier than the rest.

        Parameters
        ----------
        regrouping_id : int
        into : GroupFacts
        groups : sequence of str
            Others.
        """
        self._gate()
        done = []
        for part in chunks(groups):
            query = select(Item.id, Item.state, Item.group_key, Item.split)
            for item_id, state, group, split in self._connection.execute(
                query.where(Item.group_key.in_(part)).order_by(Item.id)
            ).all():
                after = _split_after(split, into.split)
                done.append(_Change(item_id, into.oldest, state, group, into.key, split, after))
        self._apply(done)
        self._withdraw([one.item_id for one in done if one.split_after == "unused"])
        self._note(regrouping_id, done)

    def joined(self, regrouping_id: int, items: Sequence[Joined]) -> None:
        """Note new items that came into a group by their looks."""
        self._note(
            regrouping_id,
            [
                _Change(
                    one.item_id,
                    one.anchor_id,
                    "unlabelled",
                    one.group_before,
                    one.group_after,
                    one.split_before,
                    one.split_after,
                )
                for one in items
            ],
        )

    def _note(self, regrouping_id: int, done: Sequence[_Change]) -> None:
        for some in chunks(done):
            rows = [
                {
                    "regrouping_id": regrouping_id,
                    "item_id": one.item_id,
                    "anchor_id": one.anchor_id,
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

    def _withdraw(self, item_ids: Sequence[int]) -> None:
        """Take items that nobody will learn from out of the queue, unless somebody has them."""
        free = and_(Queue.state == "waiting", not_(held(self._clock())))
        for part in chunks(item_ids):
            self._connection.execute(delete(Queue).where(free, Queue.item_id.in_(part)))

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

    def undo(self, regrouping_id: int, anchor_id: int | None = None) -> int:
        """Take a regrouping back, or what joined one group: these are no near-duplicates.

        Items that were changed again since stay as they are. What left the audit set and was seen
        since, with a suggestion maybe, cannot measure any more: it keeps its present split, and
        the rest of its old group is ``unused``, so that no group lies in two splits.

        Parameters
        ----------
        regrouping_id : int
        anchor_id : int, optional
            Oldest item of the one group.

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
        self.run(regrouping_id)
        chosen = and_(
            RegroupedItem.regrouping_id == regrouping_id, RegroupedItem.undone_at.is_(None)
        )
        if anchor_id is not None:
            chosen = and_(chosen, RegroupedItem.anchor_id == anchor_id)
        query = select(*CHANGED, Item.state, Item.group_key, Item.split)
        rows = self._connection.execute(
            query.join(Item, Item.id == RegroupedItem.item_id).where(chosen)
        ).all()
        if not rows:
            raise Conflict(f"Regrouping {regrouping_id} was taken back already.")
        back = [
            (as_record(RegroupedItemRecord, row[:-3]), row[-3])
            for row in rows
            if (row.group_key, row.split) == (row.group_after, row.split_after)
        ]
        changes = self._back(back)
        self._apply(changes)
        self._connection.execute(
            update(RegroupedItem).where(chosen).values(undone_at=self._clock())
        )
        self._connection.execute(
            update(Regrouping)
            .where(Regrouping.id == regrouping_id)
            .values(undone=Regrouping.undone + len(rows))
        )
        return len(changes)

    def _back(self, rows: Sequence[tuple[RegroupedItemRecord, ItemState]]) -> list[_Change]:
        """Return what taking back does to items."""
        left = [was.item_id for was, _ in rows if was.split_before == "audit" != was.split_after]
        seen = self._seen(left)
        spoilt = {was.group_before for was, _ in rows if was.item_id in seen}
        changes = []
        for was, state in rows:
            split = was.split_before
            if was.item_id in seen:
                split = was.split_after
            elif split == "audit" and was.group_before in spoilt:
                split = "unused"
            groups = was.group_after, was.group_before
            changes.append(
                _Change(was.item_id, was.anchor_id, state, *groups, was.split_after, split)
            )
        return changes

    def _seen(self, item_ids: Sequence[int]) -> set[int]:
        """Return which items somebody or something has said anything about."""
        found: set[int] = set()
        for part in chunks(item_ids):
            for query in (
                select(Event.item_id).where(Event.item_id.in_(part)),
                select(Queue.item_id).where(Queue.item_id.in_(part)),
                generated_items().where(GeneratedDecision.item_id.in_(part)),
            ):
                found.update(self._connection.execute(query).scalars())
        return found

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

    def partings(self) -> list[frozenset[str]]:
        """Return the groups that a person took apart: no two of one set may come together.

        Each time something was taken back, these are the groups of now of the items that were
        together: of those taken out, and of the oldest.
        """
        found: dict[tuple[int, int], set[str]] = {}
        run, anchor = RegroupedItem.regrouping_id, RegroupedItem.anchor_id
        for end in (RegroupedItem.item_id, anchor):
            query = select(run, anchor, Item.group_key).join(Item, Item.id == end).distinct()
            rows = self._connection.execute(query.where(RegroupedItem.undone_at.is_not(None)))
            for number, oldest, group in rows:
                found.setdefault((number, oldest), set()).add(group)
        return [frozenset(groups) for groups in found.values() if len(groups) > 1]


@dataclass(frozen=True, slots=True)
class _Change:
    """An item with its group and split before and after, and who drew it there."""

    item_id: int
    anchor_id: int
    state: ItemState
    group_before: str
    group_after: str
    split_before: Split
    split_after: Split


def _split_after(now: Split, wanted: Split) -> Split:
    """Return the split of an item that joins a group of the split `wanted`."""
    return "unused" if wanted == "audit" != now else wanted
