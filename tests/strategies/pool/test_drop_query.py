"""`drop_query` by hand, by brute force, and against scikit-activeml's filter."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.base import Pool, needed
from strategies.pool import drop_query as module
from strategies.pool.drop_query import drop_query, flip_rates
from tests.strategies.pools import make_pool

A, B = [0.8, 0.2], [0.3, 0.7]


def test_by_hand() -> None:
    # how many of three passes flip: 0, 2, 3, 2, 1; the first and last are no candidates
    passes = np.array([[A, A, A], [B, A, B], [B, B, B], [A, B, B], [A, A, B]]).transpose(1, 0, 2)
    pool = Pool(
        np.array([10, 11, 12, 13, 14]),
        probs=np.array([A] * 5),
        mc_probs=passes,
        embeddings=np.array([[0.0], [0.1], [0.2], [9.0], [9.1]]),
    )
    selection = drop_query(pool, 2, np.random.default_rng(0))
    # clusters {11, 12} and {13}: from the pair either is as near to the middle
    assert 13 in selection.ids.tolist()
    assert set(selection.ids.tolist()) < {11, 12, 13}
    assert drop_query(pool, 3, np.random.default_rng(0)).ids.tolist()[0] == 12
    # four wanted, three candidates: the next is the one that flips more often than never
    assert set(drop_query(pool, 4, np.random.default_rng(0)).ids.tolist()) == {11, 12, 13, 14}


def test_rates_as_counted_one_by_one() -> None:
    pool = make_pool(samples=7)
    probs, samples = needed(pool.probs), needed(pool.mc_probs)
    expected = [
        sum(samples[s, i].argmax() != probs[i].argmax() for s in range(7)) / 7 for i in range(60)
    ]
    np.testing.assert_allclose(flip_rates(probs, samples), expected)


@pytest.mark.parametrize("seed", range(5))
def test_one_from_each_cluster_of_what_flips(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blob = rng.permutation(np.repeat(np.arange(6), 30))
    flips = rng.random(180) < 0.5
    vectors = np.eye(6)[blob] * 5 + rng.normal(scale=0.2, size=(180, 6))
    passes = np.where(flips[None, :, None], B, A) * np.ones((3, 1, 1))
    pool = Pool(np.arange(180), probs=np.array([A] * 180), mc_probs=passes, embeddings=vectors)
    selection = drop_query(pool, 6, rng)
    assert flips[selection.ids].all()
    assert len(set(blob[selection.ids].tolist())) >= 5
    if len(set(blob[selection.ids].tolist())) == 6:
        for item in selection.ids.tolist():  # the candidate nearest to the middle of its blob
            alike = np.flatnonzero(flips & (blob == blob[item]))
            middle = vectors[alike].mean(axis=0)
            apart = np.linalg.norm(vectors[alike] - middle, axis=1)
            assert item == alike[apart.argmin()]


def test_asks_first_what_flips_most() -> None:
    selection = drop_query(make_pool(n=200, samples=9), 20, np.random.default_rng(0))
    assert (np.diff(selection.scores) <= 0).all()


def test_large_batches_take_several_from_each_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CLUSTERS", 4)
    rng = np.random.default_rng(0)
    blob = np.repeat(np.arange(4), 25)
    vectors = np.eye(4)[blob] * 9 + rng.normal(scale=0.2, size=(100, 4))
    pool = Pool(
        np.arange(100),
        probs=np.array([A] * 100),
        mc_probs=np.array([[B] * 100] * 3),
        embeddings=vectors,
    )
    counts = np.bincount(blob[drop_query(pool, 20, rng).ids], minlength=4)
    assert counts.sum() == 20
    assert counts.max() <= 10
