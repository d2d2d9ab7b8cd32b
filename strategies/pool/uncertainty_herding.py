"""Uncertainty herding: the items that stand for most of what the model is unsure of."""

from __future__ import annotations

import math

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.herding import herd
from strategies.pool.margin import closeness
from strategies.registry import pool_strategy
from strategies.vectors import blocks, rowwise, unit

MOST_LABELLED = 20_000  # of more labelled items, a random 20,000 set the width
SAME = 0.01  # labelled items closer than this show the same thing, and say nothing of the width


@pool_strategy("uncertainty_herding", needs=Needs.PROBS | Needs.EMBEDDINGS | Needs.LABELLED)
def uncertainty_herding(
    pool: Pool, k: int, rng: np.random.Generator, *, width: float | None = None
) -> Selection:
    """Pick the items that best cover what the model is unsure of.

    `max_herding` with every item weighing as much as its margin is small, and with a reach that
    shrinks as labels come in: with few labels it covers the pool, with many it asks about the
    closest calls, and needs no switch in between.

    Parameters
    ----------
    pool : Pool
        With calibrated `probs` (N, C), `embeddings` (N, D), compared by direction only, and the
        labelled items, if any.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties; samples pools of more than 10,000 items as `max_herding` does.
    width : float, optional
        σ of the kernel; by default the smallest distance between two labelled items, 1 when there
        are fewer than two.

    Returns
    -------
    Selection
        Scores are the mean uncertainty that each pick covers, 0 to 1.

    References
    ----------
    Bae, W., Oliveira, G. L. and Sutherland, D. J. Uncertainty Herding: One Active Learning Method
    for All Label Budgets. ICLR 2025.
    """
    covered = pool.covered
    if width is None:
        width = smallest_distance(needed(pool.labelled_embeddings), rng)
    weights = rowwise(closeness, needed(pool.probs))
    rows, gains = herd(needed(pool.embeddings), covered, weights, width, k, rng)
    return Selection(pool.ids[rows], gains)


def smallest_distance(labelled: FloatArray, rng: np.random.Generator) -> float:
    """Return the smallest distance over 0.01 between directions of `labelled` (M, D), or 1."""
    if len(labelled) > MOST_LABELLED:
        labelled = labelled[rng.choice(len(labelled), MOST_LABELLED, replace=False)]
    vectors = unit(labelled)
    highest = -1.0  # of the cosines below that of a distance of 0.01
    for part in blocks(len(vectors), len(vectors)):
        cosines = (
            vectors[part] @ vectors[part.start :].T
        )  # the pairs before were seen in their turn
        cosines[cosines > 1 - SAME**2 / 2] = -1
        highest = max(highest, float(cosines.max()))
    return math.sqrt(2 - 2 * highest) if highest > -1 else 1.0
