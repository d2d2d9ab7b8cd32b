"""Mean standard deviation: the probabilities move from one dropout sample to the next."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import samplewise


@pool_strategy("mean_std", needs=Needs.MC_PROBS)
def mean_std(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items whose probabilities vary most between samples of the model.

    A plainer relative of `bald`, without logarithms: a class that is rarely likely weighs less.

    Parameters
    ----------
    pool : Pool
        With `mc_probs` (S, N, C) from dropout passes or an ensemble.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        Scores are the standard deviations over the samples, averaged over the classes; 0 to 0.5.

    References
    ----------
    Kampffmeyer, M., Salberg, A.-B. and Jenssen, R. Semantic Segmentation of Small Objects and
    Modeling of Uncertainty in Urban Remote Sensing Images. CVPR Workshops 2016.

    Gal, Y., Islam, R. and Ghahramani, Z. Deep Bayesian Active Learning with Image Data. ICML 2017.
    """
    return select(pool, samplewise(spread, needed(pool.mc_probs)), k, rng)


def spread(samples: FloatArray) -> FloatArray:
    """Return the class mean of the standard deviations of `samples` (S, N, C), shape (N,)."""
    mean: FloatArray = samples.std(axis=0).mean(axis=1)
    return mean
