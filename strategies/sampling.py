"""Greedy picks from pools too large to compare every item with every other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from strategies.base import FloatArray, IntArray

SHARE = 10  # one in so many of a sample is picked before the next is drawn

Pick = Callable[[IntArray, int, IntArray], tuple[IntArray, FloatArray]]


def in_samples(
    n: int, k: int, most: int, rng: np.random.Generator, pick: Pick
) -> tuple[IntArray, FloatArray]:
    """Have `pick` choose k of n items, sample by sample when there are more than `most`.

    Parameters
    ----------
    n : int
        How many items there are.
    k : int
        How many to pick, 1 to n.
    most : int
        How many items `pick` can look at. Of more it gets that many at random, and others after
        every tenth of them is picked.
    rng : numpy.random.Generator
        Draws the samples.
    pick : callable
        Called with the rows it may look at (s,), how many to pick of them, and the rows picked
        before; returns positions in the first, and their scores.

    Returns
    -------
    rows : array of int, shape (k,)
        In the order picked.
    scores : array of float, shape (k,)
        Non-increasing: from one sample to the next they may differ a little by chance, and are cut.
    """
    if n <= most:
        return pick(np.arange(n), k, np.empty(0, np.int64))
    free = np.ones(n, bool)
    rows, scores = np.empty(0, np.int64), np.empty(0)
    while len(rows) < k:
        left = np.flatnonzero(free)
        some = np.sort(rng.choice(left, min(most, len(left)), replace=False))
        picked, values = pick(some, min(k - len(rows), -(-len(some) // SHARE)), rows)
        rows, scores = np.append(rows, some[picked]), np.append(scores, values)
        free[some[picked]] = False
    return rows, np.minimum.accumulate(scores)
