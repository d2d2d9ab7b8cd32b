"""`density_weighted` by hand and by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strategies.base import Pool, needed
from strategies.pool.density_weighted import density_weighted, similarity
from strategies.pool.entropy import entropy
from tests.strategies.pools import make_pool


def test_by_hand() -> None:
    # three look east, one looks west: all equally uncertain, so the crowd is asked first
    vectors = np.array([[1.0, 0], [5.0, 0], [0.1, 0], [-1.0, 0]])
    pool = Pool(np.arange(4), probs=np.full((4, 2), 0.5), embeddings=vectors)
    selection = density_weighted(pool, 4, np.random.default_rng(0))
    assert selection.ids[3] == 3
    np.testing.assert_allclose(selection.scores, math.log(2) * np.array([0.75, 0.75, 0.75, 0.25]))


def test_as_computed_pair_by_pair() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [np.mean([(1 + a @ b) / 2 for b in unit]) for a in unit]
    np.testing.assert_allclose(similarity(vectors), expected, atol=1e-12)


@pytest.mark.parametrize("density", [0.5, 1.0, 3.0])
def test_scores_are_entropy_times_a_power_of_the_similarity(density: float) -> None:
    pool = make_pool(n=100)
    rng = np.random.default_rng(0)
    probs, vectors = needed(pool.probs), needed(pool.embeddings)
    expected = [
        -(row * np.log(row)).sum() * s**density
        for row, s in zip(probs, similarity(vectors), strict=True)
    ]
    selection = density_weighted(pool, 100, rng, density=density)
    np.testing.assert_allclose(selection.scores, sorted(expected, reverse=True), atol=1e-12)


def test_no_weight_on_density_is_entropy() -> None:
    pool = make_pool(n=100)
    weighed = density_weighted(pool, 30, np.random.default_rng(0), density=0)
    assert weighed.ids.tolist() == entropy(pool, 30, np.random.default_rng(0)).ids.tolist()
