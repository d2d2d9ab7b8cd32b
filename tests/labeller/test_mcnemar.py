"""McNemar's exact test and the paired difference, by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from labeller.services import mcnemar


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 1), (3, 3), (10, 2), (2, 10), (0, 12), (57, 31), (900, 1100)]
)
def test_p_is_the_sign_test_of_scipy(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue
    assert mcnemar.exact_p(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_p_by_hand() -> None:
    assert mcnemar.exact_p(0, 0) == 1.0
    assert mcnemar.exact_p(5, 0) == pytest.approx(2 / 32)
    assert mcnemar.exact_p(1, 5) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar.exact_p(4, 4) == 1.0


def test_p_is_never_too_small_when_nothing_changed() -> None:
    for flipped in (1, 4, 9, 20, 51):
        k = np.arange(flipped + 1)
        p = np.array([mcnemar.exact_p(int(g), int(flipped - g)) for g in k])
        assert binom.pmf(k, flipped, 0.5)[p <= 0.05].sum() <= 0.05


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar.exact_p(-1, 2)
    with pytest.raises(ValueError, match="of 3"):
        mcnemar.difference_interval(2, 2, 3)


def test_the_interval_by_hand() -> None:
    # n = 8, one half in each cell: middle 2/10, variance (4 + 1)/10 - 0.04 = 0.46, over 10
    half = 1.959963985 * np.sqrt(0.046)
    assert mcnemar.difference_interval(3, 1, 8) == pytest.approx((0.2 - half, 0.2 + half))
    assert mcnemar.difference_interval(0, 0, 0) == (-1.0, 1.0)
    low, high = mcnemar.difference_interval(0, 0, 50)
    assert low == -high
    assert 0 < high < 0.06, "nothing flipped, yet the width is not nothing"


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    draws = rng.multinomial(60, [0.12, 0.06, 0.82], 2000)
    bounds = [mcnemar.difference_interval(int(g), int(v), 60) for g, v, _ in draws]
    held = np.mean([low <= 0.06 <= high for low, high in bounds])
    assert 0.94 <= held <= 0.98


def test_paired_counts_the_flips() -> None:
    before = np.array([1, 1, 0, 0, 0, 1], bool)
    after = np.array([1, 0, 1, 1, 0, 1], bool)
    found = mcnemar.paired(before, after)
    assert (found.n, found.gained, found.lost) == (6, 2, 1)
    assert found.difference == pytest.approx(1 / 6)
    assert found.p_value == 1.0
    assert (found.low, found.high) == mcnemar.difference_interval(2, 1, 6)
    told = found.as_json()
    assert told["interval"] == [found.low, found.high]
    assert told["significant"] is False


def test_nothing_to_compare_is_no_difference() -> None:
    nothing = np.empty(0, bool)
    found = mcnemar.paired(nothing, nothing)
    assert (found.n, found.difference, found.p_value) == (0, 0.0, 1.0)
    with pytest.raises(ValueError, match="one answer per item"):
        mcnemar.paired(nothing, np.ones(2, bool))
