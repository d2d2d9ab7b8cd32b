"""The balanced incremental quantile filter, by hand and against scikit-activeml."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skactiveml.stream.budgetmanager import BalancedIncrementalQuantileFilter

from strategies import stream
from strategies.stream.balanced_incremental_quantile import (
    State,
    balanced_incremental_quantile,
    quantile,
)
from tests.strategies.stream.oracles import (
    STREAMS,
    confidences,
    no_draws,
    of_ours,
    of_peer,
)

NAME = "balanced_incremental_quantile"


@STREAMS
def test_same_questions_as_scikit_activeml(kind: str, rate: float) -> None:
    peer_sees = 1 - (1 - (1 - confidences(kind)))  # the doubt as it comes out of our confidence
    manager = BalancedIncrementalQuantileFilter(budget=rate)
    expected = of_peer(manager, peer_sees, with_utilities=True)
    assert of_ours(NAME, 1 - confidences(kind), rate, no_draws()) == expected


def test_same_questions_with_other_options() -> None:
    utilities = 1 - (1 - (1 - confidences("uniform")))
    manager = BalancedIncrementalQuantileFilter(w=7, w_tol=20, budget=0.3)
    expected = of_peer(manager, utilities, with_utilities=True)
    assert of_ours(NAME, utilities, 0.3, no_draws(), window=7, tolerance=20) == expected


def test_by_hand() -> None:
    state = State(rate=0.5, window=3, tolerance=2, seen=3, asked=2, recent=(0.1, 0.5, 0.3))
    # the last three doubts are 0.5, 0.3, 0.75: median 0.5, range 0.45, 0.5 * 4 - 2 = 0 left
    wish, after = balanced_incremental_quantile(state, 0.25, np.random.default_rng(0))
    assert wish.ask
    assert wish.threshold == pytest.approx(0.5)
    assert (after.seen, after.asked, after.recent) == (4, 3, (0.5, 0.3, 0.75))
    # now 0.3, 0.75, 0.5: median 0.5, and half a question too many lifts it by 0.45 / 4
    wish, after = balanced_incremental_quantile(after, 0.5, np.random.default_rng(0))
    assert not wish.ask
    assert wish.threshold == pytest.approx(1 - (0.5 + 0.45 * 0.5 / 2))
    assert (after.seen, after.asked) == (5, 3)


def test_keeps_to_the_budget_closely() -> None:
    asked = of_ours(NAME, 1 - confidences("uniform"), 0.1, no_draws())
    assert np.mean(asked) == pytest.approx(0.1, abs=0.001)


def test_remembers_no_more_than_its_window() -> None:
    state = State.start(0.1, 2, window=5)
    rng = np.random.default_rng(0)
    for confidence in np.linspace(0, 1, 50).tolist():
        _, state = balanced_incremental_quantile(state, confidence, rng)
        assert len(state.recent) <= 5
    assert state.seen == 50


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=120),
    st.floats(0, 1),
)
def test_the_quantile_is_numpys_to_the_bit(values: list[float], share: float) -> None:
    assert quantile(sorted(values), share) == np.quantile(values, share)


@pytest.mark.parametrize("option", ["window", "tolerance"])
def test_refuses_a_window_of_nothing(option: str) -> None:
    with pytest.raises(stream.StreamError, match=f"{option} must be a number, at least 1"):
        State.start(0.1, 2, **{option: 0})
