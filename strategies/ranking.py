"""From scores to picks: the best k, ties broken by the random generator and never by position."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies.base import IntArray, Pool, Selection


def top(scores: NDArray[np.floating[Any]], k: int, rng: np.random.Generator) -> IntArray:
    """Return the positions of the `k` highest scores, highest first.

    Parameters
    ----------
    scores : array of float, shape (N,)
        Finite scores.
    k : int
        How many, from 1 to N.
    rng : numpy.random.Generator
        Draws among equal scores, and orders them.

    Returns
    -------
    array of int, shape (k,)
        Positions in `scores`.
    """
    n = len(scores)
    threshold = np.partition(scores, n - k)[n - k]
    above = np.flatnonzero(scores > threshold)
    equal = np.flatnonzero(scores == threshold)
    drawn = rng.choice(equal, k - len(above), replace=False, shuffle=False)
    chosen = rng.permutation(np.concatenate([above, drawn]))
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def best(scores: NDArray[Any], rng: np.random.Generator, slack: float = 0) -> int:
    """Return the position of the highest of `scores` (N,), drawn at random among equal ones.

    Scores count as equal when they are lower by no more than `slack` times the highest.
    """
    highest = scores.max()
    equal = np.flatnonzero(scores >= highest - slack * abs(highest))
    return int(equal[0] if len(equal) == 1 else rng.choice(equal))


def select(
    pool: Pool, scores: NDArray[np.floating[Any]], k: int, rng: np.random.Generator
) -> Selection:
    """Select the `k` items of `pool` with the highest `scores` (N,)."""
    rows = top(scores, k, rng)
    return Selection(pool.ids[rows], scores[rows])
