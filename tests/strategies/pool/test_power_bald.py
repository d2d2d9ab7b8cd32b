"""`power_bald` draws in proportion to BALD scores."""

from __future__ import annotations

import numpy as np

from strategies.base import Pool
from strategies.pool.bald import bald, mutual_information
from strategies.pool.power_bald import power_bald
from tests.strategies.pools import make_pool


def test_odds_follow_the_scores() -> None:
    pool = make_pool(n=5, samples=4)
    assert pool.mc_probs is not None
    scores = mutual_information(pool.mc_probs)
    rng = np.random.default_rng(0)
    drawn = [int(power_bald(pool, 1, rng).ids[0]) for _ in range(4000)]
    counts = np.array([drawn.count(item) for item in pool.ids.tolist()])
    expected = 4000 * scores / scores.sum()
    assert (abs(counts - expected) < 4 * np.sqrt(expected) + 4).all()


def test_pairs_are_drawn_without_replacement_in_proportion() -> None:
    pool = make_pool(n=3, samples=4, seed=1)
    assert pool.mc_probs is not None
    odds = mutual_information(pool.mc_probs)
    odds = odds / odds.sum()
    rng = np.random.default_rng(0)
    second = [power_bald(pool, 2, rng).ids.tolist() for _ in range(4000)]
    for a in range(3):
        for b in set(range(3)) - {a}:
            share = odds[a] * odds[b] / (1 - odds[a])
            count = second.count([int(pool.ids[a]), int(pool.ids[b])])
            assert abs(count - 4000 * share) < 4 * np.sqrt(4000 * share) + 4


def test_between_random_and_bald() -> None:
    pool = make_pool(n=200)
    sharp = power_bald(pool, 20, np.random.default_rng(0), sharpness=1e6)
    assert sharp.ids.tolist() == bald(pool, 20, np.random.default_rng(0)).ids.tolist()
    flat = [power_bald(pool, 1, np.random.default_rng(s), sharpness=0).ids[0] for s in range(300)]
    assert len(set(flat)) > 120  # 155 of 200 expected of a fair draw


def test_items_without_disagreement_come_last() -> None:
    disputed, agreed = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]
    samples = np.array([agreed, disputed, agreed, disputed]).transpose(1, 0, 2)
    for seed in range(20):
        selection = power_bald(Pool(np.arange(4), mc_probs=samples), 4, np.random.default_rng(seed))
        assert set(selection.ids[:2].tolist()) == {1, 3}
