"""Expected questions and errors, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import stream

probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.7, 0.9, 1.0]))


def test_by_hand() -> None:
    curve = stream.forecast([0.9, 0.6, 0.8, 0.6], [0.0, 0.6, 0.7, 0.95])
    assert curve.questions.tolist() == [0, 0, 2, 4]
    assert curve.generated.tolist() == [4, 4, 2, 0]
    np.testing.assert_allclose(curve.errors, [1.1, 1.1, 0.3, 0], atol=1e-12)
    np.testing.assert_allclose(curve.error_rates, [0.275, 0.275, 0.15, 0], atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(probabilities, max_size=40))
def test_against_sums(confidences: list[float]) -> None:
    curve = stream.forecast(confidences)
    assert len(curve.thresholds) == 101
    for i, threshold in enumerate(curve.thresholds):
        accepted = [p for p in confidences if p >= threshold]
        assert curve.generated[i] == len(accepted)
        assert curve.questions[i] == len(confidences) - len(accepted)
        assert curve.errors[i] == pytest.approx(sum(1 - p for p in accepted), abs=1e-9)
        rate = sum(1 - p for p in accepted) / len(accepted) if accepted else 0
        assert curve.error_rates[i] == pytest.approx(rate, abs=1e-9)


def test_agrees_with_the_fixed_threshold_when_labels_abound() -> None:
    rng = np.random.default_rng(0)
    confidences = rng.beta(3, 1, 500)
    state = stream.start(
        "fixed_threshold",
        labels_left=1000,
        items_expected=500,
        accept_from=[0.6],
        options={"threshold": 0.6},
    )
    coming = [(i, 0, float(p)) for i, p in enumerate(confidences)]
    *_, (_, _, last) = stream.run(state, coming)
    curve = stream.forecast(confidences, [0.6])
    assert (last.asked, last.accepted) == (curve.questions[0], curve.generated[0])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(probabilities, st.integers(0, 2)), max_size=40),
    st.sampled_from([0.0, 0.05, 0.2, 0.5]),
)
def test_acceptance_thresholds_against_trying_them_all(
    items: list[tuple[float, int]], error: float
) -> None:
    confidences, predicted = [p for p, _ in items], np.array([c for _, c in items], int)
    found = stream.acceptance_thresholds(confidences, predicted, 3, error)
    for column in range(3):
        own = [p for p, c in items if c == column]
        allowed = [
            t for t in own if sum(1 - p for p in own if p >= t) <= error * sum(p >= t for p in own)
        ]
        expected = min(allowed, default=stream.NEVER)
        if found[column] != expected:  # only where rounding decides
            accepted = [p for p in own if p >= min(found[column], expected)]
            assert sum(1 - p for p in accepted) / len(accepted) == pytest.approx(error, abs=1e-12)


def test_a_class_that_is_never_sure_is_never_accepted() -> None:
    found = stream.acceptance_thresholds([0.99, 0.98, 0.4], [0, 0, 1], 3, 0.05)
    assert found == (0.98, stream.NEVER, stream.NEVER)


def test_refuses_what_are_no_confidences() -> None:
    for wrong in ([0.5, 1.5], [[0.5]], [float("nan")]):
        with pytest.raises(stream.StreamError, match="probabilities"):
            stream.forecast(wrong)
    with pytest.raises(stream.StreamError, match="must be 0 to 1"):
        stream.acceptance_thresholds([0.5], [2], 2, 0.1)
    with pytest.raises(stream.StreamError, match="as many predictions"):
        stream.acceptance_thresholds([0.5], [1, 1], 2, 0.1)
