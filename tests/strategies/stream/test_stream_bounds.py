"""The bounds on wrong generated labels, against the binomial distribution itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from strategies.stream import StreamError
from strategies.stream.quality.bounds import audits_needed, error_bound, error_bounds


@pytest.mark.parametrize("audited", [1, 7, 59, 300])
def test_at_the_bound_so_few_errors_are_as_rare_as_the_level_says(audited: int) -> None:
    for wrong in {0, 1, audited // 2, audited - 1}:
        if wrong == audited:
            continue
        upper = error_bound(wrong, audited).upper
        tail = sum(
            math.comb(audited, k) * upper**k * (1 - upper) ** (audited - k)
            for k in range(wrong + 1)
        )
        assert tail == pytest.approx(0.05, abs=1e-9)
        assert upper == pytest.approx(stats.beta.ppf(0.95, wrong + 1, audited - wrong))


def test_no_error_in_59_and_in_299() -> None:
    assert error_bound(0, 58).upper > 0.05 > error_bound(0, 59).upper
    assert error_bound(0, 298).upper > 0.01 > error_bound(0, 299).upper
    assert (audits_needed(0.05), audits_needed(0.01)) == (59, 299)
    assert audits_needed(0.5, level=0.5) == 1  # exactly


def test_the_ends() -> None:
    assert error_bound(0, 0).upper == 1
    assert error_bound(3, 3).upper == 1
    assert (error_bound(1, 4).rate, error_bound(0, 0).rate) == (0.25, 0)


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for true in (0.02, 0.1):
        wrong = rng.binomial(120, true, 4000)
        held = [error_bound(int(w), 120).upper >= true for w in wrong]
        assert np.mean(held) >= 0.94


def test_by_generated_class() -> None:
    generated = [0, 0, 0, 1, 1, 3]
    truth = [0, 1, 2, 1, 1, 0]
    bounds = error_bounds(generated, truth, 4)
    assert [(b.audited, b.wrong) for b in bounds] == [(3, 2), (2, 0), (0, 0), (1, 1)]
    assert bounds[1] == error_bound(0, 2)


def test_refuses_what_cannot_be() -> None:
    for wrong, audited, level in ((2, 1, 0.95), (-1, 5, 0.95), (0, 5, 1.0)):
        with pytest.raises(StreamError, match="no bound"):
            error_bound(wrong, audited, level)
    with pytest.raises(StreamError, match="as many answers"):
        error_bounds([0], [0, 1], 2)
    with pytest.raises(StreamError, match="0 to 1"):
        error_bounds([2], [1], 2)
    with pytest.raises(StreamError, match="No number of audits"):
        audits_needed(0)
