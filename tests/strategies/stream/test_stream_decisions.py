"""Three outcomes, the hard cap, going on after a stop, and deciding again from the log."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import registry, stream
from strategies.base import StrategyError
from strategies.stream import Decision, Outcome, StreamState
from strategies.stream.machine.rule import rule_called
from tests.strategies.pools import make_pool

NAMES = registry.names("stream")
every_strategy = pytest.mark.parametrize("name", NAMES)
streams = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0, 1, allow_subnormal=False)), max_size=150
)
limits = st.lists(st.one_of(st.floats(0, 1), st.just(stream.NEVER)), min_size=3, max_size=3)


def begin(name: str, **changes: Any) -> StreamState:
    state = stream.start(
        name, labels_left=30, items_expected=200, accept_from=[0.9, 0.7, stream.NEVER], seed=4
    )
    return dataclasses.replace(state, **changes) if changes else state


def arrivals(n: int = 400, seed: int = 0) -> list[tuple[int, int, float]]:
    rng = np.random.default_rng(seed)
    classes, sure = rng.integers(0, 3, n).tolist(), rng.beta(4, 1, n).tolist()
    return list(zip(range(100, 100 + n), classes, sure, strict=True))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(NAMES),
    streams,
    st.integers(0, 40),
    st.integers(0, 300),
    limits,
    st.integers(0, 9),
)
def test_the_cap_holds_and_no_item_is_lost(
    name: str,
    items: list[tuple[int, float]],
    left: int,
    expected: int,
    accept_from: list[float],
    seed: int,
) -> None:
    state = stream.start(
        name, labels_left=left, items_expected=expected, accept_from=accept_from, seed=seed
    )
    coming = iter([(number, *item) for number, item in enumerate(items)])
    outcomes: list[Outcome] = []
    for number, decision, state in stream.run(state, coming):  # noqa: B007, B020
        assert number == decision.position == len(outcomes)
        outcomes.append(decision.outcome)
        if decision.outcome is Outcome.ACCEPT:
            assert decision.confidence >= accept_from[decision.predicted]
        if decision.outcome is Outcome.DEFER:
            assert decision.confidence < accept_from[decision.predicted]
    unreached = len(list(coming))
    counts = [outcomes.count(outcome) for outcome in Outcome]
    assert counts == [state.asked, state.accepted, state.deferred]
    assert sum(counts) + unreached == len(items)
    assert state.asked <= left
    assert state.left == left - state.asked
    assert unreached == 0 or state.asked == left


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(NAMES), streams, st.lists(st.integers(0, 150), max_size=4), st.integers(0, 9)
)
def test_a_stop_at_any_point_changes_nothing(
    name: str, items: list[tuple[int, float]], stops: list[int], seed: int
) -> None:
    coming = [(number, *item) for number, item in enumerate(items)]
    state = begin(name, seed=seed)
    whole = [decision for _, decision, _ in stream.run(state, coming)]
    parts: list[Decision] = []
    for low, high in itertools.pairwise([0, *sorted(stops), 10**6]):
        kept = json.dumps(state.to_json(), allow_nan=False)
        state = StreamState.from_json(json.loads(kept))
        for _, decision, state in stream.run(state, coming[low:high]):  # noqa: B007, B020
            parts.append(decision)
    assert parts == whole


@every_strategy
def test_the_log_decides_the_same_again(name: str) -> None:
    state, last = begin(name), begin(name)
    log = []
    for _, decision, last in stream.run(state, arrivals()):  # noqa: B007
        log.append(json.dumps(decision.to_json(), allow_nan=False))
    assert len(log) > 30
    decisions = [Decision.from_json(json.loads(line)) for line in log]
    assert stream.replay(state, decisions) == last
    forged = dataclasses.replace(decisions[20], spent=decisions[20].spent + 1e-9)
    with pytest.raises(stream.ReplayError, match=r"Item 20 of the stream: the log says spent"):
        stream.replay(state, [*decisions[:20], forged])
    sure = dataclasses.replace(decisions[0], outcome=Outcome.ACCEPT, confidence=0.0, draws=(9.0,))
    with pytest.raises(stream.ReplayError, match=r"Item 0 .* the log says outcome accept not"):
        stream.replay(state, [sure])


def test_a_log_without_its_draws_cannot_be_replayed() -> None:
    state = begin("split")
    decisions = [decision for _, decision, _ in stream.run(state, arrivals(3))]
    bare = dataclasses.replace(decisions[0], draws=())
    with pytest.raises(stream.ReplayError, match="lacks a random number"):
        stream.replay(state, [bare])


def test_ask_accept_defer_by_hand() -> None:
    state = stream.start(
        "fixed_threshold",
        labels_left=2,
        items_expected=2,
        accept_from=[0.9, 0.6, stream.NEVER],
        options={"threshold": 0.5},
    )
    seen = [(0, 0.9), (0, 0.89), (1, 0.6), (2, 1.0), (1, 0.5), (1, 0.51), (0, 0.2), (0, 0.99)]
    coming = [(i, *item) for i, item in enumerate(seen)]
    outcomes = [decision.outcome.value for _, decision, _ in stream.run(state, coming)]
    # the last one is not reached: both labels are spent
    assert outcomes == ["accept", "defer", "accept", "defer", "ask", "defer", "ask"]


def test_a_shut_budget_asks_nothing_and_accepts_all_the_same() -> None:
    shut = stream.BudgetEstimate(0.1, spent=10.0)
    state = begin("variable_threshold", budget=shut)
    rng = np.random.default_rng(0)
    decision, after = stream.decide(state, 1, 0.75, rng)
    assert (decision.outcome, decision.threshold, decision.draws) == (Outcome.ACCEPT, None, ())
    assert decision.accept_from == 0.7
    assert after.rule == state.rule
    assert after.budget.spent == pytest.approx(9.9)
    decision, _ = stream.decide(state, 1, 0.2, rng)
    assert decision.outcome is Outcome.DEFER


def test_the_hard_cap_holds_where_the_soft_budget_does_not() -> None:
    state = begin("balanced_incremental_quantile")  # equal items: it would ask about each
    outcomes = [d.outcome for _, d, _ in stream.run(state, [(i, 0, 0.4) for i in range(100)])]
    assert outcomes == [Outcome.ASK] * 30


def test_nothing_is_taken_beyond_the_last_label() -> None:
    coming = iter([(i, 0, 0.1) for i in range(10)])
    state = stream.start("fixed_threshold", labels_left=3, items_expected=3, accept_from=[1.0])
    assert len(list(stream.run(state, coming))) == 3
    assert next(coming)[0] == 3
    finished = dataclasses.replace(state, left=0)
    assert list(stream.run(finished, coming)) == []
    assert next(coming)[0] == 4
    with pytest.raises(stream.StreamFinished, match="are spent"):
        stream.decide(finished, 0, 0.1, np.random.default_rng(0))


def test_every_item_has_random_numbers_of_its_own() -> None:
    numbers = {(s, p): stream.ItemDraws(s, p).random() for s in range(9) for p in range(99)}
    assert len(set(numbers.values())) == len(numbers)
    assert abs(np.mean(list(numbers.values())) - 0.5) < 0.05
    draws = stream.ItemDraws(3, 7)
    assert draws.random() == numbers[3, 7]
    assert draws.random() != numbers[3, 7]


@every_strategy
def test_memory_does_not_grow_with_the_stream(name: str) -> None:
    def endless() -> Iterator[tuple[int, int, float]]:
        rng = np.random.default_rng(0)
        for i in itertools.count():
            yield i, i % 3, float(rng.random())

    going = stream.run(begin(name, left=10**9), endless())
    for _ in itertools.islice(going, 300):
        pass
    tracemalloc.start()
    try:
        for _ in itertools.islice(going, 3000):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@every_strategy
def test_numbers_from_arrays_end_as_json(name: str) -> None:
    state = begin(name)
    rng = np.random.default_rng(0)
    predicted, confidence = cast("int", np.int64(1)), cast("float", np.float32(0.3))
    decision, state = stream.decide(state, predicted, confidence, rng)
    json.dumps([decision.to_json(), state.to_json()], allow_nan=False)


@every_strategy
def test_is_registered_as_a_stream_strategy(name: str) -> None:
    info = registry.get(name)
    assert info.family == "stream"
    assert info is rule_called(name)
    assert info.summary.endswith(".")
    assert "20" in info.reference
    with pytest.raises(StrategyError, match=f"{name} is a stream strategy and picks from no pool"):
        info(make_pool(), 3, np.random.default_rng(0))


def test_a_name_of_another_family_is_unknown_to_a_stream() -> None:
    with pytest.raises(registry.UnknownStrategy, match=r"Unknown strategy 'margin'.*split"):
        stream.start("margin", labels_left=1, items_expected=1, accept_from=[1.0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"labels_left": -1}, "cannot be|can be fewer"),
        ({"accept_from": []}, "at least one class"),
        ({"accept_from": [0.5, float("nan")]}, "Each class needs a confidence"),
        ({"options": {"treshold": 0.5}}, "has no option treshold. Its options: threshold"),
    ],
)
def test_refuses_a_start_that_cannot_be(changes: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {
        "labels_left": 3,
        "items_expected": 9,
        "accept_from": [0.5, 0.5],
        **changes,
    }
    with pytest.raises(stream.StreamError, match=text):
        stream.start("fixed_threshold", **given)


@pytest.mark.parametrize(
    ("predicted", "confidence"), [(3, 0.5), (-1, 0.5), (0, 1.01), (0, float("nan"))]
)
def test_refuses_an_item_that_cannot_be(predicted: int, confidence: float) -> None:
    with pytest.raises(stream.StreamError, match=r"There is no class|must be a probability"):
        stream.decide(begin("split"), predicted, confidence, np.random.default_rng(0))


@pytest.mark.parametrize(
    "damage",
    [
        {"rule": {"speed": 3}},
        {"left": -2},
        {"budget": {"rate": 7}},
        {"accept_from": [-1]},
        {"more": 1},
    ],
)
def test_refuses_a_record_that_is_no_state(damage: dict[str, object]) -> None:
    with pytest.raises(stream.StreamError):
        StreamState.from_json({**begin("split").to_json(), **damage})
    with pytest.raises(stream.StreamError):
        StreamState.from_json({})
    with pytest.raises(stream.StreamError):
        Decision.from_json({"outcome": "perhaps"})
