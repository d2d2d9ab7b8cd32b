"""The variable threshold, by hand and against scikit-activeml."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.stream.budgetmanager import VariableUncertaintyBudgetManager

from strategies import stream
from strategies.stream.variable_threshold import State, variable_threshold
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
    expected = of_peer(VariableUncertaintyBudgetManager(budget=rate), utilities)
    assert of_ours("variable_threshold", utilities, rate, no_draws()) == expected


def test_same_questions_with_other_options() -> None:
    utilities = 1 - confidences("uniform")
    manager = VariableUncertaintyBudgetManager(theta=0.5, s=0.1, budget=0.2)
    ours = of_ours("variable_threshold", utilities, 0.2, no_draws(), threshold=0.5, step=0.1)
    assert ours == of_peer(manager, utilities)


def test_the_threshold_falls_with_a_question_and_rises_without() -> None:
    rng = np.random.default_rng(0)
    state = State.start(0.1, 10, threshold=0.8, step=0.5)
    wish, state = variable_threshold(state, 0.79, rng)
    assert (wish.ask, wish.threshold, state.threshold) == (True, 0.8, 0.4)
    wish, state = variable_threshold(state, 0.4, rng)  # not below
    assert (wish.ask, wish.threshold) == (False, 0.4)
    assert state.threshold == pytest.approx(0.6)


def test_spends_the_budget_on_an_all_certain_stream() -> None:
    asked = of_ours("variable_threshold", np.full(4000, 0.001), 0.1, no_draws())
    assert 0.10 <= np.mean(asked) <= 0.11


@pytest.mark.parametrize("step", [0, 1, -0.5, float("nan")])
def test_refuses_a_step_that_is_no_share(step: float) -> None:
    with pytest.raises(stream.StreamError, match="step must be a share"):
        State.start(0.1, 10, step=step)
