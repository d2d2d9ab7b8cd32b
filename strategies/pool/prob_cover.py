"""ProbCover: the items in whose neighbourhood most others lie that no label is near to."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.greedy import lazy_greedy
from strategies.kmeans import kmeans
from strategies.registry import pool_strategy
from strategies.sampling import in_samples
from strategies.vectors import blocks, unit

MOST = 10_000  # items in the graph; of more, a random 10,000 stand for all
PURITY = 0.95
CLUSTERS = 10  # when nobody knows how many classes there are

Words: TypeAlias = NDArray[np.uint64]


@pool_strategy("prob_cover", needs=Needs.EMBEDDINGS | Needs.LABELLED)
def prob_cover(
    pool: Pool,
    k: int,
    rng: np.random.Generator,
    *,
    radius: float | None = None,
    purity: float = PURITY,
) -> Selection:
    """Pick the items that have most uncovered items within a radius.

    An item covers all within the radius of it. The radius is the largest at which 95 % of the items
    have nobody of another class within it, classes being guessed by clustering. Each pick covers as
    many uncovered items as can be. Strong while labels are few; once nearly all is covered the
    picks become random, and another strategy is due.

    Parameters
    ----------
    pool : Pool
        With `embeddings` (N, D), compared by direction only, and the labelled items, if any.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Starts the clustering and breaks ties; of more than 10,000 items draws 10,000 that stand for
        all (the items picked are among them).
    radius : float, optional
        Distance between unit vectors, 0 to 2, in place of the one found.
    purity : float
        Share of items that may have no item of another cluster within the radius.

    Returns
    -------
    Selection
        Scores are the numbers of items that each pick newly covers, itself included.

    References
    ----------
    Yehuda, O., Dekel, A., Hacohen, G. and Weinshall, D. Active Learning Through a Covering Lens.
    NeurIPS 2022.
    """
    vectors, covered = needed(pool.embeddings), pool.covered
    clusters = pool.classes or CLUSTERS

    def pick(some: IntArray, wanted: int, taken: IntArray) -> tuple[IntArray, FloatArray]:
        items = unit(vectors[some])
        centres = unit(covered, vectors[taken])
        reach = radius
        if reach is None:
            everything = np.concatenate([items, centres])
            few = rng.choice(len(everything), min(MOST, len(everything)), replace=False)
            reach = pure_radius(everything[few], clusters, purity, rng)
        return cover(items, centres, reach, wanted, rng)

    rows, scores = in_samples(len(pool), k, MOST, rng, pick)
    return Selection(pool.ids[rows], scores)


def pure_radius(
    vectors: FloatArray, clusters: int, purity: float, rng: np.random.Generator
) -> float:
    """Return the largest radius at which the share `purity` of items have only their like near.

    Parameters
    ----------
    vectors : array of float, shape (n, D)
        Unit vectors.
    clusters : int
        How many classes to guess by k-means.
    purity : float
        From 0 to 1.
    rng : numpy.random.Generator
        Starts the clustering.
    """
    labels = kmeans(vectors, max(2, clusters), rng).labels
    vectors = vectors[np.argsort(labels, kind="stable")]
    ends = np.append(0, np.cumsum(np.bincount(labels)))
    strangers = np.full(len(vectors), -1.0)  # the cosine to the nearest item of another cluster
    for start, end in itertools.pairwise(ends.tolist()):
        for part in blocks(end - start, len(vectors)):
            own = slice(start + part.start, start + part.stop)
            cosines = vectors[own] @ vectors.T
            cosines[:, start:end] = -1
            strangers[own] = cosines.max(axis=1)
    impure = int((1 - purity) * len(vectors) + 1e-9)  # so many may have a stranger within
    nearest = np.sort(strangers)[::-1][min(impure, len(vectors) - 1)]
    return float(np.nextafter(math.sqrt(max(0.0, 2 - 2 * nearest)), 0))


def cover(
    vectors: FloatArray, centres: FloatArray, radius: float, k: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Take, k times, the vector that has most uncovered ones within a radius.

    Parameters
    ----------
    vectors : array of float, shape (n, D)
        What is to be covered, and may be taken.
    centres : array of float, shape (M, D)
        What covers already.
    radius : float
        How far a vector covers.
    k : int
        How many to take, 1 to n.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    rows : array of int, shape (k,)
        Positions in `vectors`, in the order taken.
    gains : array of float, shape (k,)
        How many each newly covers.
    """
    near = pairs_within(vectors, vectors, radius)
    near[np.arange(len(vectors)), np.arange(len(vectors)) // 64] |= _bits(len(vectors))
    uncovered = np.zeros(near.shape[1], np.uint64)
    np.bitwise_or.at(uncovered, np.arange(len(vectors)) // 64, _bits(len(vectors)))
    if len(centres):
        uncovered &= ~np.bitwise_or.reduce(pairs_within(centres, vectors, radius), axis=0)

    def measure(some: IntArray) -> FloatArray:
        counts: FloatArray = np.bitwise_count(near[some] & uncovered).sum(axis=1, dtype=np.float64)
        return counts

    def take(row: int) -> None:
        np.bitwise_and(uncovered, ~near[row], out=uncovered)

    return lazy_greedy(measure(np.arange(len(vectors))), measure, take, k, rng)


def pairs_within(a: FloatArray, b: FloatArray, radius: float) -> Words:
    """Return which unit vectors `b` (B, D) are within `radius` of each of `a` (A, D).

    Returns
    -------
    array of uint64, shape (A, ⌈B / 64⌉)
        One bit a pair; 10,000 × 10,000 of them take 12 MB.
    """
    near = np.zeros((len(a), -(-len(b) // 64) * 8), np.uint8)
    for part in blocks(len(a), len(b)):
        within = a[part] @ b.T >= 1 - radius**2 / 2
        near[part, : -(-len(b) // 8)] = np.packbits(within, axis=1, bitorder="little")
    words: Words = near.view("<u8")
    return words


def _bits(n: int) -> Words:
    """Return for each of n columns the word that has only its bit set (n,)."""
    words: Words = np.left_shift(np.uint64(1), np.arange(n, dtype=np.uint64) % np.uint64(64))
    return words
