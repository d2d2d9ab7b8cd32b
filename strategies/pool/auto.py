"""Auto: covers the pool while labels are few, asks about the closest calls when they are many."""

from __future__ import annotations

import dataclasses

import numpy as np

from strategies.base import Needs, Pool, Selection, needed
from strategies.pool.margin import margin
from strategies.pool.max_herding import max_herding
from strategies.pool.uncertainty_herding import uncertainty_herding
from strategies.registry import pool_strategy

MANY = 100  # labels per class, on average, from which on margin does as well: docs/strategies.md


@pool_strategy("auto", needs=Needs.PROBS | Needs.EMBEDDINGS | Needs.LABELLED)
def auto(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Pick by coverage first, by coverage of what is uncertain then, by margin in the end.

    Without labels `max_herding` picks; from the first label on `uncertainty_herding`, which by
    itself shifts from covering the pool to asking the closest calls; from 100 labels per class on
    `margin`, which does as well by then and looks at the whole of a pool of any size. A good choice
    when in doubt.

    Parameters
    ----------
    pool : Pool
        With calibrated `probs` (N, C), `embeddings` (N, D) and the labelled items, if any.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        For the strategy that picks.

    Returns
    -------
    Selection
        Scores are those of the strategy that picked; `parts` names it.

    References
    ----------
    Hacohen, G. and Weinshall, D. How to Select Which Active Learning Strategy is Best Suited for
    Your Specific Problem and Budget. NeurIPS 2023 (that the budget decides; the rule is ours).
    """
    name = choice(len(needed(pool.labelled_classes)), pool.classes)
    strategy = {
        "max_herding": max_herding,
        "uncertainty_herding": uncertainty_herding,
        "margin": margin,
    }[name]
    selection = strategy(pool, k, rng)
    return dataclasses.replace(selection, parts=(name,) * len(selection))


def choice(labelled: int, classes: int) -> str:
    """Return the name of the strategy that `auto` picks by, with so many labels and classes."""
    if labelled == 0:
        return "max_herding"
    return "uncertainty_herding" if labelled < MANY * classes else "margin"
