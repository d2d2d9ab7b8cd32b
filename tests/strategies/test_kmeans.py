"""k-means finds what scikit-learn's finds, in any degenerate case."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from strategies import kmeans as module
from strategies.kmeans import assign, kmeans


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    return float((np.linalg.norm(points[:, None] - centres[None], axis=2).min(axis=1) ** 2).sum())


def test_blobs_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(6), 50)
    points = 10 * np.eye(6)[truth] + rng.normal(size=(300, 6))
    for seed in range(10):
        clusters = kmeans(points, 6, np.random.default_rng(seed))
        pairs = set(zip(truth.tolist(), clusters.labels.tolist(), strict=True))
        assert len(pairs) <= 8  # a perfect clustering has 6; one bad seed splits and merges a blob


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_tight_as_scikit_learn(dtype: type) -> None:
    points: np.ndarray = np.random.default_rng(0).normal(size=(1500, 8)).astype(dtype)
    theirs = KMeans(40, n_init=1, random_state=0).fit(points)
    ours = [inertia(points, kmeans(points, 40, np.random.default_rng(s)).centres) for s in range(5)]
    assert np.mean(ours) < 1.03 * theirs.inertia_


def test_assign_finds_the_nearest_centre() -> None:
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(200, 5)), rng.normal(size=(13, 5))
    labels, squared = assign(points, centres)
    apart = ((points[:, None] - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(labels, apart.argmin(axis=1))
    np.testing.assert_allclose(squared, apart.min(axis=1), atol=1e-12)


def test_weights_pull() -> None:
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    weights = np.array([1.0, 3.0, 1.0, 0.0])
    for seed in range(5):
        clusters = kmeans(points, 2, np.random.default_rng(seed), weights)
        assert sorted(clusters.centres[:, 0].tolist()) == pytest.approx([0.75, 10.0])


def test_more_clusters_than_points() -> None:
    clusters = kmeans(np.arange(3.0)[:, None], 9, np.random.default_rng(0))
    assert sorted(clusters.labels.tolist()) == [0, 1, 2]


def test_fewer_different_points_than_clusters() -> None:
    points = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0]]), 20, axis=0)
    clusters = kmeans(points, 7, np.random.default_rng(0))
    assert len(clusters.centres) == 7
    assert np.isfinite(clusters.centres).all()
    np.testing.assert_allclose(points, clusters.centres[clusters.labels])


def test_many_points_are_sampled_for_the_centres_and_all_assigned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POINTS_PER_CLUSTER", 20)
    rng = np.random.default_rng(0)
    points = 10 * np.eye(4)[np.repeat(np.arange(4), 1000)] + rng.normal(size=(4000, 4))
    clusters = kmeans(points, 4, np.random.default_rng(1))
    assert clusters.labels.shape == (4000,)
    np.testing.assert_array_equal(clusters.labels, assign(points, clusters.centres)[0])
    assert inertia(points, clusters.centres) < 1.1 * 4 * 4000


def test_same_generator_same_clusters() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3))
    first, second = (kmeans(points, 9, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.centres, second.centres)
