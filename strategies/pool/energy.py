"""Energy: the model finds little of any class in the item."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, Needs, Pool, Selection, needed
from strategies.ranking import select
from strategies.registry import pool_strategy
from strategies.vectors import rowwise


@pool_strategy("energy", needs=Needs.LOGITS)
def energy(pool: Pool, k: int, rng: np.random.Generator, *, temperature: float = 1.0) -> Selection:
    """Pick the items whose logits are low for every class.

    Unlike the probabilities, the logits still say how strongly anything spoke for the likeliest
    class, so items unlike all training images score high even where the softmax is certain. Good
    for finding what is missing; junk images are unlike the training set too, so look at the picks.

    Parameters
    ----------
    pool : Pool
        With `logits` (N, C).
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties.
    temperature : float
        Above 1, the other classes count more beside the highest.

    Returns
    -------
    Selection
        Scores are free energies, in the unit of the logits.

    References
    ----------
    Liu, W., Wang, X., Owens, J. and Li, Y. Energy-based Out-of-distribution Detection. NeurIPS
    2020.

    Xie, B. et al. Active Learning for Domain Adaptation: An Energy-Based Approach. AAAI 2022.
    """

    def score(logits: FloatArray) -> FloatArray:
        return free_energy(logits, temperature)

    return select(pool, rowwise(score, needed(pool.logits)), k, rng)


def free_energy(logits: FloatArray, temperature: float = 1.0) -> FloatArray:
    """Return −T · log Σ exp(logit / T) of `logits` (N, C), shape (N,)."""
    highest = logits.max(axis=1, keepdims=True)
    total = np.exp((logits - highest) / temperature).sum(axis=1)
    lowest: FloatArray = -highest[:, 0] - temperature * np.log(total)
    return lowest
