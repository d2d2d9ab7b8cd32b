"""Greedy covering by a kernel: the mathematics that `max_herding` and `uncertainty_herding` share.

Every item is covered as well as the nearest labelled or picked item covers it. The gain of a pick
is what it adds to the sum of that over the pool. Gains only ever fall as more is picked, and so the
greedy picks can be lazy: see `strategies.greedy`.
"""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray
from strategies.greedy import lazy_greedy
from strategies.sampling import in_samples
from strategies.vectors import CACHED_VALUES, blocks, unit

MOST = 10_000  # items weighed against each other (400 MB); of more, a random 10,000 for all
PIECE = 1_000  # rows and columns of the kernel made at a time


def herd(
    vectors: FloatArray,
    covered: FloatArray,
    weights: FloatArray,
    width: float,
    k: int,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Pick, k times, the item that adds most to the weighted coverage of all items.

    Parameters
    ----------
    vectors : array of float, shape (N, D)
        The items; only their directions count.
    covered : array of float, shape (M, D)
        What covers already.
    weights : array of float, shape (N,)
        How much covering each item is worth, at least 0.
    width : float
        σ of the kernel exp(−‖a − b‖² / σ²) between unit vectors.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties; draws the samples when there are more than 10,000 items.

    Returns
    -------
    rows : array of int, shape (k,)
        Positions in `vectors`, in the order picked.
    gains : array of float, shape (k,)
        The mean over the items of what each pick added; up to the weights' mean.
    """

    def pick(some: IntArray, wanted: int, taken: IntArray) -> tuple[IntArray, FloatArray]:
        covers = unit(covered, vectors[taken])
        return _herd_all(unit(vectors[some]), covers, weights[some], width, wanted, rng)

    return in_samples(len(vectors), k, MOST, rng, pick)


def kernel(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    """Return exp(−‖a − b‖² / σ²) for all pairs (A, B) of unit vectors `a` (A, D) and `b` (B, D)."""
    near: FloatArray = a @ b.T
    near -= 1
    np.minimum(near, 0, out=near)  # rounding may see a vector nearer to itself than it is
    near *= 2 / width**2
    return np.exp(near, out=near)


def coverage(vectors: FloatArray, covered: FloatArray, width: float) -> FloatArray:
    """Return how well each unit vector (N, D) is covered by the nearest of `covered` (M, D)."""
    cover = np.zeros(len(vectors), vectors.dtype)
    for part in blocks(len(vectors), len(covered)):
        cover[part] = kernel(vectors[part], covered, width).max(axis=1, initial=0)
    return cover


def _herd_all(
    vectors: FloatArray,
    covered: FloatArray,
    weights: FloatArray,
    width: float,
    k: int,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Do what `herd` does, all items against all."""
    near, cover = _all_pairs(vectors, width), coverage(vectors, covered, width)
    weights = weights.astype(vectors.dtype)

    def measure(rows: IntArray) -> FloatArray:
        return _gains(near, rows, cover, weights)

    def take(row: int) -> None:
        np.maximum(cover, near[row], out=cover)

    alike = 8 * float(np.finfo(vectors.dtype).eps)  # equal items differ by so much in rounding
    first = measure(np.arange(len(near)))
    rows, gains = lazy_greedy(first, measure, take, k, rng, alike)
    return rows, gains / len(near)


def _all_pairs(vectors: FloatArray, width: float) -> FloatArray:
    """Return the kernel of all pairs (N, N); one half is computed, the other is its mirror."""
    n = len(vectors)
    near: FloatArray = np.empty((n, n), vectors.dtype)
    parts = [slice(start, start + PIECE) for start in range(0, n, PIECE)]
    for i, rows in enumerate(parts):
        for columns in parts[i:]:
            near[rows, columns] = kernel(vectors[rows], vectors[columns], width)
            near[columns, rows] = near[rows, columns].T
    return near


def _gains(near: FloatArray, rows: IntArray, cover: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted sum of what each of `rows` (n,) would add to `cover` (N,)."""
    gains = np.empty(len(rows))
    step = max(1, CACHED_VALUES // len(near))
    for start in range(0, len(rows), step):
        added = near[rows[start : start + step]]
        added -= cover
        np.maximum(added, 0, out=added)
        gains[start : start + step] = added @ weights
    return gains
