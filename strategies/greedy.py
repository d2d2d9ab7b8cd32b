"""Lazy greedy: picks one by one what gains most, where gains fall as more is picked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from strategies.base import FloatArray, IntArray
from strategies.ranking import best, top

FIRST = 16  # gains measured again at first; twice as many each time that is not enough


def lazy_greedy(
    gains: FloatArray,
    measure: Callable[[IntArray], FloatArray],
    take: Callable[[int], None],
    k: int,
    rng: np.random.Generator,
    alike: float = 0,
) -> tuple[IntArray, FloatArray]:
    """Pick, k times, the item of the highest gain.

    The gain of an item never rises as others are picked (submodularity), so one measured earlier is
    an upper bound: only the items whose bound may be the highest are measured again. The picks are
    those of measuring all of them every time.

    Parameters
    ----------
    gains : array of float, shape (n,)
        The gains before anything is picked; at least 0.
    measure : callable
        Returns the gains (r,) of the items at some rows (r,), given what was taken.
    take : callable
        Told of each pick, by its row.
    k : int
        How many to pick, 1 to n.
    rng : numpy.random.Generator
        Breaks ties.
    alike : float
        Gains that differ by no more than this share of the highest count as equal.

    Returns
    -------
    rows : array of int, shape (k,)
        In the order picked.
    gains : array of float, shape (k,)
        The gain of each when it was picked; non-increasing.

    References
    ----------
    Minoux, M. Accelerated greedy algorithms for maximizing submodular set functions. Optimization
    Techniques, 1978.
    """
    bounds = gains.astype(np.float64)
    measured = np.zeros(len(bounds), np.int64)  # with how many picks each bound reckons
    rows, found = np.empty(k, np.int64), np.empty(k)
    for turn in range(k):
        at_once = FIRST
        while measured[row := best(bounds, rng, alike)] < turn:
            stale = np.flatnonzero((measured < turn) & (bounds >= 0))
            some = stale[top(bounds[stale], min(at_once, len(stale)), rng)]
            bounds[some] = np.clip(measure(some), 0, bounds[some])
            measured[some] = turn
            at_once *= 2
        rows[turn], found[turn] = row, bounds[row]
        bounds[row] = -1
        take(row)
    return rows, np.minimum.accumulate(found)
