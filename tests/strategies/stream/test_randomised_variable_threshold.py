"""The randomised variable threshold, by hand and against scikit-activeml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
from skactiveml.stream.budgetmanager import RandomVariableUncertaintyBudgetManager

from strategies import stream
from strategies.stream.machine.rule import Draws
from strategies.stream.randomised_variable_threshold import State, randomised_variable_threshold
from tests.strategies.stream.oracles import STREAMS, confidences, of_ours, of_peer


def peer_draws(seed: int) -> Iterator[Draws]:
    """Yield generators as the peer uses its own: it draws, sets back, and moves on by one."""
    shared = np.random.RandomState(seed)
    while True:
        ours = np.random.RandomState()
        ours.set_state(shared.get_state())
        yield cast("Draws", ours)
        shared.random_sample(1)


@STREAMS
def test_same_questions_as_scikit_activeml(kind: str, rate: float) -> None:
    utilities = 1 - confidences(kind)
    manager = RandomVariableUncertaintyBudgetManager(budget=rate, random_state=7)
    ours = of_ours("randomised_variable_threshold", utilities, rate, peer_draws(7))
    assert ours == of_peer(manager, utilities)


def test_same_questions_with_other_options() -> None:
    utilities = 1 - confidences("uniform")
    manager = RandomVariableUncertaintyBudgetManager(
        theta=0.5, s=0.05, delta=0.3, budget=0.2, random_state=1
    )
    ours = of_ours(
        "randomised_variable_threshold",
        utilities,
        0.2,
        peer_draws(1),
        threshold=0.5,
        step=0.05,
        spread=0.3,
    )
    assert ours == of_peer(manager, utilities)


def test_the_factor_blurs_the_threshold_but_does_not_move_it() -> None:
    state = State.start(0.1, 10, threshold=0.8, step=0.25)
    factor = float(np.random.default_rng(3).normal(1, 1.0))
    wish, after = randomised_variable_threshold(state, 0.5, np.random.default_rng(3))
    assert wish.threshold == 0.8 * factor
    assert wish.draws == (factor,)
    assert wish.ask == (wish.threshold > 0.5)
    assert after.threshold == pytest.approx(0.6 if wish.ask else 1.0)


def test_without_spread_it_is_the_variable_threshold() -> None:
    utilities = 1 - confidences("drift")
    rng = iter([np.random.default_rng(0)] * len(utilities))
    ours = of_ours("randomised_variable_threshold", utilities, 0.1, rng, spread=0.0)
    plain = of_ours("variable_threshold", utilities, 0.1, [np.random.default_rng(0)] * 4000)
    assert ours == plain


def test_asks_about_sure_items_now_and_then() -> None:
    sure = [0.99 if i % 2 else 0.3 for i in range(4000)]
    rng = np.random.default_rng(0)
    asked = of_ours("randomised_variable_threshold", 1 - np.array(sure), 0.1, [rng] * 4000)
    assert sum(asked[1::2]) > 20


def test_refuses_a_negative_spread() -> None:
    with pytest.raises(stream.StreamError, match="spread must be a number, at least 0"):
        State.start(0.1, 10, spread=-1)
