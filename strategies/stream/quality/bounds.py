"""After the audit: how many generated labels may be wrong, at worst."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from strategies.stream.machine.errors import StreamError

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ErrorBound:
    """What an audit of `audited` labels, `wrong` of them wrong, says of the error rate.

    `rate` is the share that was wrong (0 when none was audited); `upper` is the bound below which
    the true error rate lies with the level asked for.
    """

    audited: int
    wrong: int
    rate: float
    upper: float


def error_bound(wrong: int, audited: int, level: float = LEVEL) -> ErrorBound:
    """Return the error rate of audited labels and its one-sided upper Clopper-Pearson bound.

    Parameters
    ----------
    wrong : int
        How many of the audited labels were wrong.
    audited : int
        How many were audited, drawn at random; with none the bound is 1.
    level : float
        How sure the bound is, above 0 and below 1.

    Returns
    -------
    ErrorBound

    Raises
    ------
    StreamError
        When the numbers do not fit together.

    References
    ----------
    Clopper, C. J. and Pearson, E. S. The Use of Confidence or Fiducial Limits Illustrated in the
    Case of the Binomial. Biometrika 26(4), 1934.
    """
    if not 0 <= wrong <= audited or not 0 < level < 1:
        raise StreamError(f"There is no bound for {wrong} of {audited} at the level {level}.")
    upper = 1.0 if wrong == audited else float(betaincinv(wrong + 1, audited - wrong, level))
    return ErrorBound(audited, wrong, wrong / audited if audited else 0.0, upper)


def error_bounds(
    generated: ArrayLike, truth: ArrayLike, classes: int, level: float = LEVEL
) -> tuple[ErrorBound, ...]:
    """Return the error bound of each class of generated labels.

    Parameters
    ----------
    generated : array of int, shape (n,)
        The generated labels of the audited items, 0 to C - 1.
    truth : array of int, shape (n,)
        What the person said.
    classes : int
        C, the number of classes.
    level : float
        How sure each bound is by itself, above 0 and below 1.

    Returns
    -------
    tuple of ErrorBound, length C
        By generated label: of the labels "3", how many are not a 3.

    Raises
    ------
    StreamError
        When the arrays do not fit together.
    """
    labels, right = np.asarray(generated, np.int64), np.asarray(truth, np.int64)
    if labels.ndim != 1 or labels.shape != right.shape:
        raise StreamError(f"{labels.shape} generated labels need as many answers: {right.shape}.")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise StreamError(f"Generated labels must be 0 to {classes - 1}.")
    audited = np.bincount(labels, minlength=classes)
    wrong = np.bincount(labels[labels != right], minlength=classes)
    return tuple(error_bound(int(w), int(n), level) for w, n in zip(wrong, audited, strict=True))


def audits_needed(upper: float, level: float = LEVEL) -> int:
    """Return how many labels to audit so that none wrong among them bounds the error by `upper`.

    59 for 5 % and 299 for 1 %, at a level of 95 %.

    Raises
    ------
    StreamError
        When `upper` or `level` is not above 0 and below 1.
    """
    if not (0 < upper < 1 and 0 < level < 1):
        raise StreamError(f"No number of audits bounds the error by {upper} at the level {level}.")
    needed = math.log1p(-level) / math.log1p(-upper)
    return math.ceil(needed - 1e-9)
