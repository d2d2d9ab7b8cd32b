"""MaxHerding: the items that stand for most of what nothing labelled stands for."""

from __future__ import annotations

import numpy as np

from strategies.base import Needs, Pool, Selection, needed
from strategies.herding import herd
from strategies.registry import pool_strategy


@pool_strategy("max_herding", needs=Needs.EMBEDDINGS | Needs.LABELLED)
def max_herding(pool: Pool, k: int, rng: np.random.Generator, *, width: float = 1.0) -> Selection:
    """Pick the items that best cover the pool, crowded regions first.

    Every item is covered as well as the nearest labelled item resembles it; each pick is the one
    that adds most to the sum. Needs no model, unlike `typiclust` no clustering, and unlike
    `prob_cover` no radius; strong while labels are few.

    Parameters
    ----------
    pool : Pool
        With `embeddings` (N, D), compared by direction only, and the labelled items, if any.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties; of more than 10,000 items draws 10,000 that stand for all (the items picked
        are among them), and others after every 1,000 picks.
    width : float
        σ of the kernel: how far an item's resemblance reaches, for vectors of length one.

    Returns
    -------
    Selection
        Scores are the mean coverage that each pick adds, 0 to 1.

    References
    ----------
    Bae, W., Noh, J. and Sutherland, D. J. Generalized Coverage for More Robust Low-Budget Active
    Learning. ECCV 2024.
    """
    weights = np.ones(len(pool))
    rows, gains = herd(needed(pool.embeddings), pool.covered, weights, width, k, rng)
    return Selection(pool.ids[rows], gains)
