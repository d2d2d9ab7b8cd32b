"""Random sampling: what every other strategy has to beat."""

from __future__ import annotations

import numpy as np

from strategies.base import Needs, Pool, Selection
from strategies.registry import pool_strategy


@pool_strategy("random", needs=Needs.NOTHING)
def random(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick items uniformly at random.

    Needs no model and never misleads: the labels stay a fair sample of the pool.

    Parameters
    ----------
    pool : Pool
        The N unlabelled items.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Draws the items.

    Returns
    -------
    Selection
        Scores are all 0: no item is wanted more than another.

    References
    ----------
    Cochran, W. G. Sampling Techniques. Wiley, 1953.
    """
    rows = rng.choice(len(pool), k, replace=False)
    return Selection(pool.ids[rows], np.zeros(k))
