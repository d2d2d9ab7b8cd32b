"""TypiClust: the most typical item of every cluster that has no label yet."""

from __future__ import annotations

import bisect

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.kmeans import kmeans
from strategies.ranking import best
from strategies.registry import pool_strategy
from strategies.vectors import blocks, squared_distances, unit

MOST_CLUSTERS = 500
SMALL = 5  # clusters of so few items are outliers, and are left for last
NEIGHBOURS = 20
MOST_COMPARED = 10_000  # in larger clusters a random 10,000 stand for all
TINY = 1e-7  # keeps the typicality of duplicates finite


@pool_strategy("typiclust", needs=Needs.EMBEDDINGS | Needs.LABELLED, ordered=False)
def typiclust(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the most typical items of the clusters that have the fewest labels.

    Labelled and unlabelled items are clustered together into ``min(M + k, 500)`` clusters. The
    clusters with the fewest labels give first, of those the largest; each gives the item whose
    20 nearest neighbours in the cluster are closest. The cold start of a project, and strong while
    labels are few; made for that, it is weak when used in every round.

    Parameters
    ----------
    pool : Pool
        With `embeddings` (N, D), compared by direction only, and the labelled items, if any.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Starts the clustering and breaks ties.

    Returns
    -------
    Selection
        Scores are typicalities: one over the mean distance to the nearest neighbours. They are
        comparable within a cluster only, and so rise and fall along the picks.

    References
    ----------
    Hacohen, G., Dekel, A. and Weinshall, D. Active Learning on a Budget: Opposite Strategies Suit
    High and Low Budgets. ICML 2022.
    """
    covered = pool.covered
    vectors = unit(needed(pool.embeddings), covered)
    labels = kmeans(vectors, min(len(covered) + k, MOST_CLUSTERS), rng).labels
    n = len(pool)
    rows, scores = pick_typical(vectors[:n], labels[:n], labels[n:], k, rng)
    return Selection(pool.ids[rows], scores)


def pick_typical(
    vectors: FloatArray,
    clusters: IntArray,
    covered_clusters: IntArray,
    k: int,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Go round the clusters, fewest labels first, and take the most typical free item of each.

    Parameters
    ----------
    vectors : array of float, shape (N, D)
        The unlabelled items.
    clusters : array of int, shape (N,)
        Their clusters.
    covered_clusters : array of int, shape (M,)
        The clusters of the items that are labelled or asked for.
    k : int
        How many to take, 1 to N.
    rng : numpy.random.Generator
        Breaks ties; draws the items that are compared in very large clusters.

    Returns
    -------
    rows : array of int, shape (k,)
        Positions in `vectors`, in the order taken.
    typicalities : array of float, shape (k,)
    """
    sizes = np.bincount(clusters)
    members = np.split(np.argsort(clusters, kind="stable"), np.cumsum(sizes)[:-1])
    taken = np.zeros(len(vectors), bool)
    rows: list[IntArray] = []
    scores: list[FloatArray] = []
    for group in _ordered(clusters, covered_clusters, rng):
        while k > 0:
            inside = [members[cluster][~taken[members[cluster]]] for cluster in group]
            quotas = _quotas(np.array([len(rows_) for rows_ in inside]), k)
            if not quotas.any():
                break
            picked, typicality = _round(vectors, inside, quotas, rng)
            taken[picked] = True
            rows.append(picked)
            scores.append(typicality)
            k -= len(picked)
    return np.concatenate(rows), np.concatenate(scores)


def typicality(vectors: FloatArray, neighbours: int) -> tuple[FloatArray, IntArray]:
    """Return how close the nearest neighbours of each vector are.

    Parameters
    ----------
    vectors : array of float, shape (m, D)
        The items of one cluster, m > `neighbours`.
    neighbours : int
        How many neighbours count, at least 1.

    Returns
    -------
    typicalities : array of float, shape (m,)
        One over the mean distance to the neighbours.
    nearest : array of int, shape (m, neighbours)
        The neighbours' positions.
    """
    rows = np.arange(len(vectors))
    return _typicality_of(rows, vectors, rows, neighbours)


def _ordered(
    clusters: IntArray, covered_clusters: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return the clusters that have free items in the order of their turn: ordinary, small."""
    count = max(clusters.max(), covered_clusters.max(initial=0)) + 1
    free = np.bincount(clusters, minlength=count)
    labels = np.bincount(covered_clusters, minlength=count)
    size = free + labels
    order = np.lexsort((rng.random(count), -size, labels))
    order = order[free[order] > 0]
    small = size[order] <= SMALL
    return order[~small], order[small]


def _quotas(free: IntArray, k: int) -> IntArray:
    """Share k picks round-robin among clusters with so many free items (L,), first ones first."""
    rounds = bisect.bisect_right(range(k + 1), k, key=lambda r: np.minimum(free, r).sum()) - 1
    quotas = np.minimum(free, rounds)
    more = np.flatnonzero(free > rounds)[: k - int(quotas.sum())]
    quotas[more] += 1
    return quotas


def _round(
    vectors: FloatArray, inside: list[IntArray], quotas: IntArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Take up to its quota from each cluster, and list the picks turn by turn."""
    rows, scores, turns = [], [], []
    for members, quota in zip(inside, quotas, strict=True):
        if quota == 0:
            continue
        if len(members) > MOST_COMPARED:
            members = rng.choice(members, MOST_COMPARED, replace=False)
        picked, typical = _typical_first(vectors[members], min(quota, len(members)), rng)
        rows.append(members[picked])
        scores.append(typical)
        turns.append(np.arange(len(picked)))
    order = np.argsort(np.concatenate(turns), kind="stable")
    return np.concatenate(rows)[order], np.concatenate(scores)[order]


def _typical_first(
    vectors: FloatArray, k: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Take the most typical of a cluster's `vectors` (m, D) k times, each time among the rest."""
    rest = np.arange(len(vectors))
    picked, scores = np.empty(k, np.int64), np.empty(k)
    typical = np.zeros(len(vectors), vectors.dtype)
    nearest = np.empty((len(vectors), 0), np.int64)
    for turn in range(k):
        neighbours = min(NEIGHBOURS, len(rest) // 2)
        if neighbours != nearest.shape[1]:  # at first, and when the rest becomes few
            nearest = np.empty((len(vectors), neighbours), np.int64)
            stale = rest
        else:  # only those lost a neighbour whose neighbour was picked
            stale = rest[(nearest[rest] == picked[turn - 1]).any(axis=1)] if turn else rest[:0]
        if neighbours and len(stale):
            typical[stale], nearest[stale] = _typicality_of(stale, vectors, rest, neighbours)
        elif not neighbours:
            typical[rest] = 0  # nobody is left to compare with
        place = best(typical[rest], rng)
        picked[turn], scores[turn] = rest[place], typical[rest[place]]
        rest = np.delete(rest, place)
    return picked, scores


def _typicality_of(
    rows: IntArray, vectors: FloatArray, among: IntArray, neighbours: int
) -> tuple[FloatArray, IntArray]:
    """Return typicality (r,) and neighbours (r, n) of the vectors at `rows`, found `among` some."""
    typical = np.empty(len(rows), vectors.dtype)
    nearest = np.empty((len(rows), neighbours), np.int64)
    others = vectors[among]
    for part in blocks(len(rows), max(len(among), neighbours * vectors.shape[1])):
        own = vectors[rows[part]]
        squared = squared_distances(own, others)
        squared[rows[part, None] == among] = np.inf  # nobody is their own neighbour
        columns = np.argpartition(squared, neighbours - 1, axis=1)[:, :neighbours]
        nearest[part] = among[columns]
        apart = np.linalg.norm(others[columns] - own[:, None], axis=2)  # exact for near-duplicates
        typical[part] = neighbours / (apart.sum(axis=1) + TINY)
    return typical, nearest
