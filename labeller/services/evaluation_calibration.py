"""Calibration: whether confidences mean what they say, before and after temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.services.evaluation import calibration_error
from labeller.services.evaluation_scores import wilson

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

BINS = 10
FEWEST = 20  # validation labels; what fewer of them say of a temperature is chance


@dataclass(frozen=True, slots=True)
class Bin:
    """`n` items whose confidence lies above `start` and up to `end`.

    `confidence` is their mean; `accuracy` the share that is right, with Wilson's 95 % interval.
    """

    start: float
    end: float
    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reliability after temperature scaling, and the expected calibration error on either side."""

    temperature: float
    ece_before: float
    ece_after: float
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]


def reliability(probs: Floats, truth: Ints, bins: int = BINS) -> tuple[Bin, ...]:
    """Return confidence and accuracy of the items, by confidence.

    Parameters
    ----------
    probs : array of float, shape (n, C)
        Rows sum to one.
    truth : array of int, shape (n,)
        True columns.
    bins : int
        Equal-width bins of confidence, each closed above; empty ones are left out.

    References
    ----------
    Guo, C. et al. On Calibration of Modern Neural Networks. ICML 2017, section 2.
    """
    if not len(truth):
        return ()
    confidence = probs.max(axis=1).astype(np.float64)
    right = probs.argmax(axis=1) == truth
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    found = []
    for place in np.unique(which).tolist():
        inside = which == place
        n, good = int(inside.sum()), int(right[inside].sum())
        low, high = wilson(good, n)
        mean = float(confidence[inside].mean())
        found.append(Bin(place / bins, (place + 1) / bins, n, mean, good / n, low, high))
    return tuple(found)


def untempered(probs: Floats, temperature: float) -> Floats:
    """Return what probabilities were before temperature scaling.

    With p = softmax(z / T), T·log p is z up to a constant of each row: its softmax is softmax(z).

    Parameters
    ----------
    probs : array of float, shape (n, C)
        After scaling; what is 0 stays 0.
    temperature : float
        T, above 0.
    """
    with np.errstate(divide="ignore"):
        logits = temperature * np.log(np.asarray(probs, np.float64))
    logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
    raised = np.exp(logits)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)


def calibration(before: Floats, after: Floats, truth: Ints, temperature: float) -> Calibration:
    """Measure probabilities (n, C), n at least 1, before and after temperature scaling."""
    return Calibration(
        temperature=temperature,
        ece_before=calibration_error(before, truth),
        ece_after=calibration_error(after, truth),
        before=reliability(before, truth),
        after=reliability(after, truth),
    )
