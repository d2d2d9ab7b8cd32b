"""PowerBALD: BALD with noise, so that a batch does not ask the same question many times."""

from __future__ import annotations

import numpy as np

from strategies.base import Needs, Pool, Selection, needed
from strategies.pool.bald import mutual_information
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import samplewise


@pool_strategy("power_bald", needs=Needs.MC_PROBS)
def power_bald(
    pool: Pool, k: int, rng: np.random.Generator, *, sharpness: float = 1.0
) -> Selection:
    """Draw items at random, in proportion to their BALD score.

    The highest scores of a pool are often many views of one thing. Drawing without replacement with
    odds proportional to the scores costs nothing and does as well as `batch_bald` at batch sizes
    which that cannot reach. Use it in place of `bald` whenever more than ten are picked at once.

    Parameters
    ----------
    pool : Pool
        With `mc_probs` (S, N, C) from dropout passes or an ensemble.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Draws the items.
    sharpness : float
        Power of the scores that the odds follow: 0 is `random`, very high is `bald`.

    Returns
    -------
    Selection
        Scores are logarithms of the scores' powers plus Gumbel noise; the k highest of these are
        such a draw.

    References
    ----------
    Kirsch, A. et al. Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning.
    TMLR 2023 (arXiv:2106.12059, 2021).
    """
    scores = samplewise(mutual_information, needed(pool.mc_probs)).astype(np.float64)
    logs = np.log(np.maximum(scores, np.finfo(np.float64).tiny))
    return select(pool, sharpness * logs + rng.gumbel(size=len(pool)), k, rng)
