"""How far confidences can be believed, and how many labels will be wrong, from a random sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, expit, log_expit, logit

from strategies.base import FloatArray
from strategies.stream.machine.errors import StreamError
from strategies.stream.quality.bounds import LEVEL

SURE = 1e-6  # confidences nearer to 0 or 1 than this count as this near
SPREAD = (0.5, 1.0)  # standard deviations of log slope and shift before anything is seen
LEVELS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)  # shares of labels that end a level of confidence
LEAST = 5  # checked predictions in a level


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a confidence is worth: a straight line between log odds, fitted on `n` items."""

    slope: float = 1.0
    shift: float = 0.0
    n: int = 0

    def chances(self, confidences: ArrayLike) -> NDArray[np.float64]:
        """Return how likely predictions (n,) of these confidences are right."""
        sure = np.asarray(confidences, np.float64)
        if not self.n:
            return sure
        odds = logit(np.clip(sure, SURE, 1 - SURE))
        return np.asarray(expit(self.slope * odds + self.shift), np.float64)

    def confidence(self, chance: float) -> float:
        """Return the confidence from which predictions are right with this chance."""
        if not self.n:
            return chance
        odds = (float(logit(np.clip(chance, SURE, 1 - SURE))) - self.shift) / self.slope
        return float(expit(odds))


def fit_reliability(confidences: ArrayLike, right: ArrayLike) -> Reliability:
    """Fit what confidences are worth on predictions that were checked.

    A prior keeps it near what the confidences say of themselves while few are checked; its weight
    is that of a few items.

    Parameters
    ----------
    confidences : array of float, shape (n,)
        Of predictions drawn at random, of which the model learned nothing; n may be 0.
    right : array of bool, shape (n,)
        Whether each was right.

    Raises
    ------
    StreamError
        When the arrays do not fit together.

    References
    ----------
    Platt, J. Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized
    Likelihood Methods. Advances in Large Margin Classifiers, 1999.
    """
    sure, good = _pair(confidences, right)
    if not len(sure):
        return Reliability()
    odds = logit(np.clip(sure, SURE, 1 - SURE))
    signs = np.where(good, 1.0, -1.0)

    def loss(place: NDArray[np.float64]) -> float:
        log_slope, shift = place
        likelihood = log_expit(signs * (math.exp(log_slope) * odds + shift)).sum()
        prior = (log_slope / SPREAD[0]) ** 2 + (shift / SPREAD[1]) ** 2
        return float(prior / 2 - likelihood)

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=((-3, 3), (-10, 10)))
    return Reliability(float(math.exp(found.x[0])), float(found.x[1]), len(sure))


@dataclass(frozen=True, slots=True)
class Wrong:
    """How many of some labels are expected to be wrong, and between which numbers at 95 %.

    `checked` is how many comparable predictions were checked for it; with none the numbers are
    those of any share.
    """

    expected: float
    low: float
    high: float
    checked: int


def count_wrong(
    labels: ArrayLike,
    checked: ArrayLike,
    right: ArrayLike,
    *,
    reliability: Reliability,
    scale: float = 1.0,
    level: float = LEVEL,
) -> Wrong:
    """Say how many of some labels are wrong, from predictions that were checked.

    Parameters
    ----------
    labels : array of float, shape (N,)
        Confidences of the labels.
    checked : array of float, shape (m,)
        Confidences of predictions that would have become such labels, drawn at random.
    right : array of bool, shape (m,)
        Whether each was right.
    reliability : Reliability
        Gives the number that is expected.
    scale : float
        How many labels each of `labels` stands for.
    level : float
        How sure the interval is, above 0 and below 1.

    Returns
    -------
    Wrong
        Its interval is Clopper and Pearson's for the share of wrong ones among the checked,
        weighted so that they lie among the levels of confidence as the labels do (Korn and
        Graubard's effective number), and widened by the chance in the labels themselves. It does
        not rest on the confidences.

    References
    ----------
    Korn, E. L. and Graubard, B. I. Confidence Intervals for Proportions with Small Expected Number
    of Positive Counts Estimated from Survey Data. Survey Methodology 24(2), 1998.
    """
    given = np.asarray(labels, np.float64)
    sure, good = _pair(checked, right)
    total = len(given) * scale
    expected = float((1 - reliability.chances(given)).sum()) * scale
    weights = comparable(given, sure) if len(given) else np.zeros(len(sure))
    alike = int(np.count_nonzero(weights))
    if not alike:
        return Wrong(expected, 0.0, total, 0)
    rate = float((weights * ~good).sum() / weights.sum())
    number = float(weights.sum() ** 2 / (weights**2).sum())
    number *= total / (number + total)  # the labels are a draw of chance themselves
    wrong, tail = rate * number, (1 - level) / 2
    low = float(betaincinv(wrong, number - wrong + 1, tail)) if wrong > 0 else 0.0
    high = float(betaincinv(wrong + 1, number - wrong, 1 - tail)) if rate < 1 else 1.0
    low, high = math.floor(low * total), min(total, math.ceil(high * total))
    return Wrong(min(max(expected, low), high), low, high, alike)


def comparable(labels: ArrayLike, checked: ArrayLike) -> FloatArray:
    """Return weights (m,) with which checked predictions are as sure as some labels are.

    Parameters
    ----------
    labels : array of float, shape (N,)
        Confidences, N at least 1.
    checked : array of float, shape (m,)
        Confidences.

    Returns
    -------
    array of float, shape (m,)
        Every level of confidence weighs as many as there are labels in it, and what is less sure
        than all labels weighs nothing. Levels are narrow where labels are least sure, as most
        errors are there, and fewer where one would hold fewer than five of the checked.
    """
    given, sure = np.asarray(labels, np.float64), np.asarray(checked, np.float64)
    alike = sure >= given.min()
    edges: list[float] = []
    for edge in np.unique(np.quantile(given, LEVELS)).tolist():
        above = sure > (edges[-1] if edges else -1.0)
        inside = np.count_nonzero(alike & above & (sure <= edge))
        if inside >= LEAST and np.count_nonzero(sure > edge) >= LEAST:
            edges.append(edge)
    place = np.searchsorted(edges, sure)
    ours = np.bincount(np.searchsorted(edges, given), minlength=len(edges) + 1)
    theirs = np.bincount(place[alike], minlength=len(edges) + 1)
    weights = (ours / len(given))[place] / np.maximum(theirs, 1)[place]
    return np.where(alike, weights, 0.0)


def _pair(
    confidences: ArrayLike, right: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidences and whether they were right as arrays of one length."""
    sure, good = np.asarray(confidences, np.float64), np.asarray(right, bool)
    if sure.ndim != 1 or sure.shape != good.shape:
        raise StreamError(f"{sure.shape} confidences need as many answers, not {good.shape}.")
    return sure, good
