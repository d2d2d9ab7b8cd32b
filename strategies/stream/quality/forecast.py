"""Before the run: what a threshold would cost, and how many generated labels would be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.base import FloatArray, IntArray
from strategies.stream.machine.errors import StreamError
from strategies.stream.machine.state import NEVER


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Per threshold what to expect when less sure items are asked about and the others accepted.

    Parameters
    ----------
    thresholds : array of float, shape (T,)
    questions : array of int, shape (T,)
        Items below the threshold.
    generated : array of int, shape (T,)
        Items at or above it.
    errors : array of float, shape (T,)
        How many of the generated labels are expected to be wrong.
    error_rates : array of float, shape (T,)
        The same as a share of them; 0 where none is generated.
    """

    thresholds: FloatArray
    questions: IntArray
    generated: IntArray
    errors: FloatArray
    error_rates: FloatArray


def forecast(
    confidences: ArrayLike,
    thresholds: ArrayLike | None = None,
    chances: ArrayLike | None = None,
) -> Forecast:
    """Return the expected questions and errors against the threshold.

    A calibrated confidence p is wrong with probability 1 - p; so the expectation needs no labels,
    and is as good as the calibration. The hard cap of the labels left is not in it.

    Parameters
    ----------
    confidences : array of float, shape (N,)
        Calibrated probabilities of the predicted classes.
    thresholds : array of float, shape (T,), optional
        Where to look; by default 0, 0.01, ... 1.
    chances : array of float, shape (N,), optional
        How likely each prediction is right, where that is better known than by its confidence.

    Returns
    -------
    Forecast

    Raises
    ------
    StreamError
        When a confidence is not a probability.
    """
    values = _probabilities(confidences)
    order = np.argsort(values, kind="stable")
    ordered, right = values[order], _chances(values, chances)[order]
    at = np.linspace(0, 1, 101) if thresholds is None else np.asarray(thresholds, np.float64)
    questions = np.searchsorted(ordered, at, side="left").astype(np.int64)
    errors = _sums_from(1 - right)[questions]
    generated = len(ordered) - questions
    rates = np.divide(errors, generated, out=np.zeros_like(errors), where=generated > 0)
    return Forecast(at, questions, generated, errors, rates)


def acceptance_thresholds(
    confidences: ArrayLike,
    predicted: ArrayLike,
    classes: int,
    error: float,
    chances: ArrayLike | None = None,
) -> tuple[float, ...]:
    """Return per class the lowest confidence from which its labels may be generated.

    Parameters
    ----------
    confidences : array of float, shape (N,)
        Calibrated probabilities of the predicted classes.
    predicted : array of int, shape (N,)
        The predicted classes, 0 to C - 1.
    classes : int
        C, the number of classes.
    error : float
        The share of wrong ones, expected from the confidences, that is allowed in every class.
    chances : array of float, shape (N,), optional
        How likely each prediction is right, where that is better known than by its confidence.

    Returns
    -------
    tuple of float, length C
        For `start(accept_from=...)`; `NEVER` for a class of which no item is sure enough.

    Raises
    ------
    StreamError
        When a confidence is not a probability, or a class is not there.
    """
    values, columns = _probabilities(confidences), np.asarray(predicted)
    if columns.shape != values.shape:
        raise StreamError(f"{len(values)} confidences need as many predictions: {columns.shape}.")
    if columns.size and not (columns.min() >= 0 and columns.max() < classes):
        raise StreamError(f"Predicted classes must be 0 to {classes - 1}.")
    limits, right = [], _chances(values, chances)
    for column in range(classes):
        among = np.flatnonzero(columns == column)
        among = among[np.argsort(values[among], kind="stable")]
        ordered = values[among]
        expected = _sums_from(1 - right[among])[:-1] / np.arange(len(ordered), 0, -1)
        # a run of equal confidences is accepted as a whole or not at all
        first = np.flatnonzero(np.diff(ordered, prepend=-1.0) > 0)
        allowed = first[expected[first] <= error]
        limits.append(float(ordered[allowed[0]]) if len(allowed) else NEVER)
    return tuple(limits)


def _sums_from(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums (N + 1,) of `values` (N,) from each place to the end; the last is 0."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])


def _chances(values: NDArray[np.float64], chances: ArrayLike | None) -> NDArray[np.float64]:
    """Return how likely predictions (N,) are right: their confidences unless it is given."""
    if chances is None:
        return values
    right = _probabilities(chances)
    if right.shape != values.shape:
        raise StreamError(f"{len(values)} confidences need as many chances: {right.shape}.")
    return right


def _probabilities(confidences: ArrayLike) -> NDArray[np.float64]:
    """Return confidences as float64 (N,), or raise `StreamError`."""
    values: NDArray[Any] = np.asarray(confidences, np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise StreamError("Confidences must be one row of probabilities, 0 to 1.")
    return values
