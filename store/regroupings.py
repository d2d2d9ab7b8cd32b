"""Regroupings: near-duplicates put into one group and one split, and how that is taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from store.errors import NotFound
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

    def join(self, regrouping_id: int, moves: Sequence[tuple[GroupFacts, Sequence[str]]]) -> None:
        """Put all that is in some groups now into others, and into their splits.

        What joins the audit set from elsewhere becomes ``unused``: an audit set that took in what
        lies near it would take in what a strategy passed over, and be easier than the rest.

        Parameters
        ----------
        regrouping_id : int
        moves : sequence of (GroupFacts, sequence of str)
            Each a group and those that go into it. No group is named twice.
        """
        self._gate()
        target = {group: into for into, groups in moves for group in groups}
        done = []
        for part in chunks(list(target)):
            query = select(Item.id, Item.state, Item.group_key, Item.split)
            for item_id, state, group, split in self._connection.execute(
                query.where(Item.group_key.in_(part)).order_by(Item.id)
            ).all():
                into = target[group]
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

    def assign(self, groups: Mapping[str, tuple[str, Split]]) -> int:
        """Give all items of some groups the group and split that a person said.

        Places in the queue that somebody does not hold go with a move out of, or into, the audit
        set: what is asked there is asked blind.

        Parameters
        ----------
        groups : mapping of str to (str, Split)
            By the name so far.

        Returns
        -------
        int
            How many items are in another group or split now.
        """
        self._gate()
        done = []
        for part in chunks(list(groups)):
            query = select(Item.id, Item.state, Item.group_key, Item.split)
            for item_id, state, group, split in self._connection.execute(
                query.where(Item.group_key.in_(part)).order_by(Item.id)
            ).all():
                if groups[group] != (group, split):
                    done.append(
                        _Change(
                            item_id,
                            item_id,
                            state,
                            group,
                            groups[group][0],
                            split,
                            groups[group][1],
                        )
                    )
        self._apply(done)
        self._withdraw(
            [
                one.item_id
                for one in done
                if one.split_before != one.split_after
                and {"audit", "unused"} & {one.split_before, one.split_after}
            ]
        )
        return len(done)

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
        moved = {}
        for one in changes:
            if one.split_before != one.split_after:
                moved[one.item_id] = one
                items[one.state, one.split_before] -= 1
                items[one.state, one.split_after] += 1
        self._move(changes)
        for part in chunks(list(moved)):
            query_labels = select(Label.item_id, Label.class_id).where(Label.item_id.in_(part))
            for item_id, class_id in self._connection.execute(query_labels):
                labels[class_id, moved[item_id].split_before] -= 1
                labels[class_id, moved[item_id].split_after] += 1
        add_items(self._connection, items)
        add_labels(self._connection, labels)

    def _move(self, changes: Sequence[_Change]) -> None:
        """Write groups and splits: one prepared statement, run for each item by the driver."""
        rows = [
            {"item": one.item_id, "into": one.group_after, "wanted": one.split_after}
            for one in changes
        ]
        if rows:
            chosen = update(Item).where(Item.id == bindparam("item"))
            query = chosen.values(group_key=bindparam("into"), split=bindparam("wanted"))
            self._connection.execute(query, rows)

    def standing(self, regrouping_id: int, anchor_id: int | None = None) -> dict[int, int]:
        """Return how many items each group still holds that a regrouping brought into it.

        Parameters
        ----------
        regrouping_id : int
        anchor_id : int, optional
            Oldest item of the one group that is asked about.

        Returns
        -------
        dict of int to int
            By the oldest item of the group; without what was taken back.

        Raises
        ------
        NotFound
            When there is none of this number.
        """
        self.run(regrouping_id)
        query = (
            select(RegroupedItem.anchor_id, func.count())
            .where(_standing(regrouping_id))
            .group_by(RegroupedItem.anchor_id)
            .order_by(RegroupedItem.anchor_id)
        )
        if anchor_id is not None:
            query = query.where(RegroupedItem.anchor_id == anchor_id)
        return {anchor: int(number) for anchor, number in self._connection.execute(query)}

    def undo(self, regrouping_id: int, anchor_ids: Sequence[int]) -> int:
        """Take back what a regrouping brought into some groups: these are no near-duplicates.

        Items that are in another group by now stay there, and can be taken back when they are not.
        What left the audit set and was seen since, with a suggestion maybe, cannot measure any
        more: it keeps its present split, and the rest of its old group is ``unused``, so that no
        group lies in two splits.

        Parameters
        ----------
        regrouping_id : int
        anchor_ids : sequence of int
            Oldest items of the groups.

        Returns
        -------
        int
            How many items have their old group again.
        """
        self._gate()
        rows: list[Any] = []
        for part in chunks(anchor_ids):
            query = select(*CHANGED, Item.state, Item.split).join(
                Item, Item.id == RegroupedItem.item_id
            )
            query = query.where(
                _standing(regrouping_id),
                RegroupedItem.anchor_id.in_(part),
                Item.group_key == RegroupedItem.group_after,
            )
            rows += self._connection.execute(query).all()
        changes = self._back(
            [(as_record(RegroupedItemRecord, row[:-2]), *row[-2:]) for row in rows]
        )
        self._apply(changes)
        now = self._clock()
        for some in chunks([one.item_id for one in changes]):
            taken = and_(_standing(regrouping_id), RegroupedItem.item_id.in_(some))
            self._connection.execute(update(RegroupedItem).where(taken).values(undone_at=now))
        self._connection.execute(
            update(Regrouping)
            .where(Regrouping.id == regrouping_id)
            .values(undone=Regrouping.undone + len(changes))
        )
        return len(changes)

    def taken_back(self, regrouping_id: int, anchor_id: int | None = None) -> dict[int, list[str]]:
        """Return the groups that were taken out of each, and still are as they were then.

        Parameters
        ----------
        regrouping_id : int
        anchor_id : int, optional
            Oldest item of the one group that is asked about.

        Returns
        -------
        dict of int to list of str
            By the oldest item of the group that they had been put into.
        """
        query = (
            select(RegroupedItem.anchor_id, RegroupedItem.group_before)
            .join(Item, Item.id == RegroupedItem.item_id)
            .where(
                RegroupedItem.regrouping_id == regrouping_id,
                RegroupedItem.undone_at.is_not(None),
                Item.group_key == RegroupedItem.group_before,
            )
            .distinct()
            .order_by(RegroupedItem.anchor_id, RegroupedItem.group_before)
        )
        if anchor_id is not None:
            query = query.where(RegroupedItem.anchor_id == anchor_id)
        found: dict[int, list[str]] = {}
        for anchor, group in self._connection.execute(query):
            found.setdefault(anchor, []).append(group)
        return found

    def holder(self, regrouping_id: int, anchor_id: int | None = None) -> int | None:
        """Return the last regrouping that has put elsewhere what another brought together.

        Parameters
        ----------
        regrouping_id : int
        anchor_id : int, optional
            Oldest item of the one group that is asked about.
        """
        later = aliased(RegroupedItem)
        query = (
            select(func.max(later.regrouping_id))
            .join(RegroupedItem, RegroupedItem.item_id == later.item_id)
            .join(Item, Item.id == later.item_id)
            .where(
                _standing(regrouping_id),
                later.regrouping_id != regrouping_id,
                later.undone_at.is_(None),
                later.group_after == Item.group_key,
            )
        )
        if anchor_id is not None:
            query = query.where(RegroupedItem.anchor_id == anchor_id)
        return self._connection.execute(query).scalar()

    def _back(self, rows: Sequence[tuple[RegroupedItemRecord, ItemState, Split]]) -> list[_Change]:
        """Return what taking back does to items of these states and present splits."""
        left = [was.item_id for was, _, _ in rows if was.split_before == "audit" != was.split_after]
        # Where the split is another by now, a later regrouping was taken back too late.
        fixed = {was.item_id for was, _, now in rows if now != was.split_after} | self._seen(left)
        spoilt = {was.group_before for was, _, _ in rows if was.item_id in fixed}
        changes = []
        for was, state, now in rows:
            split = was.split_before
            if was.item_id in fixed:
                split = now
            elif split == "audit" and was.group_before in spoilt:
                split = "unused"
            groups = was.group_after, was.group_before
            changes.append(_Change(was.item_id, was.anchor_id, state, *groups, now, split))
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


def _standing(regrouping_id: int) -> ColumnElement[bool]:
    """Return the condition that a row is of a regrouping, and not taken back."""
    return and_(RegroupedItem.regrouping_id == regrouping_id, RegroupedItem.undone_at.is_(None))


def _split_after(now: Split, wanted: Split) -> Split:
    """Return the split of an item that joins a group of the split `wanted`."""
    return "unused" if wanted == "audit" != now else wanted
