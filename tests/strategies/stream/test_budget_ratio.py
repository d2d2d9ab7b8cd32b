"""The budget ratio: the least sure of all that pass, known before or learnt on the way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import stream
from strategies.stream import StreamState
from strategies.stream.budget_ratio import BINS, USUAL, State, budget_ratio
from tests.strategies.stream.oracles import confidences, no_draws, of_ours

NAME = "budget_ratio"


def asked(
    sure: np.ndarray, labels: int, known: np.ndarray | None = None, items: int | None = None
) -> tuple[list[int], StreamState]:
    """Return the places that are asked about, and the last state."""
    state = stream.start(
        NAME,
        labels_left=labels,
        items_expected=len(sure) if items is None else items,
        accept_from=[stream.NEVER],
        coming=sure if known is None else known,
    )
    places = []
    coming = [(place, 0, float(one)) for place, one in enumerate(sure)]
    for place, decision, state in stream.run(state, coming):  # noqa: B007, B020
        if decision.outcome is stream.Outcome.ASK:
            places.append(place)
            assert decision.threshold is not None
            assert decision.confidence <= decision.threshold
    return places, state


def test_by_hand() -> None:
    # two labels for four items: the two least sure, 0.2 and 0.5, however they come
    begun = State.start(0.5, 2).expecting([0.9, 0.2, 0.7, 0.5], 2, 4)
    assert [n for n in begun.coming if n] == [1, 1, 1, 1]
    wish, after = budget_ratio(begun, 0.9, next(iter(no_draws())))
    assert (wish.ask, wish.threshold) == (False, 0.48)  # two of four: up to the bin of 0.5
    assert (after.labels, after.items, sum(after.coming)) == (2, 3, 3)
    wish, after = budget_ratio(after, 0.2, next(iter(no_draws())))
    assert wish.ask
    assert (after.labels, after.items) == (1, 2)
    wish, after = budget_ratio(after, 0.7, next(iter(no_draws())))
    assert not wish.ask
    wish, after = budget_ratio(after, 0.5, next(iter(no_draws())))
    assert (wish.ask, wish.threshold) == (True, 1.0)  # a label for each that is left
    assert (after.labels, after.items, after.surprises) == (0, 0, 0)
    assert sum(after.passed) == 4


@pytest.mark.parametrize("kind", ["uniform", "sure", "drift"])
@pytest.mark.parametrize("labels", [10, 80, 1_500])
def test_asks_about_the_least_sure_of_a_known_pool(kind: str, labels: int) -> None:
    sure = confidences(kind, 2_000)
    places, _ = asked(sure, labels)
    least = set(np.argsort(sure)[:labels].tolist())
    assert len(places) == labels
    assert len(least & set(places)) >= 0.97 * labels
    rest = np.setdiff1d(np.arange(len(sure)), places)
    assert np.median(sure[places]) < sure[rest].min() + 0.01  # nothing less sure went by


@pytest.mark.parametrize("kind", ["uniform", "sure"])
def test_learns_from_what_passes_when_nothing_is_known(kind: str) -> None:
    sure = confidences(kind, 2_000)
    places, _ = asked(sure, 200, known=np.empty(0))
    least = set(np.argsort(sure)[:200].tolist())
    assert len(places) == 200
    assert len(least & set(places)) > 150  # by chance 20


def test_gives_up_what_it_expected_where_the_stream_is_another() -> None:
    sure = confidences("uniform", 2_000)
    places, last = asked(sure, 200, known=0.99 + 0.01 * confidences("uniform", 500))
    least = set(np.argsort(sure)[:200].tolist())
    assert len(least & set(places)) > 120
    assert isinstance(last.rule, State)
    assert last.rule.surprises > 1_000


def test_equal_items_are_asked_about_evenly() -> None:
    places, _ = asked(np.full(1_000, 0.7), 50)
    assert len(places) == 50
    assert set(np.diff(places).tolist()) <= {19, 20, 21}


def test_keeps_its_share_when_more_items_come_than_were_expected() -> None:
    sure = confidences("uniform", 3_000)
    state = stream.start(
        NAME, labels_left=10**6, items_expected=10**7, accept_from=[stream.NEVER], coming=()
    )
    count = 0
    for _, decision, _ in stream.run(state, ((0, 0, float(one)) for one in sure)):
        count += decision.outcome is stream.Outcome.ASK
    assert count == pytest.approx(300, abs=30)
    assert np.mean(of_ours(NAME, 1 - sure, 0.1, no_draws())) == pytest.approx(0.1, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=80),
    st.integers(0, 90),
    st.lists(st.floats(0, 1, allow_subnormal=False), max_size=30),
)
def test_spends_all_labels_on_the_pool_that_was_known(
    sure: list[float], labels: int, others: list[float]
) -> None:
    values = np.array(sure)
    places, last = asked(values, labels)
    assert len(places) == min(labels, len(sure))
    assert isinstance(last.rule, State)
    assert len(last.rule.edges) <= BINS + len(USUAL)
    again = StreamState.from_json(json.loads(json.dumps(last.to_json(), allow_nan=False)))
    assert again == last
    cut, _ = asked(values, labels, known=np.array(others))  # whatever was believed before
    assert len(cut) <= labels


@pytest.mark.parametrize(
    "damage", [{"edges": (0.5,)}, {"coming": (1,)}, {"credit": 2}, {"labels": -1}, {"rate": 1.5}]
)
def test_refuses_a_state_that_cannot_be(damage: dict[str, object]) -> None:
    values = {"rate": 0.1, "labels": 1.0, "items": 9.0}
    rows = {"edges": (0.5, 1.0), "coming": (1.0, 2.0), "passed": (0, 0)}
    with pytest.raises(stream.StreamError):
        State(**{**values, **rows, **damage})  # type: ignore[arg-type]
