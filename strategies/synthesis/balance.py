"""Balance: new items for the classes that have fewest."""

from __future__ import annotations

import numpy as np

from strategies.base import Needs
from strategies.synthesis.planning.parents import Parents
from strategies.synthesis.planning.plan import Plan, draw_plan
from strategies.synthesis.planning.quotas import in_turn, level
from strategies.synthesis.planning.register import synthesis_strategy


@synthesis_strategy("balance", needs=Needs.NOTHING)
def balance(parents: Parents, k: int, rng: np.random.Generator) -> tuple[Plan, ...]:
    """Plan new items for the rarest classes first, until all have as many.

    Each goes to the class that has fewest by then. In a class all parents take turns, and so do
    the recipes; so no parent has two children more than another, and no recipe is used twice
    before all of them are. Helps where a class is rare in the training set and not where it is
    missing: a class without a parent gets nothing.

    Parameters
    ----------
    parents : Parents
        The labelled items; `counts` say how many a class has already.
    k : int
        How many to plan, at least 1.
    rng : numpy.random.Generator
        Draws the order of the turns, parameters and seeds.

    Returns
    -------
    tuple of Plan, length k
        Rarest class first. Scores are minus the number of items that the class had by then.

    References
    ----------
    Buda, M., Maki, A. and Mazurowski, M. A. A Systematic Study of the Class Imbalance Problem in
    Convolutional Neural Networks. Neural Networks 106, 2018.
    """
    counts = parents.totals.copy()
    members = [np.flatnonzero(parents.classes == c) for c in range(parents.class_count)]
    rows = [in_turn(own, rng) for own in members]
    recipes = [in_turn(np.arange(len(parents.recipes)), rng) for _ in members]
    able = np.array([len(own) > 0 for own in members])
    plans = []
    for column in level(counts, able, k, rng):
        recipe = parents.recipes[next(recipes[column])]
        row = next(rows[column])
        plans.append(draw_plan(int(parents.ids[row]), recipe, rng, -float(counts[column])))
        counts[column] += 1
    return tuple(plans)
