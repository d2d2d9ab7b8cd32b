"""`energy` by hand and by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from strategies.base import Pool
from strategies.pool.energy import energy, free_energy


def test_by_hand() -> None:
    # the softmax of the first two is the same; the second has ten less of everything
    logits = np.array([[12.0, 10.0], [2.0, 0.0], [11.0, 11.0]])
    selection = energy(Pool(np.array([7, 8, 9]), logits=logits), 3, np.random.default_rng(0))
    assert selection.ids.tolist() == [8, 9, 7]
    expected = [-math.log(math.exp(2) + 1), -11 - math.log(2), -10 - math.log(math.exp(2) + 1)]
    np.testing.assert_allclose(selection.scores, expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_as_scipy(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(scale=30, size=(300, 7))
    expected = -temperature * logsumexp(logits / temperature, axis=1)
    np.testing.assert_allclose(free_energy(logits, temperature), expected, rtol=1e-12)
    pool = Pool(np.arange(300), logits=logits)
    selection = energy(pool, 300, np.random.default_rng(0), temperature=temperature)
    np.testing.assert_allclose(selection.scores, np.sort(expected)[::-1], rtol=1e-12)


def test_large_logits_do_not_overflow() -> None:
    assert free_energy(np.array([[5000.0, 4999.0]]))[0] == pytest.approx(-5000.3132617)
