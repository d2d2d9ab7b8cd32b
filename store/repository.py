"""What every repository stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, select

from store.models import Budget

T = TypeVar("T")

# Well under the number of parameters that any SQLite or PostgreSQL takes in one statement.
CHUNK = 500


class Repository:
    """Queries of one table family inside a unit of work."""

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock

    @property
    def _postgres(self) -> bool:
        return self._connection.dialect.name == "postgresql"

    def _gate(self) -> None:
        """Let writers of items, labels and queue through one by one.

        SQLite's BEGIN IMMEDIATE has done it already. On PostgreSQL the budget's row is the gate:
        each writer takes it before any other lock, so they cannot deadlock or overspend.
        """
        if self._postgres:
            self._connection.execute(select(Budget.id).where(Budget.id == 1).with_for_update())

    def _count(self, query: Select[int]) -> int:
        """Return the one number of a query, 0 for none."""
        return int(self._connection.execute(query).scalar() or 0)


def as_record(kind: Callable[..., T], row: Any) -> T:
    """Make a record of a row whose columns are in the order of its fields."""
    return kind(*row)


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces that fit in one statement.

    Parameters
    ----------
    values : sequence
        Anything that can be sliced.
    size : int
        Longest piece.
    """
    for start in range(0, len(values), size):
        yield values[start : start + size]


def thousandths(amount: float) -> int:
    """Return an amount of budget as the whole thousandths that are stored."""
    return round(amount * 1000)


def amount(stored: int) -> float:
    """Return stored thousandths as an amount."""
    return stored / 1000
