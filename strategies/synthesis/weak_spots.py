"""Weak spots: children by the recipes under which the model gets worse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.base import FloatArray, IntArray, Needs
from strategies.synthesis.planning.parents import Parents, known
from strategies.synthesis.planning.plan import Plan, draw_plan
from strategies.synthesis.planning.quotas import in_turn, share
from strategies.synthesis.planning.register import synthesis_strategy


@synthesis_strategy("weak_spots", needs=Needs.TRIAL_PROBS)
def weak_spots(parents: Parents, k: int, rng: np.random.Generator) -> tuple[Plan, ...]:
    """Plan children by the recipes under which accuracy drops most.

    One trial child per recipe and validation item was predicted; a recipe gets its share by how
    much lower the accuracy is than on the items themselves. Aimed at conditions the model will
    meet: it says which of them hurt. Recipes that do no harm get nothing, unless none does.

    Parameters
    ----------
    parents : Parents
        With `trial_classes` (V,), `trial_probs` (V, C) and `trial_child_probs` (R, V, C).
    k : int
        How many to plan, at least 1.
    rng : numpy.random.Generator
        Draws the parents, who take turns, and parameters and seeds.

    Returns
    -------
    tuple of Plan, length k
        Worst recipe first. Scores are the drops in accuracy, 1 being all of it; below 0 the model
        was better on the children.

    References
    ----------
    Hendrycks, D. and Dietterich, T. Benchmarking Neural Network Robustness to Common Corruptions
    and Perturbations. ICLR 2019.
    """
    drops = accuracy_drops(
        known(parents.trial_classes), known(parents.trial_probs), known(parents.trial_child_probs)
    )
    quotas = share(np.maximum(drops, 0), k, rng)
    turns = in_turn(np.arange(len(parents)), rng)
    return tuple(
        draw_plan(int(parents.ids[next(turns)]), parents.recipes[row], rng, drops[row])
        for row in np.argsort(-drops, kind="stable")
        for _ in range(quotas[row])
    )


def accuracy_drops(
    classes: IntArray, probs: FloatArray, child_probs: FloatArray
) -> NDArray[np.float64]:
    """Return per recipe how much lower the accuracy on its trial children is.

    Parameters
    ----------
    classes : array of int, shape (V,)
        The labels.
    probs : array of float, shape (V, C)
        Probabilities of the items.
    child_probs : array of float, shape (R, V, C)
        The same of their trial children.

    Returns
    -------
    array of float, shape (R,)
        Accuracy on the items minus accuracy on the children; 0 when there are no items.
    """
    if not len(classes):
        return np.zeros(len(child_probs))
    right = (probs.argmax(axis=1) == classes).mean()
    drops: NDArray[np.float64] = right - (child_probs.argmax(axis=2) == classes).mean(axis=1)
    return drops
