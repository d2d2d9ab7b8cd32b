"""The fixed threshold, against the paper's formula and scikit-activeml."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.stream.budgetmanager import FixedUncertaintyBudgetManager

from strategies import stream
from strategies.stream.fixed_threshold import State, fixed_threshold
from tests.strategies.stream.oracles import (
    STREAMS,
    confidences,
    no_draws,
    of_ours,
    of_peer,
)


@STREAMS
def test_same_questions_as_scikit_activeml(kind: str, rate: float) -> None:
    utilities = 1 - confidences(kind)
    manager = FixedUncertaintyBudgetManager(classes=[0, 1, 2, 3], budget=rate)
    expected = of_peer(manager, utilities)
    assert of_ours("fixed_threshold", utilities, rate, no_draws()) == expected


def test_the_papers_threshold() -> None:
    assert State.start(0.1, 10).threshold == pytest.approx(0.19)  # 0.1 + 0.1 * 0.9
    assert State.start(0.5, 2).threshold == pytest.approx(0.75)


def test_asks_up_to_and_at_the_threshold() -> None:
    state = State.start(0.1, 10, threshold=0.6)
    rng = np.random.default_rng(0)
    wishes = [fixed_threshold(state, p, rng)[0].ask for p in (0.2, 0.6, 0.6000001, 1.0)]
    assert wishes == [True, True, False, False]
    assert fixed_threshold(state, 0.2, rng)[1] == state


def test_asks_nothing_on_an_all_certain_stream() -> None:
    asked = of_ours("fixed_threshold", np.full(2000, 0.001), 0.1, no_draws())
    assert sum(asked) == 0


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_refuses_a_threshold_that_is_no_probability(threshold: float) -> None:
    with pytest.raises(stream.StreamError, match="threshold must be a number, from 0 to 1"):
        State.start(0.1, 10, threshold=threshold)
