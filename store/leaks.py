"""Near-duplicates: perceptual hashes, links between items that look alike, and their groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from store.models import Item
from store.models_leaks import ItemHash, NearDuplicate, RegroupedItem
from store.records import Split
from store.records_leaks import GroupFacts, LinkMethod, LinkRecord
from store.repository import Repository, as_record, chunks

WORDS = 4  # of 64 bits in a hash
_POSITIVE = 2**63 - 1
LINK = tuple(getattr(NearDuplicate, name) for name in LinkRecord.__dataclass_fields__)


class Leaks(Repository):
    """Near-duplicates, and the groups that they were put into."""

    def add_hashes(self, hashes: Sequence[tuple[int, bytes | None]]) -> None:
        """Keep perceptual hashes, 32 bytes each, of items that were not looked at yet.

        None is that of an item without contrast, which needs no second look.
        """
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
        query = select(ItemHash.item_id, ItemHash.bits).where(
            ItemHash.item_id > after, ItemHash.bits.is_not(None)
        )
        rows = self._connection.execute(query.order_by(ItemHash.item_id)).all()
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        words = np.frombuffer(b"".join(bits for _, bits in rows if bits is not None), np.uint64)
        return ids, words.reshape(len(rows), WORDS)

    def looks(self, item_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the hashes of those of the items that have one."""
        found: dict[int, bytes] = {}
        for part in chunks(item_ids):
            query = select(ItemHash.item_id, ItemHash.bits).where(
                ItemHash.item_id.in_(part), ItemHash.bits.is_not(None)
            )
            rows = self._connection.execute(query)
            found.update({item_id: bits for item_id, bits in rows if bits is not None})
        return found

    def unhashed(self) -> NDArray[np.int64]:
        """Return the items whose looks nobody has taken down, in ascending order."""
        known = select(ItemHash.item_id)
        query = select(Item.id).where(Item.id.not_in(known)).order_by(Item.id)
        return np.fromiter(self._connection.execute(query).scalars(), np.int64)

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
        """Return the links between two groups that no regrouping has settled."""
        item, other = aliased(Item), aliased(Item)
        query = (
            select(*LINK)
            .join(item, item.id == NearDuplicate.item_id)
            .join(other, other.id == NearDuplicate.other_id)
            .where(NearDuplicate.checked.is_(False), item.group_key != other.group_key)
            .order_by(NearDuplicate.item_id, NearDuplicate.other_id)
        )
        return [as_record(LinkRecord, row) for row in self._connection.execute(query)]

    def alike(self, after: int = 0) -> list[tuple[int, Split, list[int]]]:
        """Return what is linked by its looks: items, their split, and the older ones of each.

        Parameters
        ----------
        after : int
            Only links of items with a higher id.

        Returns
        -------
        list of (int, str, list of int)
            In ascending order, so that the older of two comes first.
        """
        older: dict[int, list[int]] = {}
        query = select(NearDuplicate.item_id, NearDuplicate.other_id).where(
            NearDuplicate.item_id > after, NearDuplicate.method != "embedding"
        )
        for item_id, other_id in self._connection.execute(query):
            older.setdefault(item_id, []).append(other_id)
            older.setdefault(other_id, [])
        found: list[tuple[int, Split, list[int]]] = []
        for part in chunks(sorted(older)):
            splits = select(Item.id, Item.split).where(Item.id.in_(part)).order_by(Item.id)
            for item_id, split in self._connection.execute(splits):
                found.append((item_id, split, older[item_id]))
        return found

    def pairs(self) -> NDArray[np.int64]:
        """Return all links as pairs of items, shape (n, 2)."""
        query = select(NearDuplicate.item_id, NearDuplicate.other_id)
        rows = [tuple(row) for row in self._connection.execute(query)]
        return np.array(rows, np.int64).reshape(-1, 2)

    def kinship(self) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Return all links, and how the two items of each are placed.

        Returns
        -------
        pairs : ndarray of int64, shape (n, 2)
        together, apart : ndarray of bool, shape (n,)
            Whether they share a group; whether they lie in two splits, neither ``unused``.
        """
        item, other = aliased(Item), aliased(Item)
        query = (
            select(
                NearDuplicate.item_id,
                NearDuplicate.other_id,
                item.group_key == other.group_key,
                and_(item.split != other.split, item.split != "unused", other.split != "unused"),
            )
            .join(item, item.id == NearDuplicate.item_id)
            .join(other, other.id == NearDuplicate.other_id)
        )
        rows = [tuple(row) for row in self._connection.execute(query)]
        found = np.array(rows, np.int64).reshape(-1, 4)
        return found[:, :2], found[:, 2] != 0, found[:, 3] != 0

    def settle(self, links: Sequence[LinkRecord]) -> None:
        """Note that these links need not be looked at again."""
        for part in chunks(links):
            pairs = [(one.item_id, one.other_id) for one in part]
            named = tuple_(NearDuplicate.item_id, NearDuplicate.other_id).in_(pairs)
            self._connection.execute(update(NearDuplicate).where(named).values(checked=True))

    def links_of(self, item_ids: Sequence[int]) -> list[LinkRecord]:
        """Return the links in which one of the items is, closest first within each method."""
        found: set[LinkRecord] = set()
        for part in chunks(item_ids):
            touched = or_(NearDuplicate.item_id.in_(part), NearDuplicate.other_id.in_(part))
            rows = self._connection.execute(select(*LINK).where(touched))
            found.update(as_record(LinkRecord, row) for row in rows)
        return sorted(found, key=lambda one: (one.method, one.distance, one.item_id, one.other_id))

    def count_links(self) -> tuple[dict[LinkMethod, int], int]:
        """Count links that leak nothing, by method, and those whose items lie in two splits.

        Items leak nothing that share a group or a split, or of which one is ``unused``.
        """
        item, other = aliased(Item), aliased(Item)
        together = or_(
            item.group_key == other.group_key,
            item.split == other.split,
            item.split == "unused",
            other.split == "unused",
        )
        query = (
            select(NearDuplicate.method, together, func.count())
            .join(item, item.id == NearDuplicate.item_id)
            .join(other, other.id == NearDuplicate.other_id)
            .group_by(NearDuplicate.method, together)
        )
        found: dict[LinkMethod, int] = {}
        apart = 0
        for method, same, number in self._connection.execute(query):
            if same:
                found[method] = int(number)
            else:
                apart += int(number)
        return found, apart

    def group_numbers(self, item_ids: Sequence[int]) -> NDArray[np.int64]:
        """Return a number (n,) of each item's group: 0 or more, the same within this process."""
        keys = self._keys(item_ids)
        return np.fromiter((hash(keys[item]) & _POSITIVE for item in item_ids), np.int64)

    def groups(self, item_ids: Iterable[int]) -> dict[int, GroupFacts]:
        """Return the group of each item as it stands."""
        keys = self._keys(sorted(set(item_ids)))
        facts = self.facts(sorted(set(keys.values())))
        return {item_id: facts[key] for item_id, key in keys.items()}

    def _keys(self, item_ids: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for part in chunks(item_ids):
            query = select(Item.id, Item.group_key).where(Item.id.in_(part))
            found.update(self._connection.execute(query).all())
        return found

    def facts(self, keys: Sequence[str]) -> dict[str, GroupFacts]:
        """Return what there is of groups; the oldest item with a split in use gives the split."""
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
                .where(
                    RegroupedItem.group_before.in_(part),
                    RegroupedItem.group_after != RegroupedItem.group_before,
                    RegroupedItem.undone_at.is_(None),
                )
                .order_by(RegroupedItem.regrouping_id)
            )
            found.update(self._connection.execute(query).all())
        return found


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
