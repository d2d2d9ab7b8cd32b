"""Trial children: one per recipe and item, made only to see what the model says of them."""

from __future__ import annotations

import numpy as np

from strategies.base import IntArray
from strategies.synthesis.planning.plan import Plan, draw_plan
from strategies.synthesis.recipes.recipe import Recipe


def trial_plans(
    ids: IntArray, recipes: tuple[Recipe, ...], rng: np.random.Generator
) -> tuple[tuple[Plan, ...], ...]:
    """Plan one child per recipe and item.

    Rendered, predicted and stacked in this order they are `Parents.child_probs` or, of validation
    items, `Parents.trial_child_probs`; the pictures are not kept. Where a recipe leaves a picture
    `Unchanged`, or fails on it, the item's own probabilities stand.

    Parameters
    ----------
    ids : array of int, shape (n,)
        The items; some hundreds say enough.
    recipes : tuple of Recipe, length R
        The recipes to try.
    rng : numpy.random.Generator
        Draws parameters and seeds.

    Returns
    -------
    tuple of tuple of Plan
        R rows of n plans.
    """
    return tuple(tuple(draw_plan(int(item), recipe, rng) for item in ids) for recipe in recipes)
