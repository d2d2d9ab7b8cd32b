"""Counts that pages ask for every second, kept in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, insert, update

from store.models import ClassTally, ItemTally
from store.records import ItemState, Split


def add_items(connection: Connection, changes: Mapping[tuple[ItemState, Split], int]) -> None:
    """Add to the numbers of items by (state, split)."""
    for (state, split), change in sorted(changes.items()):
        if not change:
            continue
        changed = connection.execute(
            update(ItemTally)
            .where(ItemTally.state == state, ItemTally.split == split)
            .values(items=ItemTally.items + change)
        )
        if not changed.rowcount:
            connection.execute(insert(ItemTally).values(state=state, split=split, items=change))


def add_labels(connection: Connection, changes: Mapping[tuple[int, Split], int]) -> None:
    """Add to the numbers of current labels by (class, split)."""
    for (class_id, split), change in sorted(changes.items()):
        if not change:
            continue
        changed = connection.execute(
            update(ClassTally)
            .where(ClassTally.class_id == class_id, ClassTally.split == split)
            .values(labels=ClassTally.labels + change)
        )
        if not changed.rowcount:
            connection.execute(
                insert(ClassTally).values(class_id=class_id, split=split, labels=change)
            )
