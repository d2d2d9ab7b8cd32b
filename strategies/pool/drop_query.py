"""DropQuery: items whose prediction does not survive dropout, spread over the pool."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.kmeans import kmeans
from strategies.ranking import top
from strategies.registry import pool_strategy
from strategies.vectors import blocks, squared_norms

MOST_CLUSTERS = 1_000  # of larger batches, each cluster gives several


@pool_strategy("drop_query", needs=Needs.PROBS | Needs.MC_PROBS | Needs.EMBEDDINGS)
def drop_query(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick items whose prediction flips under dropout, one from each of k clusters of them.

    The candidates are the items whose predicted class changes in more than half of the dropout
    passes; when those are fewer than k, the k that change most often. They are clustered into k
    clusters, and of each the item nearest to the centre is picked. Strong on frozen embeddings of
    large backbones, from the second batch on.

    Parameters
    ----------
    pool : Pool
        With `probs` (N, C), `embeddings` (N, D) and `mc_probs` (S, N, C) from passes with dropout
        on the embeddings; the paper takes 3 passes at rate 0.75.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Starts the clustering and breaks ties.

    Returns
    -------
    Selection
        Scores are the shares of passes that flipped the prediction, 0 to 1.

    References
    ----------
    Gupte, S. R., Aklilu, J., Nirschl, J. J. and Yeung-Levy, S. Revisiting Active Learning in the
    Era of Vision Foundation Models. TMLR 2024.
    """
    rates = flip_rates(needed(pool.probs), needed(pool.mc_probs))
    candidates = np.flatnonzero(rates > 0.5)
    if len(candidates) < k:
        candidates = top(rates, k, rng)
    vectors = needed(pool.embeddings)
    some = vectors if len(candidates) == len(vectors) else vectors[candidates]
    candidates = np.arange(len(vectors)) if some is vectors else candidates
    rows = candidates[_most_central(some, k, rng)]
    rows = rows[top(rates[rows], k, rng)]
    return Selection(pool.ids[rows], rates[rows])


def flip_rates(probs: FloatArray, samples: FloatArray) -> FloatArray:
    """Return the share (N,) of `samples` (S, N, C) that predict otherwise than `probs` (N, C)."""
    predicted = probs.argmax(axis=1)
    flips = sum((sample.argmax(axis=1) != predicted).astype(np.int64) for sample in samples)
    return np.asarray(flips / len(samples))


def _most_central(vectors: FloatArray, k: int, rng: np.random.Generator) -> IntArray:
    """Return k rows of `vectors` (n, D): of each cluster those nearest to its centre."""
    if k == len(vectors):
        return np.arange(k)
    labels, centres = kmeans(vectors, min(k, MOST_CLUSTERS), rng)
    apart = np.concatenate(
        [squared_norms(vectors[part] - centres[labels[part]]) for part in blocks(*vectors.shape)]
    )
    order = np.lexsort((rng.random(len(apart)), apart, labels))
    place = np.empty(len(apart), np.int64)  # 0 for the item nearest to its centre, then 1, ...
    place[order] = np.arange(len(apart)) - np.searchsorted(labels[order], labels[order])
    return top(-place.astype(np.float64), k, rng)
