"""Least confidence: the model's best guess is a weak one."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import rowwise


@pool_strategy("least_confidence", needs=Needs.PROBS)
def least_confidence(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items whose likeliest class is least likely.

    Looks at one probability only; with two classes it ranks as `margin` and `entropy` do.

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
        Scores are one minus the highest probability, from 0 to 1 − 1/C.

    References
    ----------
    Lewis, D. D. and Gale, W. A. A Sequential Algorithm for Training Text Classifiers. SIGIR 1994.
    """
    return select(pool, rowwise(unconfidence, needed(pool.probs)), k, rng)


def unconfidence(probs: FloatArray) -> FloatArray:
    """Return one minus the highest of `probs` (N, C), shape (N,)."""
    highest: FloatArray = np.ascontiguousarray(probs.T).max(axis=0)  # ten times max(axis=1)
    return 1 - highest
