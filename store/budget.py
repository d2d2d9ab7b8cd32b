"""The labelling budget and its ledger."""

from __future__ import annotations

from sqlalchemy import func, insert, select, update

from store.models import Budget, Ledger, Queue
from store.queue import leased
from store.records import LedgerKind
from store.records_budget import BudgetRecord, LedgerRecord
from store.repository import Repository, amount, thousandths


class Budgets(Repository):
    """The one budget of the project."""

    def get(self) -> BudgetRecord:
        """Return the total, what is spent, and what leases reserve at this moment."""
        total, spent = self._connection.execute(select(Budget.total, Budget.spent)).one()
        reserved = self._count(select(func.sum(Queue.lease_price)).where(leased(self._clock())))
        limit = None if total is None else amount(total)
        return BudgetRecord(limit, amount(spent), amount(reserved))

    def set_total(self, total: float | None, note: str | None = None) -> BudgetRecord:
        """Set the total, None for no limit, and note it in the ledger.

        A total below what is spent buys nothing more; it takes nothing back.
        """
        self._gate()
        stored = None if total is None else thousandths(total)
        self._connection.execute(update(Budget).values(total=stored))
        line = {"at": self._clock(), "kind": "set", "amount": stored or 0, "note": note}
        if total is None and note is None:
            line["note"] = "no limit"
        self._connection.execute(insert(Ledger).values(line))
        return self.get()

    def spend(self, cost: float, note: str) -> bool:
        """Pay for something that is no label; say whether what nobody reserved is enough."""
        self._gate()
        stored = thousandths(cost)
        now = self.get()
        if now.free is not None and thousandths(now.free) < stored:
            return False
        self._move("spend", stored, note)
        return True

    def refund(self, cost: float, note: str) -> None:
        """Give back what was paid by :meth:`spend`."""
        self._gate()
        self._move("refund", thousandths(cost), note)

    def _move(self, kind: LedgerKind, stored: int, note: str) -> None:
        if not stored:
            return
        change = stored if kind == "spend" else -stored
        self._connection.execute(update(Budget).values(spent=Budget.spent + change))
        line = {"at": self._clock(), "kind": kind, "amount": stored, "note": note}
        self._connection.execute(insert(Ledger).values(line))

    def ledger(self, limit: int = 100) -> list[LedgerRecord]:
        """Return the newest lines of the ledger, newest first."""
        query = (
            select(Ledger.id, Ledger.at, Ledger.kind, Ledger.amount, Ledger.event_id, Ledger.note)
            .order_by(Ledger.id.desc())
            .limit(limit)
        )
        return [
            LedgerRecord(number, at, kind, amount(stored), event_id, note)
            for number, at, kind, stored, event_id, note in self._connection.execute(query)
        ]
