"""Balance levels the classes, and uses parents and recipes evenly."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.synthesis import Parents
from strategies.synthesis.balance import balance
from strategies.synthesis.recipes.errors import SynthesisError
from tests.strategies.synthesis.makers import SOME


def of(parents: list[int], **more: Any) -> Parents:
    """Return so many parents per class, numbered from 100."""
    classes = np.repeat(np.arange(len(parents)), parents)
    return Parents(100 + np.arange(len(classes)), classes, len(parents), SOME, **more)


def test_by_hand() -> None:
    parents = of([1, 3, 0, 2])
    plans = balance(parents, 4, np.random.default_rng(0))
    classes = [int(parents.classes[plan.parent - 100]) for plan in plans]
    # 1 3 - 2: to class 0, then 0 or 3 (both 2), then the other of them, then any (all 3)
    assert classes[0] == 0
    assert sorted(classes[1:3]) == [0, 3]
    assert [plan.score for plan in plans] == [-1, -2, -2, -3]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=6),
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_against_giving_one_at_a_time(counts: list[int], k: int, seed: int) -> None:
    parents = of(counts)
    plans = balance(parents, k, np.random.default_rng(seed))
    if not sum(counts):
        assert plans == ()
        return
    have = dict(enumerate(counts))
    able = [c for c in have if counts[c]]
    for plan in plans:
        column = int(parents.classes[plan.parent - 100])
        assert have[column] == min(have[c] for c in able)
        assert plan.score == -have[column]
        have[column] += 1
    assert len(plans) == k


def test_parents_and_recipes_take_turns() -> None:
    parents = of([3, 40])
    plans = balance(parents, 31, np.random.default_rng(1))
    assert set(Counter(plan.parent for plan in plans).values()) == {10, 11}
    used = Counter(plan.recipe for plan in plans)
    assert max(used.values()) - min(used.values()) <= 1


def test_counts_what_was_made_before() -> None:
    parents = of([2, 2], counts=np.array([9, 2]))
    plans = balance(parents, 5, np.random.default_rng(0))
    assert {int(parents.classes[plan.parent - 100]) for plan in plans} == {1}
    with pytest.raises(SynthesisError, match="none lower than its parents"):
        of([2, 2], counts=np.array([1, 2]))
    with pytest.raises(SynthesisError, match="one number for each of 2"):
        of([2, 2], counts=np.array([2, 2, 2]))


def test_equal_classes_are_drawn_among_at_random() -> None:
    firsts = [balance(of([1] * 5), 1, np.random.default_rng(s))[0].parent for s in range(200)]
    assert min(Counter(firsts).values()) > 15
