"""Disagreement: children of the parents whose augmented versions change the model's mind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.base import FloatArray, IntArray, Needs
from strategies.synthesis.planning.parents import Parents, known
from strategies.synthesis.planning.plan import Plan, draw_plan
from strategies.synthesis.planning.register import synthesis_strategy

LEAST = 1e-7  # a probability of zero counts as this, so that no divergence is infinite


@synthesis_strategy("disagreement", needs=Needs.LABELLED_PROBS | Needs.CHILD_PROBS)
def disagreement(
    parents: Parents, k: int, rng: np.random.Generator, each: int = 2
) -> tuple[Plan, ...]:
    """Plan children by the recipes, and of the parents, that change the prediction most.

    One trial child per recipe and parent was predicted; the pairs of recipe and parent are ranked
    by the divergence KL(p(parent) ‖ p(child)). Teaches the model what it does not yet see through.
    Where a recipe destroys what makes the class, it ranks high as well: have such children checked.

    Parameters
    ----------
    parents : Parents
        With `probs` (M, C) and `child_probs` (R, M, C).
    k : int
        How many to plan, at least 1.
    rng : numpy.random.Generator
        Breaks ties; draws parameters and seeds anew.
    each : int
        So many children of a parent before others have their turn, at least 1.

    Returns
    -------
    tuple of Plan, length k
        Scores are the divergences of the trial children, in nats. When all pairs are used they are
        used again, with other parameters.

    References
    ----------
    Gao, M., Zhang, Z., Yu, G., Arik, S. O., Davis, L. S. and Pfister, T. Consistency-Based
    Semi-Supervised Active Learning: Towards Minimizing Labeling Cost. ECCV 2020.
    """
    divergence = divergences(known(parents.probs), known(parents.child_probs))
    recipe_rows, parent_rows = _ranked(divergence, max(1, each), rng)
    pairs = np.resize(np.arange(len(recipe_rows)), k)  # over again when there are too few
    return tuple(
        draw_plan(
            int(parents.ids[parent]), parents.recipes[recipe], rng, divergence[recipe, parent]
        )
        for recipe, parent in zip(recipe_rows[pairs], parent_rows[pairs], strict=True)
    )


def divergences(probs: FloatArray, child_probs: FloatArray) -> NDArray[np.float64]:
    """Return KL(p ‖ q) (R, M), in nats, of `probs` (M, C) and `child_probs` (R, M, C)."""
    p = np.asarray(probs, np.float64)
    logs = np.log(np.maximum(p, LEAST)) - np.log(np.maximum(child_probs, LEAST))
    divergence: NDArray[np.float64] = np.maximum((p * logs).sum(axis=2), 0)
    return divergence


def _ranked(
    divergence: NDArray[np.float64], each: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return recipe and parent of all pairs: best first, `each` of a parent in every round."""
    shuffled = rng.permutation(divergence.size)
    order = shuffled[np.argsort(-divergence.ravel()[shuffled], kind="stable")]
    recipes, owners = np.divmod(order, divergence.shape[1])
    by_owner = np.argsort(owners, kind="stable")
    turn = np.empty(len(order), np.int64)
    # within an owner the pairs stand in order; all owners have as many
    turn[by_owner] = np.tile(np.arange(divergence.shape[0]), divergence.shape[1])
    rounds = np.argsort(turn // each, kind="stable")
    return recipes[rounds], owners[rounds]
