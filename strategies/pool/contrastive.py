"""Contrastive: the model says something else here than about the labelled items nearby."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import blocks, squared_norms

NEIGHBOURS = 10
SMALLEST = 1e-30  # probabilities below this count as this, so that no divergence is infinite


@pool_strategy(
    "contrastive",
    needs=Needs.PROBS | Needs.EMBEDDINGS | Needs.LABELLED | Needs.LABELLED_PROBS,
)
def contrastive(
    pool: Pool, k: int, rng: np.random.Generator, *, neighbours: int = NEIGHBOURS
) -> Selection:
    """Pick items that look like labelled ones but are predicted otherwise.

    Near the model's decision boundary two images of almost equal embeddings get different
    probabilities. For each item the nearest labelled items are found, and the divergence of its
    prediction from theirs is the score. Contrastive Active Learning (CAL).

    Parameters
    ----------
    pool : Pool
        With `probs` (N, C), `embeddings` (N, D) and the labelled items' embeddings and
        probabilities. Without labelled items the draw is random.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.
    neighbours : int
        How many labelled neighbours to compare with.

    Returns
    -------
    Selection
        Scores are mean Kullback-Leibler divergences of the neighbours from the item, in nats.

    References
    ----------
    Margatina, K., Vernikos, G., Barrault, L. and Aletras, N. Active Learning by Acquiring
    Contrastive Examples. EMNLP 2021.
    """
    labelled = needed(pool.labelled_embeddings)
    if len(labelled) == 0:
        return select(pool, np.zeros(len(pool)), k, rng)
    vectors, probs = needed(pool.embeddings), _floored(needed(pool.probs))
    known = _floored(needed(pool.labelled_probs))
    negative_entropy = np.einsum("mc,mc->m", known, np.log(known))
    scores = np.empty(len(pool), probs.dtype)
    for part in blocks(len(pool), max(len(labelled), neighbours * known.shape[1])):
        near = nearest_labelled(vectors[part], labelled, min(neighbours, len(labelled)))
        cross = np.einsum("nc,nc->n", known[near].mean(axis=1), np.log(probs[part]))
        scores[part] = negative_entropy[near].mean(axis=1) - cross
    return select(pool, scores, k, rng)


def nearest_labelled(vectors: FloatArray, labelled: FloatArray, neighbours: int) -> IntArray:
    """Return the rows (n, neighbours) of `labelled` (M, D) nearest to each of `vectors` (n, D)."""
    farness = squared_norms(labelled) / 2 - vectors @ labelled.T
    nearest: IntArray = np.argpartition(farness, neighbours - 1, axis=1)[:, :neighbours]
    return nearest


def _floored(probs: FloatArray) -> FloatArray:
    """Return `probs` (n, C) with none below the smallest, rows summing to one again."""
    raised = np.maximum(probs, probs.dtype.type(SMALLEST))
    raised /= raised.sum(axis=1, keepdims=True)
    return raised
