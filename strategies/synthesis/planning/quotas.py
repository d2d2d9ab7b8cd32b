"""How many for each: levelling counts, sharing by weight, and taking turns."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from strategies.base import BoolArray, FloatArray, IntArray
from strategies.ranking import best


def level(counts: IntArray, able: BoolArray, k: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield the classes that get one more, `k` times the one with the fewest so far.

    Parameters
    ----------
    counts : array of int, shape (C,)
        How many there are to begin with.
    able : array of bool, shape (C,)
        Which classes can get more; with none, nothing is yielded.
    k : int
        How many to give.
    rng : numpy.random.Generator
        Draws among classes with equally many.
    """
    waiting = [(int(counts[c]), float(rng.random()), int(c)) for c in np.flatnonzero(able)]
    heapq.heapify(waiting)
    for _ in range(k if waiting else 0):
        count, _, column = waiting[0]
        heapq.heapreplace(waiting, (count + 1, float(rng.random()), column))
        yield column


def share(weights: FloatArray, k: int, rng: np.random.Generator) -> IntArray:
    """Return how many of `k` each gets: its share, rounded down; the largest rests get one more.

    Parameters
    ----------
    weights : array of float, shape (R,)
        None below 0; when all are 0, all count the same.
    k : int
        How many to give.
    rng : numpy.random.Generator
        Draws among equal rests.

    Returns
    -------
    array of int, shape (R,)
        The sum is `k`.
    """
    even: NDArray[np.float64] = np.ones(len(weights))
    parts = np.asarray(weights, np.float64) if np.any(weights > 0) else even
    exact = parts / parts.sum() * k
    given: IntArray = np.floor(exact).astype(np.int64)
    rests = exact - given
    for _ in range(k - int(given.sum())):
        row = best(rests, rng)
        given[row] += 1
        rests[row] = -1
    return given


def in_turn(values: IntArray, rng: np.random.Generator) -> Iterator[int]:
    """Yield `values` without end: all in random order, then all again in another."""
    while True:
        yield from rng.permutation(values).tolist()
