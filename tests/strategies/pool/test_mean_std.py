"""`mean_std` by hand and by brute force."""

from __future__ import annotations

import statistics

import numpy as np

from strategies.base import Pool
from strategies.pool.mean_std import mean_std, spread


def test_by_hand() -> None:
    still = [[0.6, 0.4], [0.6, 0.4]]
    opposite = [[1.0, 0.0], [0.0, 1.0]]
    moving = [[0.7, 0.3], [0.5, 0.5]]
    samples = np.array([still, opposite, moving]).transpose(1, 0, 2)
    selection = mean_std(Pool(np.array([7, 8, 9]), mc_probs=samples), 3, np.random.default_rng(0))
    assert selection.ids.tolist() == [8, 9, 7]
    np.testing.assert_allclose(selection.scores, [0.5, 0.1, 0], atol=1e-15)


def test_as_computed_one_by_one() -> None:
    samples = np.random.default_rng(0).dirichlet(np.ones(4), size=(6, 50))
    expected = [
        sum(statistics.pstdev(samples[:, item, c].tolist()) for c in range(4)) / 4
        for item in range(50)
    ]
    np.testing.assert_allclose(spread(samples), expected, atol=1e-12)
