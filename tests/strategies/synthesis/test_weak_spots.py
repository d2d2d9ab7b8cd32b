"""Weak spots shares the children out by the drops in accuracy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from strategies.synthesis import Parents
from strategies.synthesis.weak_spots import accuracy_drops, weak_spots
from tests.strategies.synthesis.makers import SOME, make_parents


def trials(right: int, by_recipe: list[int], n: int = 10) -> dict[str, np.ndarray]:
    """Return trials with so many of `n` right, on the items and under each recipe."""

    def probs(good: int) -> np.ndarray:
        return np.array([[0.9, 0.1] if i < good else [0.1, 0.9] for i in range(n)])

    return {
        "trial_classes": np.zeros(n, int),
        "trial_probs": probs(right),
        "trial_child_probs": np.stack([probs(good) for good in by_recipe]),
    }


def of(right: int, by_recipe: list[int]) -> Parents:
    return Parents(np.arange(6), np.arange(6) % 2, 2, SOME, **trials(right, by_recipe))


def test_by_hand() -> None:
    # drops 0.1, 0.6, -0.1, 0.3: shares of 10 are 1, 6, 0, 3
    plans = weak_spots(of(9, [8, 3, 10, 6]), 10, np.random.default_rng(0))
    assert [plan.recipe for plan in plans] == ["rotate"] * 6 + ["patch"] * 3 + ["brightness"]
    assert [plan.score for plan in plans] == pytest.approx([0.6] * 6 + [0.3] * 3 + [0.1])


def test_parents_take_turns() -> None:
    plans = weak_spots(of(9, [8, 3, 10, 6]), 13, np.random.default_rng(0))
    counts = Counter(plan.parent for plan in plans)
    assert sorted(counts) == list(range(6))
    assert set(counts.values()) == {2, 3}


def test_without_any_drop_all_recipes_share() -> None:
    plans = weak_spots(of(5, [5, 6, 7, 5]), 8, np.random.default_rng(0))
    assert set(Counter(plan.recipe for plan in plans).values()) == {2}


def test_drops_against_counting() -> None:
    parents = make_parents()
    classes, probs = parents.trial_classes, parents.trial_probs
    children = parents.trial_child_probs
    assert classes is not None
    assert probs is not None
    assert children is not None
    drops = accuracy_drops(classes, probs, children)
    own = sum(int(np.argmax(p)) == c for p, c in zip(probs, classes, strict=True))
    for drop, rows in zip(drops, children, strict=True):
        good = sum(int(np.argmax(p)) == c for p, c in zip(rows, classes, strict=True))
        assert drop == pytest.approx((own - good) / len(classes))


def test_without_validation_items_nothing_drops() -> None:
    empty: dict[str, Any] = {
        "trial_classes": np.empty(0, int),
        "trial_probs": np.empty((0, 4)),
        "trial_child_probs": np.empty((4, 0, 4)),
    }
    plans = weak_spots(make_parents(**empty), 4, np.random.default_rng(0))
    assert len({plan.recipe for plan in plans}) == 4
