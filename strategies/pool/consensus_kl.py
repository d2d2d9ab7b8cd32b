"""Consensus divergence: the members of a committee stray from what they say together."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import samplewise


@pool_strategy("consensus_kl", needs=Needs.MC_PROBS)
def consensus_kl(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items on which the committee's members stray furthest from their mean.

    The mean Kullback-Leibler divergence of the members from the consensus. It equals the mutual
    information of `bald`: the literature on committees and the Bayesian one arrived at the same
    number, and this is it under the older name.

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
        Scores are divergences in nats, from 0 to log C.

    References
    ----------
    McCallum, A. K. and Nigam, K. Employing EM and Pool-Based Active Learning for Text
    Classification. ICML 1998.
    """
    return select(pool, samplewise(divergence, needed(pool.mc_probs)), k, rng)


def divergence(samples: FloatArray) -> FloatArray:
    """Return the mean divergence of `samples` (S, N, C) from their mean over S, shape (N,)."""
    tiny = np.finfo(samples.dtype).tiny  # 0 · log 0 counts as 0
    logs = np.log(np.maximum(samples, tiny))
    consensus = np.log(np.maximum(samples.mean(axis=0), tiny))
    mean: FloatArray = np.einsum("snc,snc->n", samples, logs - consensus) / len(samples)
    return np.maximum(mean, 0, out=mean)
