"""Entropy: the model's guess is spread over many classes."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import rowwise


@pool_strategy("entropy", needs=Needs.PROBS)
def entropy(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items whose class probabilities are most spread out.

    Looks at all classes, and so is drawn to items that are like nothing seen so far; with many
    classes and few labels it is often worse than `random`. Prefer `margin` unless you want those.

    Parameters
    ----------
    pool : Pool
        With `probs` (N, C).
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        Scores are Shannon entropies in nats, from 0 to log C.

    References
    ----------
    Settles, B. Active Learning Literature Survey. University of Wisconsin-Madison, 2009.
    """
    return select(pool, rowwise(shannon, needed(pool.probs)), k, rng)


def shannon(probs: FloatArray) -> FloatArray:
    """Return the entropy in nats of the last axis of `probs` (..., C), shape (...)."""
    tiny = np.finfo(probs.dtype).tiny  # 0 · log 0 counts as 0
    negative: FloatArray = np.einsum("...c,...c->...", probs, np.log(np.maximum(probs, tiny)))
    return -negative
