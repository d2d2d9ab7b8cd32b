"""`k_center` by hand, by brute force, against scikit-activeml, and with kept distances."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from skactiveml.pool import k_greedy_center

from strategies.base import Pool, PoolError, needed
from strategies.nearest import nearest
from strategies.pool import k_center as module
from strategies.pool.k_center import MANY, k_center
from tests.strategies.pools import make_pool


def test_by_hand() -> None:
    pool = Pool(
        np.array([10, 11, 12, 13]),
        embeddings=np.array([[1.0], [4.0], [9.0], [10.0]]),
        labelled_embeddings=np.array([[0.0]]),
        labelled_classes=np.array([0]),
    )
    selection = k_center(pool, 4, np.random.default_rng(0))
    assert selection.ids.tolist() == [13, 11, 10, 12]
    np.testing.assert_allclose(selection.scores, [10, 4, 1, 1])
    waiting = dataclasses.replace(pool, pending_embeddings=np.array([[10.0]]))
    assert k_center(waiting, 1, np.random.default_rng(0)).ids.tolist() == [11]


def greedy(vectors: np.ndarray, centres: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    """The textbook: all distances, every time."""
    chosen = [list(c) for c in centres]
    rows, scores = [], []
    for _ in range(k):
        radius = [min(math.dist(v, c) for c in chosen) for v in vectors]
        rows.append(int(np.argmax(radius)))
        scores.append(max(radius))
        chosen.append(list(vectors[rows[-1]]))
    return rows, scores


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labelled", [1, 12])
@pytest.mark.parametrize("window", [5, 512])
def test_as_the_textbook(
    dtype: type, labelled: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", window)
    monkeypatch.setattr(module, "REFRESHED", 3)
    pool = make_pool(n=80, labelled=labelled, dtype=dtype)
    rows, scores = greedy(needed(pool.embeddings), needed(pool.labelled_embeddings), 40)
    selection = k_center(pool, 40, np.random.default_rng(0))
    assert selection.ids.tolist() == pool.ids[rows].tolist()
    np.testing.assert_allclose(selection.scores, scores, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("blobs", [1, 30])
def test_same_picks_as_scikit_activeml(dtype: type, blobs: int) -> None:
    rng = np.random.default_rng(blobs)
    vectors = (
        rng.normal(size=(1500, 64))
        + 3 * rng.normal(size=(blobs, 64))[rng.integers(blobs, size=1500)]
    )
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(dtype)
    truth = np.where(np.arange(1500) < 100, 0, np.nan)
    theirs, utilities = k_greedy_center(vectors, truth, 100, random_state=0)
    pool = Pool(
        np.arange(100, 1500),
        embeddings=vectors[100:],
        labelled_embeddings=vectors[:100],
        labelled_classes=np.zeros(100, np.int64),
    )
    selection = k_center(pool, 100, rng)
    assert selection.ids.tolist() == theirs.tolist()
    np.testing.assert_allclose(selection.scores, np.nanmax(utilities, axis=1), atol=1e-6)


def test_without_labels_the_first_is_drawn_and_the_rest_follow() -> None:
    pool = make_pool(labelled=0)
    vectors = needed(pool.embeddings)
    firsts = set()
    for seed in range(40):
        selection = k_center(pool, 5, np.random.default_rng(seed))
        place = [int(np.flatnonzero(pool.ids == item)[0]) for item in selection.ids]
        firsts.add(place[0])
        rows, scores = greedy(vectors, vectors[place[:1]], 4)
        assert place[1:] == rows
        np.testing.assert_allclose(selection.scores, [scores[0], *scores], rtol=1e-6)
    assert len(firsts) > 20


def test_kept_distances_give_the_same_picks_round_after_round() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    labelled = np.zeros(500, bool)
    labelled[:20] = True
    known = None
    for _ in range(4):
        pool = Pool(
            np.flatnonzero(~labelled),
            embeddings=vectors[~labelled],
            labelled_embeddings=vectors[labelled],
            labelled_classes=np.zeros(labelled.sum(), np.int64),
            labelled_ids=np.flatnonzero(labelled),
        )
        known = nearest(pool, known)
        kept = k_center(pool, 10, rng, known=known)
        anew = k_center(pool, 10, rng)
        assert kept.ids.tolist() == anew.ids.tolist()
        np.testing.assert_allclose(kept.scores, anew.scores, rtol=1e-6)
        labelled[kept.ids] = True


def test_kept_distances_are_shortened_by_items_asked_for() -> None:
    pool = dataclasses.replace(make_pool(), pending_embeddings=make_pool(n=9, seed=4).embeddings)
    kept = k_center(pool, 10, np.random.default_rng(0), known=nearest(pool))
    assert kept.ids.tolist() == k_center(pool, 10, np.random.default_rng(0)).ids.tolist()


def test_kept_distances_of_a_pool_without_labels() -> None:
    pool = make_pool(labelled=0)
    kept = k_center(pool, 10, np.random.default_rng(0), known=nearest(pool))
    assert kept.ids.tolist() == k_center(pool, 10, np.random.default_rng(0)).ids.tolist()


def test_distances_of_another_pool_are_refused() -> None:
    with pytest.raises(PoolError, match="of another pool"):
        k_center(make_pool(n=9), 3, np.random.default_rng(0), known=nearest(make_pool(n=8)))


def test_many_centres_bound_roughly_first_and_the_picks_stay_those_of_the_textbook() -> None:
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(MANY + 100, 6)).astype(np.float32)
    vectors = np.concatenate([rng.normal(size=(700, 6)), 3 * rng.normal(size=(40, 6))])
    pool = Pool(
        np.arange(len(vectors)),
        embeddings=vectors.astype(np.float32),
        labelled_embeddings=centres,
        labelled_classes=np.zeros(len(centres), np.int64),
    )
    found = k_center(pool, 50, np.random.default_rng(0))
    exact = vectors.astype(np.float32).astype(np.float64)
    far = np.linalg.norm(exact[:, None] - centres[None].astype(np.float64), axis=2).min(axis=1)
    for row, score in zip(found.ids.tolist(), found.scores.tolist(), strict=True):
        assert row == far.argmax()
        assert score == pytest.approx(far.max(), rel=1e-6)
        far = np.minimum(far, np.linalg.norm(exact - exact[row], axis=1))
