"""Margin: the model cannot decide between two classes."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import rowwise


@pool_strategy("margin", needs=Needs.PROBS)
def margin(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items whose two likeliest classes are closest.

    The safest of the uncertainty strategies once there are some tens of labels per class. It does
    not look at the other classes, nor at how alike the picks are.

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
        Scores are one minus the gap between the two highest probabilities: 1 when they are equal,
        0 when the model is certain.

    References
    ----------
    Scheffer, T., Decomain, C. and Wrobel, S. Active Hidden Markov Models for Information
    Extraction. IDA 2001.
    """
    return select(pool, rowwise(closeness, needed(pool.probs)), k, rng)


def closeness(probs: FloatArray) -> FloatArray:
    """Return one minus the gap between the two highest of `probs` (N, C), shape (N,)."""
    if probs.shape[1] == 1:
        return 1 - probs[:, 0]
    # Column by column over many items at a time: a fourth of the time of partitioning each row.
    columns = np.ascontiguousarray(probs.T)
    first, second = np.maximum(columns[0], columns[1]), np.minimum(columns[0], columns[1])
    lower = np.empty_like(first)
    for column in columns[2:]:
        np.minimum(first, column, out=lower)
        np.maximum(second, lower, out=second)
        np.maximum(first, column, out=first)
    close: FloatArray = 1 - (first - second)
    return close
