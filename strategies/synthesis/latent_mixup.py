"""Latent mixup: points on the line between two embeddings, with labels mixed alike."""

from __future__ import annotations

import numpy as np

from strategies.base import Needs
from strategies.synthesis.planning.mixing import mixture
from strategies.synthesis.planning.parents import Parents
from strategies.synthesis.planning.plan import Plan
from strategies.synthesis.planning.quotas import in_turn
from strategies.synthesis.planning.register import synthesis_strategy
from strategies.synthesis.recipes.errors import SynthesisError


@synthesis_strategy("latent_mixup", needs=Needs.EMBEDDINGS, pictures=False)
def latent_mixup(
    parents: Parents, k: int, rng: np.random.Generator, alpha: float = 0.2
) -> tuple[Plan, ...]:
    """Plan mixtures of two labelled embeddings, of any classes, whose labels are mixed alike.

    Smooths the head between the classes, and costs no picture; the paper mixes pictures, this the
    embeddings. There is nothing to show to a person, so such children cannot be checked.

    Parameters
    ----------
    parents : Parents
        With `embeddings` (M, D), which `blend` mixes. With fewer than two there is no mixture.
    k : int
        How many to plan, at least 1.
    rng : numpy.random.Generator
        Draws parents (who take turns), partners and weights.
    alpha : float
        The weights are of Beta(α, α): small for mixtures near one of the two, 1 for all alike.

    Returns
    -------
    tuple of Plan, length k
        With `partner` and `weight`, at least a half: the parent is the nearer one. Scores are 0.

    References
    ----------
    Zhang, H., Cisse, M., Dauphin, Y. N. and Lopez-Paz, D. mixup: Beyond Empirical Risk
    Minimization. ICLR 2018.
    """
    if not alpha > 0:
        raise SynthesisError(f"alpha must be above 0, not {alpha}.")
    n = len(parents)
    if n < 2:
        return ()
    turns = in_turn(np.arange(n), rng)
    plans = []
    for weight in rng.beta(alpha, alpha, k).tolist():
        first = next(turns)
        second = (first + int(rng.integers(1, n))) % n  # any but the first
        plans.append(
            mixture(
                "latent_mixup", parents.ids[first], parents.ids[second], max(weight, 1 - weight)
            )
        )
    return tuple(plans)
