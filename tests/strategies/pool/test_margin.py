"""`margin` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.pool import uncertainty_scores

from strategies.base import Pool
from strategies.pool.margin import closeness, margin


def test_by_hand() -> None:
    probs = np.array([[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    pool = Pool(np.array([10, 11, 12, 13]), probs=probs)
    selection = margin(pool, 3, np.random.default_rng(0))
    assert selection.ids.tolist() == [12, 11, 13]
    np.testing.assert_allclose(selection.scores, [1.0, 0.9, 0.4])


def test_a_single_class_leaves_nothing_to_choose_by() -> None:
    assert closeness(np.ones((3, 1))).tolist() == [0, 0, 0]


def test_as_computed_one_by_one() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(5), 200)
    expected = []
    for row in probs.tolist():
        second, first = sorted(row)[-2:]
        expected.append(1 - (first - second))
    np.testing.assert_allclose(closeness(probs), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_as_scikit_activeml(classes: int) -> None:
    probs = np.random.default_rng(classes).dirichlet(np.full(classes, 0.5), 500)
    theirs = uncertainty_scores(probs, method="margin_sampling")
    pool = Pool(np.arange(500), probs=probs)
    selection = margin(pool, 500, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=1e-12)
    single = Pool(np.arange(500), probs=probs.astype(np.float32))
    selection = margin(single, 500, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=1e-6)


def test_the_same_in_blocks_as_in_one_piece() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(10), 50_000)
    selection = margin(Pool(np.arange(50_000), probs=probs), 50_000, np.random.default_rng(0))
    np.testing.assert_array_equal(selection.scores, closeness(probs)[selection.ids])
