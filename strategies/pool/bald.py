"""BALD: the model's dropout samples disagree, each of them certain."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.pool.entropy import shannon
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import samplewise


@pool_strategy("bald", needs=Needs.MC_PROBS)
def bald(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items whose label would say most about the model's parameters.

    Bayesian Active Learning by Disagreement: high where samples of the model contradict each other,
    not where every sample is unsure, and so it leaves hopelessly blurred images alone. Picks of one
    batch may be alike: see `power_bald` and `batch_bald`.

    Parameters
    ----------
    pool : Pool
        With `mc_probs` (S, N, C) from dropout passes or an ensemble; 10 to 20 samples are enough.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        Scores are mutual informations in nats, from 0 to log C.

    References
    ----------
    Houlsby, N., Huszár, F., Ghahramani, Z. and Lengyel, M. Bayesian Active Learning for
    Classification and Preference Learning. arXiv:1112.5745, 2011.

    Gal, Y., Islam, R. and Ghahramani, Z. Deep Bayesian Active Learning with Image Data. ICML 2017.
    """
    return select(pool, samplewise(mutual_information, needed(pool.mc_probs)), k, rng)


def mutual_information(samples: FloatArray) -> FloatArray:
    """Return the entropy of the mean less the mean entropy of `samples` (S, N, C), shape (N,)."""
    gain: FloatArray = shannon(samples.mean(axis=0)) - shannon(samples).mean(axis=0)
    return np.maximum(gain, 0, out=gain)  # rounding may leave it a little below 0
