"""Mixtures of embeddings: the plan of one, and the vectors that plans make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.base import IntArray
from strategies.synthesis.planning.parents import Parents, known
from strategies.synthesis.planning.plan import Plan
from strategies.synthesis.recipes.errors import SynthesisError


def mixture(recipe: str, parent: int, partner: int, weight: float, score: float = 0.0) -> Plan:
    """Return the plan of a mixture: `weight` of the parent, the rest of its partner."""
    return Plan(
        int(parent), recipe, (("partner", int(partner)), ("weight", float(weight))), 0, score
    )


def blend(
    plans: Sequence[Plan], parents: Parents
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make the training examples of planned mixtures.

    Parameters
    ----------
    plans : sequence of Plan, length k
        Of `latent_mixup` or `interpolate`.
    parents : Parents
        With `embeddings` (M, D); holds every parent and partner.

    Returns
    -------
    vectors : array of float32, shape (k, D)
        weight × parent + (1 - weight) × partner.
    targets : array of float32, shape (k, C)
        The same mixture of their labels; the rows sum to one.

    Raises
    ------
    SynthesisError
        When a plan is not one of a mixture, or an item is not among the parents.
    """
    vectors = known(parents.embeddings)
    first, second, weights = _parts(plans, parents.ids)
    targets = np.zeros((len(plans), parents.class_count), np.float32)
    rows = np.arange(len(plans))
    np.add.at(targets, (rows, parents.classes[first]), weights)
    np.add.at(targets, (rows, parents.classes[second]), 1 - weights)
    share = weights[:, None]
    mixed = share * vectors[first] + (1 - share) * vectors[second]
    return mixed.astype(np.float32), targets


def _parts(plans: Sequence[Plan], ids: IntArray) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return the rows of the parents and of their partners, and the weights (k,)."""
    row_of = {int(item): row for row, item in enumerate(ids)}
    try:
        first = [row_of[plan.parent] for plan in plans]
        second = [row_of[int(plan.values["partner"])] for plan in plans]
        weights = [float(plan.values["weight"]) for plan in plans]
    except KeyError as error:
        raise SynthesisError(
            f"{error} is not there: the plan is not one of a mixture, or its item is no parent."
        ) from error
    return np.array(first, np.int64), np.array(second, np.int64), np.array(weights, np.float64)
