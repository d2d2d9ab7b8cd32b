"""`vote_entropy` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from skactiveml.pool import vote_entropy as their_vote_entropy

from strategies.base import Pool
from strategies.pool.vote_entropy import division, vote_entropy


def test_by_hand() -> None:
    one, other = [0.6, 0.4], [0.1, 0.9]
    samples = np.array([[one] * 4, [one, one, other, other], [one, other, other, other]])
    pool = Pool(np.array([7, 8, 9]), mc_probs=samples.transpose(1, 0, 2))
    selection = vote_entropy(pool, 3, np.random.default_rng(0))
    assert selection.ids.tolist() == [8, 9, 7]
    three_to_one = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    np.testing.assert_allclose(selection.scores, [math.log(2), three_to_one, 0], atol=1e-15)


def test_as_computed_one_by_one() -> None:
    samples = np.random.default_rng(0).dirichlet(np.ones(4), size=(7, 60))
    expected = []
    for item in range(60):
        votes = Counter(int(row.argmax()) for row in samples[:, item])
        expected.append(-sum(n / 7 * math.log(n / 7) for n in votes.values()))
    np.testing.assert_allclose(division(samples), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_as_scikit_activeml(classes: int) -> None:
    samples = np.random.default_rng(0).dirichlet(np.full(classes, 0.5), size=(9, 200))
    theirs = their_vote_entropy(samples.argmax(axis=2).T, np.arange(classes))
    np.testing.assert_allclose(division(samples), theirs, atol=1e-12)
