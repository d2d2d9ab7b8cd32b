"""The leak guard's tables: perceptual hashes, links between near-duplicates, regroupings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from store.errors import Conflict, NotFound
from store.models import Item, Label, Queue
from store.models_leaks import ItemHash, NearDuplicate, RegroupedItem, Regrouping
from store.records import ItemState, Split
from store.records_leaks import (
    GroupFacts,
    LinkRecord,
    Regroup,
    RegroupedItemRecord,
    RegroupingRecord,
)
from store.repository import Repository, as_record, chunks
from store.tallies import add_items, add_labels

WORDS = 4  # of 64 bits in a hash
LINK = tuple(getattr(NearDuplicate, name) for name in LinkRecord.__dataclass_fields__)
RUN = tuple(getattr(Regrouping, name) for name in RegroupingRecord.__dataclass_fields__)
CHANGED = tuple(getattr(RegroupedItem, name) for name in RegroupedItemRecord.__dataclass_fields__)


class Leaks(Repository):
    """Near-duplicates, and the groups that they were put into."""

    def add_hashes(self, hashes: Sequence[tuple[int, bytes]]) -> None:
        """Keep the perceptual hashes, 32 bytes each, of items that have none yet."""
        for part in chunks(hashes):
            rows = [{"item_id": item_id, "bits": bits} for item_id, bits in part]
            self._connection.execute(insert(ItemHash), rows)

    def hashes(self, after: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Return all hashes in order of item.

        Parameters
        ----------
        after : int
            Only those of items with a higher id.

        Returns
        -------
        item_ids : ndarray of int64, shape (n,)
        words : ndarray of uint64, shape (n, 4)
        """
        query = select(ItemHash.item_id, ItemHash.bits).where(ItemHash.item_id > after)
        rows = self._connection.execute(query.order_by(ItemHash.item_id)).all()
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        words = np.frombuffer(b"".join(row[1] for row in rows), np.uint64)
        return ids, words.reshape(len(rows), WORDS)

    def looks(self, item_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the hashes of those of the items that have one."""
        found: dict[int, bytes] = {}
        for part in chunks(item_ids):
            query = select(ItemHash.item_id, ItemHash.bits).where(ItemHash.item_id.in_(part))
            found.update(self._connection.execute(query).all())
        return found

    def link(self, links: Sequence[LinkRecord], *, checked: bool) -> None:
        """Note which items look alike; a pair that is known stays as it is.

        Parameters
        ----------
        links : sequence of LinkRecord
        checked : bool
            Whether their groups have been looked at already.
        """
        fresh = {(one.item_id, one.other_id): one for one in reversed(links)}
        for part in chunks([one.item_id for one in links]):
            query = select(NearDuplicate.item_id, NearDuplicate.other_id)
            known = self._connection.execute(query.where(NearDuplicate.item_id.in_(part)))
            for pair in known.all():
                fresh.pop((pair[0], pair[1]), None)
        for rows in chunks(list(fresh.values())):
            values = [
                {
                    "item_id": one.item_id,
                    "other_id": one.other_id,
                    "method": one.method,
                    "distance": one.distance,
                    "checked": checked,
                }
                for one in rows
            ]
            self._connection.execute(insert(NearDuplicate), values)

    def unchecked(self) -> list[LinkRecord]:
        """Return the links between two groups that no regrouping has seen yet."""
        item, other = aliased(Item), aliased(Item)
        query = (
            select(*LINK)
            .join(item, item.id == NearDuplicate.item_id)
            .join(other, other.id == NearDuplicate.other_id)
            .where(NearDuplicate.checked.is_(False), item.group_key != other.group_key)
            .order_by(NearDuplicate.item_id, NearDuplicate.other_id)
        )
        return [as_record(LinkRecord, row) for row in self._connection.execute(query)]

    def check_all(self) -> None:
        """Note that all links have been looked at."""
        self._connection.execute(
            update(NearDuplicate).where(NearDuplicate.checked.is_(False)).values(checked=True)
        )

    def links_of(self, item_ids: Sequence[int]) -> list[LinkRecord]:
        """Return the links in which one of the items is, closest first within each method."""
        found: set[LinkRecord] = set()
        for part in chunks(item_ids):
            touched = or_(NearDuplicate.item_id.in_(part), NearDuplicate.other_id.in_(part))
            rows = self._connection.execute(select(*LINK).where(touched))
            found.update(as_record(LinkRecord, row) for row in rows)
        return sorted(found, key=lambda one: (one.method, one.distance, one.item_id, one.other_id))

    def count_links(self) -> dict[str, int]:
        """Return how many links each method has found."""
        query = select(NearDuplicate.method, func.count()).group_by(NearDuplicate.method)
        return {row[0]: int(row[1]) for row in self._connection.execute(query)}

    def groups(self, item_ids: Iterable[int]) -> dict[int, GroupFacts]:
        """Return the group of each item as it stands."""
        keys: dict[int, str] = {}
        for part in chunks(sorted(set(item_ids))):
            query = select(Item.id, Item.group_key).where(Item.id.in_(part))
            keys.update(self._connection.execute(query).all())
        facts = self._facts(sorted(set(keys.values())))
        return {item_id: facts[key] for item_id, key in keys.items()}

    def _facts(self, keys: Sequence[str]) -> dict[str, GroupFacts]:
        """Return the facts of groups; the oldest item with a split in use gives the split."""
        found: dict[str, GroupFacts] = {}
        for part in chunks(keys):
            query = (
                select(Item.group_key, Item.split, func.min(Item.id), func.count())
                .where(Item.group_key.in_(part))
                .group_by(Item.group_key, Item.split)
            )
            for key, split, oldest, size in self._connection.execute(query):
                one = GroupFacts(key, int(oldest), int(size), split)
                found[key] = _joined(found[key], one) if key in found else one
        return found

    def members(self, groups: Sequence[str]) -> dict[str, list[int]]:
        """Return the items of groups, oldest first."""
        found: dict[str, list[int]] = {key: [] for key in groups}
        for part in chunks(groups):
            query = select(Item.group_key, Item.id).where(Item.group_key.in_(part))
            for key, item_id in self._connection.execute(query.order_by(Item.id)):
                found[key].append(item_id)
        return found

    def renamed(self, groups: Sequence[str]) -> dict[str, str]:
        """Return the present names of those groups that were put into another and not taken out."""
        steps: dict[str, str] = {}
        frontier = set(groups)
        while frontier:
            after = self._put_into(sorted(frontier))
            steps.update(after)
            frontier = set(after.values()) - set(steps)
        return {group: _end(group, steps) for group in groups if group in steps}

    def _put_into(self, groups: Sequence[str]) -> dict[str, str]:
        """Return the groups that the last regroupings put these into."""
        found: dict[str, str] = {}
        for part in chunks(groups):
            query = (
                select(RegroupedItem.group_before, RegroupedItem.group_after)
                .join(Regrouping, Regrouping.id == RegroupedItem.regrouping_id)
                .where(
                    RegroupedItem.group_before.in_(part),
                    RegroupedItem.group_after != RegroupedItem.group_before,
                    Regrouping.undone_at.is_(None),
                )
                .order_by(Regrouping.id)
            )
            found.update(self._connection.execute(query).all())
        return found

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


def _end(group: str, steps: dict[str, str]) -> str:
    """Follow a group from name to name."""
    seen = {group}
    while (after := steps.get(group)) is not None and after not in seen:
        group = after
        seen.add(group)
    return group


def _joined(one: GroupFacts, other: GroupFacts) -> GroupFacts:
    """Return the facts of a group whose items are in two splits."""
    first, second = sorted((one, other), key=lambda facts: (facts.split == "unused", facts.oldest))
    oldest = min(first.oldest, second.oldest)
    return GroupFacts(one.key, oldest, one.size + other.size, first.split)
