"""Which generated labels to ask a person about, blind: a fair sample of every class and level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from strategies.base import BoolArray, IntArray
from strategies.stream.machine.errors import StreamError


@dataclass(frozen=True, slots=True, eq=False)
class AuditSample:
    """Which generated labels to audit.

    Parameters
    ----------
    rows : array of int, shape (n,)
        Positions of the generated labels, in random order.
    extra : array of bool, shape (n,)
        Which of them were added so that every class has enough. Without these every label had the
        same chance, so the bound over all classes is of the others only; the bound of one class
        may use both.
    """

    rows: IntArray
    extra: BoolArray


def audit_sample(
    classes: ArrayLike,
    confidences: ArrayLike,
    share: float,
    rng: np.random.Generator,
    least: int = 0,
) -> AuditSample:
    """Draw the generated labels to audit, stratified by class and confidence.

    The labels are put in order by class and, within the class, by confidence; from a random start
    every so-manieth is taken (systematic sampling). So each has exactly the chance `share`, and
    every stretch of classes and confidences gives its share of the sample, to within one label.

    Parameters
    ----------
    classes : array of int, shape (N,)
        The generated labels.
    confidences : array of float, shape (N,)
        Their calibrated confidences.
    share : float
        The share to audit, 0 to 1.
    rng : numpy.random.Generator
        Draws the start, the order of equal confidences, and what is added.
    least : int
        How many to audit at least in every class (or all, where there are fewer).

    Returns
    -------
    AuditSample

    Raises
    ------
    StreamError
        When a number cannot be used.

    References
    ----------
    Madow, W. G. and Madow, L. H. On the Theory of Systematic Sampling. Annals of Mathematical
    Statistics 15(1), 1944.
    """
    labels, sure = np.asarray(classes), np.asarray(confidences)
    if labels.ndim != 1 or labels.shape != sure.shape:
        raise StreamError(f"{labels.shape} labels need as many confidences, not {sure.shape}.")
    if not 0 <= share <= 1 or least < 0:
        raise StreamError(f"Cannot audit a share of {share}, nor {least} per class.")
    order = np.lexsort((rng.random(len(labels)), sure, labels))
    fair = order[_every(len(order), share, rng)]
    taken = np.zeros(len(labels), bool)
    taken[fair] = True
    added = [
        rng.choice(rest, min(least - have, len(rest)), replace=False)
        for label in np.unique(labels)
        if (have := int(np.count_nonzero(taken & (labels == label)))) < least
        and len(rest := np.flatnonzero(~taken & (labels == label)))
    ]
    rows = np.concatenate([fair, *added]).astype(np.int64)
    shuffled = rng.permutation(len(rows))
    return AuditSample(rows[shuffled], (np.arange(len(rows)) >= len(fair))[shuffled])


def _every(n: int, share: float, rng: np.random.Generator) -> IntArray:
    """Return the places at which a running total of `share` passes a whole number."""
    start = rng.random()  # place i is taken when (i share, (i + 1) share] + start holds a number
    totals = np.floor(np.arange(n + 1) * share + start)
    return np.flatnonzero(np.diff(totals))
