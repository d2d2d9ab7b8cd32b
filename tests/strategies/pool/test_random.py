"""`random` is a fair draw without replacement."""

from __future__ import annotations

import numpy as np

from strategies.base import Pool
from strategies.pool.random import random


def test_every_item_is_drawn_equally_often() -> None:
    pool = Pool(np.array([4, 7, 9, 20, 31]))
    rng = np.random.default_rng(0)
    drawn = np.concatenate([random(pool, 2, rng).ids for _ in range(2000)])
    counts = [int((drawn == item).sum()) for item in pool.ids]
    # 800 each on average, standard deviation 22
    assert sum(counts) == 4000
    assert max(abs(count - 800) for count in counts) < 100


def test_every_order_is_equally_likely() -> None:
    pool = Pool(np.arange(3))
    rng = np.random.default_rng(0)
    orders = [tuple(random(pool, 3, rng).ids.tolist()) for _ in range(3000)]
    counts = [orders.count(order) for order in sorted(set(orders))]
    assert len(counts) == 6
    assert max(abs(count - 500) for count in counts) < 100


def test_no_item_is_wanted_more_than_another() -> None:
    assert random(Pool(np.arange(9)), 4, np.random.default_rng(0)).scores.tolist() == [0] * 4
