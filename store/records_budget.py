"""Frozen records of the labelling budget."""

from __future__ import annotations

from dataclasses import dataclass

from store.records import LedgerKind


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """The labelling budget; `total` is None when there is no limit."""

    total: float | None
    spent: float
    reserved: float

    @property
    def left(self) -> float | None:
        """What is not spent, reservations included."""
        return None if self.total is None else self.total - self.spent

    @property
    def free(self) -> float | None:
        """What is neither spent nor reserved by a lease."""
        return None if self.total is None else self.total - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """One line of the budget ledger."""

    id: int
    at: float
    kind: LedgerKind
    amount: float
    event_id: int | None
    note: str | None
