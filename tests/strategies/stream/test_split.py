"""Split, by hand and against scikit-activeml."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from skactiveml.stream.budgetmanager import SplitBudgetManager

from strategies import stream
from strategies.stream.machine.rule import Draws
from strategies.stream.split import State, split
from tests.strategies.stream.oracles import (
    ITEMS,
    STREAMS,
    confidences,
    of_ours,
    of_peer,
)


class Given:
    """Random numbers given beforehand."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)

    def normal(self, loc: float, scale: float) -> float:
        raise AssertionError("split draws no normal number")


@STREAMS
def test_same_questions_as_scikit_activeml(kind: str, rate: float) -> None:
    utilities = 1 - confidences(kind)
    manager = SplitBudgetManager(budget=rate, random_state=7)
    shared = cast("Draws", np.random.RandomState(7))
    assert of_ours("split", utilities, rate, [shared] * ITEMS) == of_peer(manager, utilities)


def test_same_questions_with_other_options() -> None:
    utilities = 1 - confidences("uniform")
    manager = SplitBudgetManager(v=0.5, theta=0.4, s=0.05, budget=0.2, random_state=1)
    shared = cast("Draws", np.random.RandomState(1))
    options: dict[str, Any] = {"share": 0.5, "threshold": 0.4, "step": 0.05}
    ours = of_ours("split", utilities, 0.2, [shared] * ITEMS, **options)
    assert ours == of_peer(manager, utilities)


def test_the_random_part_leaves_the_threshold_alone() -> None:
    state = State.start(0.3, 10, threshold=0.8, step=0.5, share=0.2)
    wish, after = split(state, 0.99, Given(0.19, 0.3))
    assert (wish.ask, wish.draws, after) == (True, (0.19, 0.3), state)
    wish, after = split(state, 0.01, Given(0.19, 0.31))
    assert (wish.ask, wish.draws, after) == (False, (0.19, 0.31), state)


def test_the_other_part_meets_the_threshold() -> None:
    state = State.start(0.3, 10, threshold=0.8, step=0.5, share=0.2)
    wish, after = split(state, 0.79, Given(0.2))
    assert (wish.ask, wish.draws, after.threshold) == (True, (0.2,), 0.4)
    wish, after = split(state, 0.8, Given(0.2))
    assert not wish.ask
    assert after.threshold == pytest.approx(1.2)


def test_refuses_a_share_above_one() -> None:
    with pytest.raises(stream.StreamError, match=r"share must be .* from 0 to 1, not 1\.5"):
        State.start(0.1, 10, share=1.5)
