"""`typiclust` by hand, against the paper's loop, and against scikit-activeml's typicality."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.pool._typi_clust import _typicality

from strategies.base import Pool
from strategies.pool import typiclust as module
from strategies.pool.typiclust import pick_typical, typicality, typiclust

NOTHING = np.empty(0, np.int64)


def wheel(spokes: int, radius: float, x: float) -> np.ndarray:
    """A hub at (x, 0) and so many points around it."""
    angles = 2 * np.pi * np.arange(spokes) / spokes
    rim = np.column_stack([np.cos(angles), np.sin(angles)])
    points: np.ndarray = np.vstack([np.zeros(2), radius * rim]) + np.array([x, 0])
    return points


def test_by_hand() -> None:
    vectors = np.concatenate([wheel(5, 1.0, 0), wheel(7, 0.5, 10)])
    clusters = np.array([1] * 6 + [0] * 8)
    rows, scores = pick_typical(vectors, clusters, NOTHING, 2, np.random.default_rng(0))
    assert rows.tolist() == [6, 0]  # the hub of the larger cluster first
    np.testing.assert_allclose(scores, [2, 1], rtol=1e-6)  # one over the radius
    rows, _ = pick_typical(vectors, clusters, np.array([0]), 1, np.random.default_rng(0))
    assert rows.tolist() == [0]  # cluster 0 has a label already


def reference(
    vectors: np.ndarray, clusters: np.ndarray, covered: np.ndarray, k: int
) -> tuple[list[int], list[float]]:
    """The loop of the authors' `select_samples`, for clusters that hold enough items."""
    count = np.bincount(clusters).astype(int)
    labels = np.bincount(covered, minlength=len(count)).astype(int)
    size = count + labels
    order = [c for c in np.lexsort((-size, labels)) if size[c] > 5]
    clusters, rows, scores = clusters.copy(), [], []
    for turn in range(k):
        inside = np.flatnonzero(clusters == order[turn % len(order)])
        assert len(inside) > 1
        apart = np.linalg.norm(vectors[inside, None] - vectors[None, inside], axis=2)
        neighbours = min(20, len(inside) // 2)
        means = np.sort(apart, axis=1)[:, 1 : neighbours + 1].mean(axis=1)
        rows.append(int(inside[means.argmin()]))
        scores.append(1 / means.min())
        clusters[rows[-1]] = -1
    return rows, scores


@pytest.mark.parametrize("seed", range(8))
def test_as_in_the_paper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(300, 4))
    clusters = rng.permutation(np.repeat(np.arange(6), [100, 75, 60, 36, 25, 4]))
    covered = rng.integers(5, size=seed)
    rows, scores = pick_typical(vectors, clusters, covered, 40, rng)
    expected_rows, expected_scores = reference(vectors, clusters, covered, 40)
    # clusters of equal rank come in random order: the same picks, turn by turn
    assert sorted(rows.tolist()) == sorted(expected_rows)
    np.testing.assert_allclose(np.sort(scores), np.sort(expected_scores), rtol=1e-5)


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_typicality_as_scikit_activeml(neighbours: int) -> None:
    vectors = np.random.default_rng(neighbours).normal(size=(80, 6))
    theirs = _typicality(vectors, np.arange(80), neighbours)
    ours, nearest = typicality(vectors, neighbours)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    expected = np.argsort(apart, axis=1)[:, 1 : neighbours + 1]
    np.testing.assert_array_equal(np.sort(nearest, axis=1), np.sort(expected, axis=1))


def test_duplicates_are_the_most_typical_of_all() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    vectors[10:20] = vectors[10]
    typical, _ = typicality(vectors, 5)
    assert typical[10:20].min() > 1e6 > typical[:10].max()


def test_a_cold_start_takes_one_item_of_every_blob() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(12)[:10] * 4
    blob = np.repeat(np.arange(10), 40)
    vectors = (centres[blob] + rng.normal(scale=0.3, size=(400, 12))).astype(np.float32)
    pool = Pool(
        np.arange(400),
        embeddings=vectors,
        labelled_embeddings=vectors[:0],
        labelled_classes=NOTHING,
    )
    for seed in range(10):
        picked = typiclust(pool, 10, np.random.default_rng(seed)).ids
        assert len(set(blob[picked])) >= 9
        apart = np.linalg.norm(vectors[picked] - centres[blob[picked]], axis=1)
        assert apart.mean() < np.linalg.norm(vectors - centres[blob], axis=1).mean()


def test_goes_where_no_label_is_yet() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(6)[:5] * 4
    blob = np.repeat(np.arange(5), 40)
    vectors = centres[blob] + rng.normal(scale=0.1, size=(200, 6))
    pool = Pool(
        np.arange(200),
        embeddings=vectors,
        labelled_embeddings=centres[[0, 1]],
        labelled_classes=np.array([0, 1]),
        pending_embeddings=centres[[2]],
    )
    picked = typiclust(pool, 2, np.random.default_rng(0)).ids
    assert sorted(blob[picked]) == [3, 4]


def test_outliers_come_last() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 3))
    clusters = np.array([0] * 13 + [1] * 13 + [2] * 4)
    rows, _ = pick_typical(vectors, clusters, NOTHING, 30, np.random.default_rng(0))
    assert sorted(rows[-4:].tolist()) == [26, 27, 28, 29]
    assert sorted(rows.tolist()) == list(range(30))


def test_very_large_clusters_are_compared_among_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COMPARED", 50)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 2))
    rows, _ = pick_typical(vectors, np.zeros(2000, np.int64), NOTHING, 120, rng)
    assert len(set(rows.tolist())) == 120
    # 2.4 times the number compared at a time, and still from the middle, not from the rim
    assert np.linalg.norm(vectors[rows[:20]], axis=1).mean() < 0.8
