"""Items: the images of the project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, insert, select, tuple_, update

from store.classes import Classes
from store.generated_labels import generated_items
from store.models import ClassTally, Item, ItemPath, ItemTally, Label, Queue
from store.records import Counts, ItemRecord, ItemState, NewItem, Split
from store.repository import Repository, as_record, chunks
from store.tallies import add_items

Order = Literal["newest", "oldest", "path"]

# So many items SQLite may sort for one page; with more it walks down an index of paths.
SORTABLE = 20_000

COLUMNS = (
    Item.id,
    Item.sha256,
    Item.path,
    Item.copied,
    Item.width,
    Item.height,
    Item.format,
    Item.bytes,
    Item.group_key,
    Item.split,
    Item.added_at,
    Item.state,
)


class Items(Repository):
    """The items of the project."""

    def hold(self) -> None:
        """Keep other writers of items, labels and queue out until the end of the transaction."""
        self._gate()

    def add(self, items: Sequence[NewItem]) -> list[int]:
        """Add items; one whose hash is known keeps its row as it is.

        Parameters
        ----------
        items : sequence of NewItem
            Any number; a hash may occur twice.

        Returns
        -------
        list of int
            The id of each, in order.
        """
        self._gate()
        ids: list[int] = []
        for part in chunks(items):
            known = self.known([item.sha256 for item in part])
            fresh: dict[str, NewItem] = {}
            for item in part:
                if item.sha256 not in known:
                    fresh.setdefault(item.sha256, item)
            if fresh:
                self._insert(fresh.values())
                known.update(self.known(list(fresh)))
            ids.extend(known[item.sha256] for item in part)
        return ids

    def _insert(self, items: Collection[NewItem]) -> None:
        """Insert items whose hashes are new, and count them."""
        now = self._clock()
        rows = [
            {
                "sha256": item.sha256,
                "path": item.path,
                "copied": item.copied,
                "width": item.width,
                "height": item.height,
                "format": item.format,
                "bytes": item.bytes,
                "group_key": item.group,
                "split": item.split,
                "added_at": now,
                "state": "unlabelled",
            }
            for item in items
        ]
        self._connection.execute(insert(Item), rows)
        splits = Counter(item.split for item in items)
        add_items(self._connection, {("unlabelled", split): n for split, n in splits.items()})

    def known(self, hashes: Sequence[str]) -> dict[str, int]:
        """Return the ids of those hashes that are in the project."""
        found: dict[str, int] = {}
        for part in chunks(hashes):
            query = select(Item.sha256, Item.id).where(Item.sha256.in_(part))
            found.update(self._connection.execute(query).all())
        return found

    def group_splits(self, groups: Sequence[str]) -> dict[str, Split]:
        """Return the split of those of the groups that have items with a split in use."""
        found: dict[str, Split] = {}
        for part in chunks(groups):
            query = select(Item.group_key, Item.split).where(Item.group_key.in_(part)).distinct()
            query = query.where(Item.split != "unused")
            found.update(self._connection.execute(query).all())
        return found

    def of_groups(self, groups: Sequence[str]) -> dict[str, list[ItemRecord]]:
        """Return the items of those of the groups that have any, in order of id."""
        found: dict[str, list[ItemRecord]] = {}
        for part in chunks(groups):
            query = select(*COLUMNS).where(Item.group_key.in_(part)).order_by(Item.id)
            for row in self._connection.execute(query):
                record = as_record(ItemRecord, row)
                found.setdefault(record.group, []).append(record)
        return found

    def get(self, item_id: int) -> ItemRecord | None:
        """Return one item."""
        return self._first(select(*COLUMNS).where(Item.id == item_id))

    def many(self, ids: Sequence[int]) -> dict[int, ItemRecord]:
        """Return the items of these ids that exist."""
        found: dict[int, ItemRecord] = {}
        for part in chunks([int(item_id) for item_id in ids]):
            rows = self._connection.execute(select(*COLUMNS).where(Item.id.in_(part)))
            found.update((row[0], as_record(ItemRecord, row)) for row in rows)
        return found

    def by_hash(self, sha256: str) -> ItemRecord | None:
        """Return the item whose bytes have this hash."""
        return self._first(select(*COLUMNS).where(Item.sha256 == sha256))

    def by_path(self, path: str) -> ItemRecord | None:
        """Return the item that this path was last seen to hold.

        Where nobody has looked since the import, it is the newest item that has the path.
        """
        seen = select(ItemPath.item_id).where(ItemPath.path == path)
        row = self._connection.execute(seen).first()
        if row is not None:
            return None if row[0] is None else self.get(row[0])
        query = select(*COLUMNS).where(Item.path == path).order_by(Item.id.desc()).limit(1)
        return self._first(query)

    def _first(self, query: Select[*tuple[Any, ...]]) -> ItemRecord | None:
        row = self._connection.execute(query).first()
        return as_record(ItemRecord, row) if row else None

    def count(self) -> Counts:
        """Count items by state and labelled ones by split, from the tallies."""
        states: Counter[str] = Counter()
        splits: Counter[str] = Counter()
        query = select(ItemTally.state, ItemTally.split, ItemTally.items)
        for state, split, number in self._connection.execute(query):
            states[state] += number
            if state == "labelled":
                splits[split] += number
            elif state == "unlabelled" and split == "unused":
                splits["left"] += number
        return Counts(
            items=states.total(),
            unlabelled=states["unlabelled"],
            labelled=states["labelled"],
            skipped=states["skipped"],
            flagged=states["flagged"],
            labelled_train=splits["train"],
            labelled_valid=splits["valid"],
            labelled_audit=splits["audit"],
            unused=splits["left"],
        )

    def splits(self) -> dict[Split, int]:
        """Count items by split, from the tallies."""
        query = select(ItemTally.split, func.sum(ItemTally.items)).group_by(ItemTally.split)
        return {split: int(number) for split, number in self._connection.execute(query)}

    def page(
        self,
        state: ItemState | None = None,
        class_id: int | None = None,
        split: Split | None = None,
        text: str | None = None,
        generated: bool = False,
        order: Order = "newest",
        after: int | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[ItemRecord]:
        """Return one page of items.

        Parameters
        ----------
        state, split : str, optional
            Only items in this state, of this split.
        class_id : int, optional
            Only items labelled with this class or one merged into it.
        text : str, optional
            Only items whose path contains it, in capitals or not.
        generated : bool
            Only items with a generated label and no other; `class_id` is then that label's.
        order : {"newest", "oldest", "path"}
            Order of the list.
        after : int, optional
            Last item of the page before (quicker than `offset` far down the list).
        offset, limit : int
            How many to leave out first, and the longest page.
        """
        query = self._filtered(select(*COLUMNS), state, class_id, split, text, generated)
        if order == "path":
            query = query.order_by(Item.path, Item.id)
            if (
                class_id is None
                and not generated
                and self.page_count(state, None, split) > SORTABLE
            ):
                index = "ix_item_path" if state is None else "ix_item_state_path_id"
                query = query.with_hint(Item, f"INDEXED BY {index}", "sqlite")
            if after is not None:
                mark = select(Item.path, Item.id).where(Item.id == after)
                row = self._connection.execute(mark).first()
                if row is not None:
                    query = query.where(tuple_(Item.path, Item.id) > tuple_(row[0], row[1]))
        elif order == "oldest":
            query = query.order_by(Item.id)
            query = query if after is None else query.where(Item.id > after)
        else:
            query = query.order_by(Item.id.desc())
            query = query if after is None else query.where(Item.id < after)
        query = query.limit(limit).offset(offset)
        return [as_record(ItemRecord, row) for row in self._connection.execute(query)]

    def page_count(
        self,
        state: ItemState | None = None,
        class_id: int | None = None,
        split: Split | None = None,
        text: str | None = None,
        generated: bool = False,
    ) -> int:
        """Count what :meth:`page` lists; only `text` and `generated` look at rows."""
        if text or generated:
            counted = select(func.count(Item.id))
            return self._count(self._filtered(counted, state, class_id, split, text, generated))
        if class_id is None:
            query = select(func.sum(ItemTally.items))
            query = query if state is None else query.where(ItemTally.state == state)
            return self._count(query if split is None else query.where(ItemTally.split == split))
        if state not in (None, "labelled"):
            return 0
        members = Classes(self._connection, self._clock).members(class_id)
        query = select(func.sum(ClassTally.labels)).where(ClassTally.class_id.in_(members))
        return self._count(query if split is None else query.where(ClassTally.split == split))

    def _filtered(
        self,
        query: Select[*tuple[Any, ...]],
        state: ItemState | None,
        class_id: int | None,
        split: Split | None,
        text: str | None,
        generated: bool,
    ) -> Select[*tuple[Any, ...]]:
        """Restrict a query over items."""
        if state is not None:
            query = query.where(Item.state == state)
        if split is not None:
            query = query.where(Item.split == split)
        if text:
            query = query.where(Item.path.icontains(text, autoescape=True))
        members = Classes(self._connection, self._clock).members(class_id) if class_id else None
        if generated:
            return query.where(Item.id.in_(generated_items(members)))
        if members is not None:
            query = query.join(Label, Label.item_id == Item.id).where(Label.class_id.in_(members))
        return query

    def ids(
        self,
        state: ItemState | Collection[ItemState] | None = None,
        split: Split | Collection[Split] | None = None,
        exclude_queue: bool = False,
    ) -> NDArray[np.int64]:
        """Return the ids of items in ascending order.

        Parameters
        ----------
        state, split : str or collection of str, optional
            Only items in one of these states, of one of these splits.
        exclude_queue : bool
            Leave out items that wait in the queue.

        Returns
        -------
        ndarray of int64, shape (N,)
        """
        query = select(Item.id)
        if state is not None:
            query = query.where(Item.state.in_([state] if isinstance(state, str) else list(state)))
        if split is not None:
            query = query.where(Item.split.in_([split] if isinstance(split, str) else list(split)))
        found = np.fromiter(self._connection.execute(query).scalars(), dtype=np.int64)
        found.sort()
        if exclude_queue:
            waiting = self._connection.execute(
                select(Queue.item_id).where(Queue.state == "waiting")
            ).scalars()
            found = np.setdiff1d(found, np.fromiter(waiting, dtype=np.int64), assume_unique=True)
        return found

    def max_id(self) -> int:
        """Return the highest id, 0 when there is no item."""
        return self._count(select(func.max(Item.id)))

    def stream(self, batch: int = 1000, after_id: int = 0) -> Iterator[list[ItemRecord]]:
        """Yield all items above `after_id` in order of id, in lists of up to `batch`."""
        while True:
            query = select(*COLUMNS).where(Item.id > after_id).order_by(Item.id).limit(batch)
            part = [as_record(ItemRecord, row) for row in self._connection.execute(query)]
            if not part:
                return
            yield part
            after_id = part[-1].id

    def relocate(self, item_id: int, path: str, copied: bool) -> None:
        """Note that an item's image lies somewhere else now."""
        self._connection.execute(
            update(Item).where(Item.id == item_id).values(path=path, copied=copied)
        )
