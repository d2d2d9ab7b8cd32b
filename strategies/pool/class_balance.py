"""Class balance: the closest calls, rare classes first."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.pool.margin import closeness
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import rowwise


@pool_strategy("class_balance", needs=Needs.PROBS | Needs.LABELLED)
def class_balance(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the closest calls of every predicted class, more of the classes that have few labels.

    A class with n labels so far gets a share of the batch in proportion to 1 / (n + 1), filled with
    the items that the model takes for that class by the smallest margin. Made for pools where some
    classes are rare: `margin` alone asks mostly about the common ones.

    Parameters
    ----------
    pool : Pool
        With `probs` (N, C) and `labelled_classes` (M,).
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        Scores are the quotients by which the shares are dealt out (Sainte-Laguë's method): the
        class's weight over 2r + 1 for its r-th item, r from 0. Any beginning of the batch is
        balanced as far as it goes.

    References
    ----------
    Kothawade, S., Beck, N., Killamsetty, K. and Iyer, R. SIMILAR: Submodular Information Measures
    Based Active Learning in Realistic Scenarios. NeurIPS 2021 (the problem; the quota is ours).
    """
    probs = needed(pool.probs)
    labels = np.bincount(needed(pool.labelled_classes), minlength=probs.shape[1])
    predicted = probs.argmax(axis=1)
    ranks = ranks_within(predicted, rowwise(closeness, probs), rng)
    return select(pool, (1 / (labels + 1))[predicted] / (2 * ranks + 1), k, rng)


def ranks_within(groups: IntArray, scores: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return each item's place (N,), from 0, in its group by falling score; ties at random."""
    order = np.lexsort((rng.random(len(scores)), -scores, groups))
    starts = np.searchsorted(groups[order], groups[order])
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(len(scores)) - starts
    return ranks
