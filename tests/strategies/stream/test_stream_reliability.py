"""What confidences are worth, and how many labels are wrong, from a sample that was checked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import beta

from strategies import stream
from strategies.stream import Reliability, count_wrong, fit_reliability
from strategies.stream.quality.reliability import comparable


def drawn(n: int, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences, and whether each is right: with `slope` times their log odds."""
    rng = np.random.default_rng(seed)
    sure = rng.beta(4, 1, n).clip(0.2, 0.9999)
    return sure, rng.random(n) < expit(slope * logit(sure))


def test_without_a_sample_confidences_are_taken_as_they_are() -> None:
    known = fit_reliability([], [])
    assert known == Reliability()
    assert known.chances([0.2, 0.9]).tolist() == [0.2, 0.9]
    assert known.confidence(0.95) == 0.95


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_finds_what_confidences_are_worth(slope: float) -> None:
    known = fit_reliability(*drawn(5_000, slope, 1))
    assert known.slope == pytest.approx(slope, rel=0.1)
    assert known.shift == pytest.approx(0, abs=0.15)
    assert known.n == 5_000
    assert known.chances(known.confidence(0.9)) == pytest.approx(0.9)


def test_a_handful_changes_little() -> None:
    known = fit_reliability([0.9, 0.95, 0.8], [True, True, True])
    assert np.abs(known.chances([0.8, 0.95]) - [0.8, 0.95]).max() < 0.1


def test_the_interval_is_clopper_pearsons_where_nothing_is_weighted() -> None:
    sure = np.full(40, 0.9)
    right = np.arange(40) >= 3
    found = count_wrong(np.full(10**7, 0.9), sure, right, reliability=Reliability())
    low, high = beta.ppf(0.025, 3, 38), beta.ppf(0.975, 4, 37)
    assert found.low == pytest.approx(low * 10**7, rel=1e-3)
    assert found.high == pytest.approx(high * 10**7, rel=1e-3)
    assert found.expected == pytest.approx(10**6)
    assert found.checked == 40


def test_nothing_checked_bounds_nothing() -> None:
    found = count_wrong([0.9, 0.8], [], [], reliability=Reliability(), scale=10)
    assert found.expected == pytest.approx(3)
    assert (found.low, found.high, found.checked) == (0, 20, 0)
    none = count_wrong([], [0.9], [True], reliability=Reliability())
    assert (none.expected, none.low, none.high) == (0, 0, 0)


def test_what_is_expected_lies_in_the_interval() -> None:
    found = count_wrong(
        np.full(100, 0.999), np.full(50, 0.999), np.zeros(50, bool), reliability=Reliability()
    )
    assert found.low > 80
    assert found.expected == found.low


def test_the_checked_weigh_as_the_labels_lie() -> None:
    labels = np.repeat([0.6, 0.9], [75, 25])
    checked = np.repeat([0.6, 0.9], [10, 30])
    weights = comparable(labels, checked)
    assert weights[:10].sum() == pytest.approx(0.75)
    assert weights[10:].sum() == pytest.approx(0.25)
    assert comparable(labels, [0.6, 0.9]).tolist() == [0.5, 0.5]  # too few for levels
    # what is less sure than every label is none of their kind
    assert comparable(labels, [0.5, 0.6, 0.9]).tolist() == [0, 0.5, 0.5]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([1.0, 2.5]),
)
def test_an_interval_is_one(
    labels: list[float], checked: list[tuple[float, bool]], scale: float
) -> None:
    sure, right = [p for p, _ in checked], [good for _, good in checked]
    assert comparable(labels, sure).sum() == pytest.approx(float(max(sure) >= min(labels)))
    known = fit_reliability(sure, right)
    assert (np.diff(known.chances(np.linspace(0, 1, 50))) >= 0).all()
    found = count_wrong(labels, sure, right, reliability=known, scale=scale)
    assert 0 <= found.low <= found.expected <= found.high <= len(labels) * scale


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    inside = expected = truth = 0.0
    for seed in range(200):
        pool, good = drawn(1_500, 0.6, seed)  # confidences promise too much
        sample, right = drawn(250, 0.6, 10_000 + seed)
        known = fit_reliability(sample, right)
        taken, alike = pool >= 0.85, sample >= 0.85
        found = count_wrong(pool[taken], sample[alike], right[alike], reliability=known)
        wrong = int(np.count_nonzero(~good & taken))
        inside += found.low <= wrong <= found.high
        expected += found.expected
        truth += wrong
    assert inside >= 184  # of 200 at 95 %, less three standard deviations
    assert expected == pytest.approx(truth, rel=0.1)
    # what confidences say of themselves would have been far off
    assert (1 - pool[taken]).sum() < 0.6 * wrong


def test_refuses_what_does_not_fit_together() -> None:
    with pytest.raises(stream.StreamError, match="as many answers"):
        fit_reliability([0.5], [])
    with pytest.raises(stream.StreamError, match="as many chances"):
        stream.forecast([0.5, 0.6], chances=[0.5])
