"""Information density: uncertain, and like many other items."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.pool.entropy import shannon
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import blocks, rowwise, unit


@pool_strategy("density_weighted", needs=Needs.PROBS | Needs.EMBEDDINGS)
def density_weighted(
    pool: Pool, k: int, rng: np.random.Generator, *, density: float = 1.0
) -> Selection:
    """Pick items that are uncertain and like much of the rest of the pool.

    Entropy alone is drawn to outliers, whose label teaches nothing about other items. Here it is
    weighed by the mean similarity to the pool, so an outlier must be much more uncertain to be
    asked. The picks of a batch may still be alike: `uncertainty_herding` sees to that too.

    Parameters
    ----------
    pool : Pool
        With `probs` (N, C) and `embeddings` (N, D), compared by direction only.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.
    density : float
        Power of the similarity: 0 is `entropy`, higher keeps closer to the crowd.

    Returns
    -------
    Selection
        Scores are entropies in nats times powers of the mean similarity. The similarity of two
        items is (1 + cosine) / 2, from 0 to 1.

    References
    ----------
    Settles, B. and Craven, M. An Analysis of Active Learning Strategies for Sequence Labeling
    Tasks. EMNLP 2008.
    """
    uncertain = rowwise(shannon, needed(pool.probs))
    return select(pool, uncertain * similarity(needed(pool.embeddings)) ** density, k, rng)


def similarity(vectors: FloatArray) -> FloatArray:
    """Return the mean similarity (N,) of each of `vectors` (N, D) to all of them.

    The mean of N cosines is one product with the mean direction, so this takes N · D steps.
    """
    parts = list(blocks(len(vectors), vectors.shape[1]))
    mean = sum(unit(vectors[part]).sum(axis=0, dtype=np.float64) for part in parts) / len(vectors)
    cosines = [unit(vectors[part]) @ mean.astype(vectors.dtype) for part in parts]
    similar: FloatArray = (1 + np.concatenate(cosines)) / 2
    return np.maximum(similar, 0, out=similar)
