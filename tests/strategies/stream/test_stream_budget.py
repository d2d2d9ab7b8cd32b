"""The estimate of the budget spent."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.stream.budgetmanager import FixedUncertaintyBudgetManager

from strategies.stream import BudgetEstimate, StreamError, budget_rate


def test_forgets_by_and_by() -> None:
    estimate = BudgetEstimate(0.25, window=4).after(True)
    assert estimate.spent == 1
    assert not estimate.open  # 1 / 4 is not below 0.25
    estimate = estimate.after(False)
    assert estimate.spent == 0.75
    assert estimate.open
    assert estimate.after(True).spent == pytest.approx(1.5625)


def test_agrees_with_scikit_activeml() -> None:
    peer = FixedUncertaintyBudgetManager(classes=[0, 1], budget=0.1)
    peer.query_by_utility(np.array([0.5]))
    ours = BudgetEstimate(0.1)
    for asked in [True, True, False, True, False, False] * 50:
        peer.update([[0]], np.flatnonzero([asked]))
        ours = ours.after(asked)
        assert ours.spent == peer.u_t_


def test_is_soft() -> None:
    estimate, asked = BudgetEstimate(0.1), []
    for _ in range(10_000):
        asked.append(estimate.open)
        estimate = estimate.after(asked[-1])
    assert 0.10 < sum(asked) / len(asked) <= 0.105
    assert sum(asked[:100]) > 10


def test_the_rate_is_labels_left_over_items_expected() -> None:
    assert budget_rate(50, 1000) == 0.05
    assert budget_rate(50, 50) == budget_rate(50, 3) == budget_rate(0, 0) == 1
    assert budget_rate(0, 9) == 0
    with pytest.raises(StreamError, match="fewer than none"):
        budget_rate(3, -1)


@pytest.mark.parametrize(
    "wrong", [{"rate": 1.1}, {"rate": float("nan")}, {"window": 0}, {"spent": -1.0}]
)
def test_refuses_what_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(StreamError, match="budget"):
        BudgetEstimate(**{"rate": 0.1, **wrong})  # type: ignore[arg-type]
