"""`least_confidence` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.pool import uncertainty_scores

from strategies.base import Pool
from strategies.pool.least_confidence import least_confidence, unconfidence


def test_by_hand() -> None:
    probs = np.array([[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    pool = Pool(np.array([10, 11, 12, 13]), probs=probs)
    selection = least_confidence(pool, 3, np.random.default_rng(0))
    assert selection.ids.tolist() == [11, 12, 13]
    np.testing.assert_allclose(selection.scores, [0.6, 0.5, 0.2])


def test_as_computed_one_by_one() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(5), 200)
    expected = [1 - max(row) for row in probs.tolist()]
    np.testing.assert_allclose(unconfidence(probs), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_as_scikit_activeml(classes: int) -> None:
    probs = np.random.default_rng(classes).dirichlet(np.full(classes, 0.5), 500)
    theirs = uncertainty_scores(probs, method="least_confident")
    pool = Pool(np.arange(500), probs=probs)
    selection = least_confidence(pool, 500, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=1e-12)
    single = Pool(np.arange(500), probs=probs.astype(np.float32))
    selection = least_confidence(single, 500, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=1e-6)
