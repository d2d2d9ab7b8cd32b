"""Paths: which item's bytes each of them was last seen to hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import delete, exists, insert, select

from store.models import Item, ItemPath
from store.records import KnownPath, Stamp
from store.repository import Repository, chunks

COLUMNS = (
    ItemPath.path,
    ItemPath.item_id,
    ItemPath.bytes,
    ItemPath.mtime_ns,
    ItemPath.ctime_ns,
)


class Paths(Repository):
    """All paths that are known to hold an item, the one that the item has and its other names."""

    def note(self, paths: Sequence[KnownPath]) -> None:
        """Keep what paths hold now; of one given twice, the last."""
        self._gate()
        for part in chunks(list({one.path: one for one in paths}.values())):
            named = ItemPath.path.in_([one.path for one in part])
            self._connection.execute(delete(ItemPath).where(named))
            self._connection.execute(insert(ItemPath), [_row(one) for one in part])

    def many(self, paths: Sequence[str]) -> dict[str, KnownPath]:
        """Return what is known of paths."""
        found: dict[str, KnownPath] = {}
        for part in chunks(paths):
            for row in self._connection.execute(select(*COLUMNS).where(ItemPath.path.in_(part))):
                found[row[0]] = _record(*row)
        return found

    def of_items(self, item_ids: Sequence[int]) -> dict[int, list[KnownPath]]:
        """Return the paths of items, in order of path."""
        found: dict[int, list[KnownPath]] = {}
        for part in chunks([int(item_id) for item_id in item_ids]):
            query = select(*COLUMNS).where(ItemPath.item_id.in_(part)).order_by(ItemPath.path)
            for row in self._connection.execute(query):
                one = _record(*row)
                found.setdefault(one.item_id or 0, []).append(one)
        return found

    def holders(self, paths: Sequence[str]) -> dict[str, int]:
        """Return the item that each path holds, as far as it is known.

        Where nobody has looked since the import, it is the newest item that has the path.
        """
        found: dict[str, int] = {}
        for part in chunks(paths):
            query = select(Item.path, Item.id).where(Item.path.in_(part)).order_by(Item.id)
            found.update(self._connection.execute(query).all())
        for path, one in self.many(paths).items():
            if one.item_id is None:
                found.pop(path, None)
            else:
                found[path] = one.item_id
        return found

    def owners(self, paths: Sequence[str]) -> dict[int, str]:
        """Return the items that have one of these as their path, whatever it holds now."""
        found: dict[int, str] = {}
        for part in chunks(paths):
            query = select(Item.id, Item.path).where(Item.path.in_(part)).order_by(Item.id)
            found.update(self._connection.execute(query).all())
        return found

    def stream(self, batch: int = 5_000) -> Iterator[list[tuple[str, int]]]:
        """Yield every path with the item that it holds, in lists of up to `batch`."""
        seen = exists().where(ItemPath.path == Item.path)
        for query in (
            select(ItemPath.path, ItemPath.item_id).where(ItemPath.item_id.is_not(None)),
            select(Item.path, Item.id).where(~seen).order_by(Item.id),
        ):
            rows = self._connection.execute(query)
            while part := rows.fetchmany(batch):
                yield [(path, item_id) for path, item_id in part if item_id is not None]


def _row(one: KnownPath) -> dict[str, object]:
    stamp = one.stamp
    return {
        "path": one.path,
        "item_id": one.item_id,
        "bytes": stamp and stamp.bytes,
        "mtime_ns": stamp and stamp.mtime_ns,
        "ctime_ns": stamp and stamp.ctime_ns,
    }


def _record(
    path: str, item_id: int | None, size: int | None, mtime: int | None, ctime: int | None
) -> KnownPath:
    if size is None or mtime is None or ctime is None:
        return KnownPath(path, item_id, None)
    return KnownPath(path, item_id, Stamp(size, mtime, ctime))
