"""`entropy` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skactiveml.pool import uncertainty_scores

from strategies.base import Pool
from strategies.pool.entropy import entropy, shannon


def test_by_hand() -> None:
    probs = np.array([[1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]])
    selection = entropy(Pool(np.array([10, 11, 12]), probs=probs), 3, np.random.default_rng(0))
    assert selection.ids.tolist() == [11, 12, 10]
    np.testing.assert_allclose(selection.scores, [math.log(4), math.log(2), 0], atol=1e-15)


def test_as_computed_one_by_one() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(5), 200)
    expected = [-sum(p * math.log(p) for p in row if p > 0) for row in probs.tolist()]
    np.testing.assert_allclose(shannon(probs), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_as_scikit_activeml(classes: int) -> None:
    probs = np.random.default_rng(classes).dirichlet(np.full(classes, 0.5), 500)
    theirs = uncertainty_scores(probs, method="entropy")
    selection = entropy(Pool(np.arange(500), probs=probs), 500, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=1e-12)
    single = Pool(np.arange(500), probs=probs.astype(np.float32))
    selection = entropy(single, 500, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=2e-6)
