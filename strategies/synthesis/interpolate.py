"""Interpolate: points between an embedding of a rare class and a near one of the same class."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs
from strategies.synthesis.planning.mixing import mixture
from strategies.synthesis.planning.parents import Parents, known
from strategies.synthesis.planning.plan import Plan
from strategies.synthesis.planning.quotas import in_turn, level
from strategies.synthesis.planning.register import synthesis_strategy
from strategies.synthesis.recipes.errors import SynthesisError
from strategies.vectors import blocks, squared_distances


@synthesis_strategy("interpolate", needs=Needs.EMBEDDINGS, pictures=False)
def interpolate(
    parents: Parents, k: int, rng: np.random.Generator, neighbours: int = 5
) -> tuple[Plan, ...]:
    """Plan points between neighbours of one class, rarest class first (SMOTE).

    Each goes to the class that has fewest by then, between one of its items and one of that item's
    nearest neighbours in the class. Fills the region of a rare class and costs no picture; a class
    with fewer than two items gets nothing, and stray labels spread.

    Parameters
    ----------
    parents : Parents
        With `embeddings` (M, D); `counts` say how many a class has already.
    k : int
        How many to plan, at least 1.
    rng : numpy.random.Generator
        Draws the order of the parents (who take turns), the neighbour and the weight.
    neighbours : int
        Among how many nearest ones the partner is drawn, at least 1.

    Returns
    -------
    tuple of Plan, length k
        With `partner` and `weight`, the parent's share. Empty when no class has two items. Scores
        are minus the number of items that the class had by then.

    References
    ----------
    Chawla, N. V., Bowyer, K. W., Hall, L. O. and Kegelmeyer, W. P. SMOTE: Synthetic Minority
    Over-sampling Technique. Journal of Artificial Intelligence Research 16, 2002.
    """
    if neighbours < 1:
        raise SynthesisError(f"neighbours must be at least 1, not {neighbours}.")
    vectors, counts = known(parents.embeddings), parents.totals.copy()
    members = [np.flatnonzero(parents.classes == c) for c in range(parents.class_count)]
    able = np.array([len(own) > 1 for own in members])
    turns = [in_turn(np.arange(len(own)), rng) for own in members]
    drawn = [(c, next(turns[c])) for c in level(counts, able, k, rng)]
    wanted: dict[int, set[int]] = {}
    for column, place in drawn:
        wanted.setdefault(column, set()).add(place)
    near = {
        column: nearest(vectors[members[column]], np.array(sorted(places)), neighbours)
        for column, places in wanted.items()
    }
    plans = []
    for column, place in drawn:
        own, around = members[column], near[column][place]
        partner = own[around[rng.integers(len(around))]]
        weight = 1 - float(rng.random())  # the gap of the paper is what the partner gets
        item, other = parents.ids[own[place]], parents.ids[partner]
        plans.append(mixture("interpolate", item, other, weight, -float(counts[column])))
        counts[column] += 1
    return tuple(plans)


def nearest(vectors: FloatArray, places: IntArray, count: int) -> dict[int, IntArray]:
    """Return the nearest others of some vectors.

    Parameters
    ----------
    vectors : array of float, shape (n, D)
        The items of one class, n > 1.
    places : array of int, shape (p,)
        Whose neighbours are wanted.
    count : int
        How many; all others when there are fewer.

    Returns
    -------
    dict of int to array of int
        By place, the places of the `count` nearest by Euclidean distance.
    """
    count = min(count, len(vectors) - 1)
    found: dict[int, IntArray] = {}
    for part in blocks(len(places), len(vectors) * 2):
        own = places[part]
        squared = squared_distances(vectors[own], vectors)
        squared[np.arange(len(own)), own] = np.inf  # nobody is their own neighbour
        columns = np.argpartition(squared, count - 1, axis=1)[:, :count]
        found.update(zip(own.tolist(), columns, strict=True))
    return found
