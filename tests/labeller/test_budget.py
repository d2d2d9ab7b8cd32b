"""The budget as a person sets it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from labeller.errors import BudgetError
from labeller.project import Project, create_project
from labeller.services import budget, labelling
from labeller.services.labelling import Act
from store.records import NewItem


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three items, two classes, five to spend, two a label."""
    made = create_project(tmp_path / "p", ["a", "b"], 5.0, label_price=2.0)
    items = [
        NewItem(f"{n:064x}", f"/x/{n}.png", False, 8, 8, "PNG", 10, str(n), "train")
        for n in range(3)
    ]
    with made.store.write() as unit:
        unit.items.add(items)
    return made


def label(project: Project, item: int) -> str:
    act = Act(f"key-{item}", "label", item, "a")
    answer = labelling.record(project, "anna", "s", "page", [act])
    return str(answer["results"][0]["status"])


def test_a_new_project_has_the_budget_it_was_given(project: Project) -> None:
    now = budget.meter(project)
    assert (now.total, now.spent, now.left) == (5.0, 0.0, 5.0)


def test_labels_are_spent_and_refused_when_the_rest_buys_none(project: Project) -> None:
    assert [label(project, n) for n in (1, 2, 3)] == ["accepted", "accepted", "refused"]
    assert budget.meter(project).left == 1.0
    budget.set_total(project, 6.0)
    assert label(project, 3) == "accepted"
    assert budget.meter(project).left == 0.0


def test_no_limit(project: Project) -> None:
    assert budget.set_total(project, None).left is None
    assert [label(project, n) for n in (1, 2, 3)] == ["accepted"] * 3
    assert budget.meter(project).spent == 6.0


@pytest.mark.parametrize("total", [-1.0, math.nan, math.inf])
def test_what_is_no_amount_is_refused(project: Project, total: float) -> None:
    with pytest.raises(BudgetError, match="is no budget"):
        budget.set_total(project, total)
    assert budget.meter(project).total == 5.0


def test_less_than_spent_is_refused_with_the_numbers(project: Project) -> None:
    label(project, 1)
    with pytest.raises(BudgetError, match=r"cannot be 1: 2 is already spent\. Give 2 to stop"):
        budget.set_total(project, 1.0)
    assert budget.set_total(project, 2.0).left == 0.0


def test_the_ledger_tells_newest_first(project: Project) -> None:
    label(project, 1)
    budget.set_total(project, 9.0)
    kinds = [(line.kind, line.amount) for line in budget.ledger(project)]
    assert kinds == [("set", 9.0), ("spend", 2.0), ("set", 5.0)]
    assert len(budget.ledger(project, limit=1)) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (12.0, "12"), (1234.5, "1,234.50"), (0.30000000000000004, "0.30")]
)
def test_amounts_read_as_people_write_them(value: float, text: str) -> None:
    assert budget.amount(value) == text
