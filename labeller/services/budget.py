"""The labelling budget: what it is, and how a person changes it."""

from __future__ import annotations

import math

from labeller.config import SMALLEST_PRICE
from labeller.errors import BudgetError
from labeller.project import Project
from store.records_budget import BudgetRecord, LedgerRecord

LARGEST = 1e12


def meter(project: Project) -> BudgetRecord:
    """Return total, spent and reserved budget."""
    with project.store.read() as unit:
        return unit.budget.get()


def ledger(project: Project, limit: int = 200) -> list[LedgerRecord]:
    """Return the latest `limit` lines of the ledger, newest first."""
    with project.store.read() as unit:
        return unit.budget.ledger(limit)


def set_total(project: Project, total: float | None) -> BudgetRecord:
    """Set the whole budget of the project.

    Parameters
    ----------
    project : Project
        The project.
    total : float or None
        The new total, what is spent already included; None for no limit.

    Returns
    -------
    BudgetRecord
        The budget afterwards.

    Raises
    ------
    BudgetError
        When `total` is no amount, or less than what is already spent.
    """
    if total is not None and not (math.isfinite(total) and 0 <= total <= LARGEST):
        raise BudgetError(
            f"{total:g} is no budget. Give a number from 0 to {LARGEST:,.0f}, or none for no limit."
        )
    if total is not None and 0 < total < SMALLEST_PRICE:
        raise BudgetError(f"{total:g} is less than the smallest amount, {SMALLEST_PRICE}.")
    with project.store.write() as unit:
        now = unit.budget.get()
        if total is not None and total < now.spent:
            raise BudgetError(
                f"The budget cannot be {amount(total)}: {amount(now.spent)} is already spent. "
                f"Give {amount(now.spent)} to stop here, or more to go on."
            )
        unit.budget.set_total(total)
        return unit.budget.get()


def add(project: Project, more: float) -> BudgetRecord:
    """Raise the whole budget by an amount, or lower it by a negative one.

    Raises
    ------
    BudgetError
        When there is no limit to raise, or the new total cannot be.
    """
    total = meter(project).total
    if total is None:
        raise BudgetError("The project has no limit. Set a budget first.")
    return set_total(project, total + more)


def amount(value: float) -> str:
    """Write an amount of budget: no decimals when there are none, at most two otherwise."""
    rounded = round(value, 2)
    return f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.2f}"
