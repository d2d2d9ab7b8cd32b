"""Vote entropy: the members of a committee vote for different classes."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.pool.entropy import shannon
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import samplewise


@pool_strategy("vote_entropy", needs=Needs.MC_PROBS)
def vote_entropy(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick the items on whose class the samples of the model are most divided.

    Each sample has one vote, however unsure it is. With few samples many items tie, and are drawn
    at random; `consensus_kl` tells them apart.

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
        Scores are entropies of the votes in nats, from 0 to the log of min(S, C).

    References
    ----------
    Seung, H. S., Opper, M. and Sompolinsky, H. Query by Committee. COLT 1992.

    Engelson, S. P. and Dagan, I. Minimizing Manual Annotation Cost in Supervised Training from
    Corpora. ACL 1996.
    """
    return select(pool, samplewise(division, needed(pool.mc_probs)), k, rng)


def division(samples: FloatArray) -> FloatArray:
    """Return the entropy of the votes of `samples` (S, N, C), shape (N,)."""
    votes = samples.argmax(axis=2)
    shares = np.empty(samples.shape[1:], samples.dtype)
    for column in range(samples.shape[2]):
        shares[:, column] = (votes == column).mean(axis=0)
    return shannon(shares)
