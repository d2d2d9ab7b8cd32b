"""Temperature scaling: make confidences mean what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from labeller.services.evaluation_calibration import FEWEST

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

SPREAD = 0.5  # standard deviation of log T before anything is seen
LIMIT = 3.0  # log T lies within plus and minus this
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature, and how it came about.

    Attributes
    ----------
    value : float
        T > 0; probabilities are ``softmax(logits / T)``.
    n : int
        Labels that it was to be fitted on.
    gain, error : float or None
        By how much labels that had no part in a fit became likelier by it, in nats a label, and the
        standard error of that; None while there are too few labels to try.
    """

    value: float
    n: int
    gain: float | None = None
    error: float | None = None

    @property
    def fitted(self) -> bool:
        """Whether a fit made held-out confidences better; else the temperature is 1."""
        return self.gain is not None and self.error is not None and self.gain > self.error


def choose_temperature(logits: Floats, truth: Ints, groups: Ints | None = None) -> Temperature:
    """Return the temperature that was fitted where that makes confidences better, else 1.

    Parameters
    ----------
    logits : array of float, shape (n, C)
        Of items that were not trained on; n may be 0.
    truth : array of int, shape (n,)
        True columns.
    groups : array of int, shape (n,), optional
        Items of one group are fitted on or held out together; by default each is alone.

    Returns
    -------
    Temperature
        The fit on all labels when, in a ten-fold cross-validation, the labels held out became
        likelier by more than a standard error; else, and for fewer than 20 labels, 1.
    """
    n = len(truth)
    apart = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)[1]
    if n < FEWEST or apart.max() < 1:
        return Temperature(1.0, n)
    fold = (np.random.default_rng(0).permutation(apart.max() + 1) % FOLDS)[apart]
    gains = np.empty(n)
    for held in (fold == number for number in np.unique(fold)):
        fitted = fit_temperature(logits[~held], truth[~held])
        before, after = (_log_likelihood(logits[held], truth[held], t) for t in (1.0, fitted))
        gains[held] = after - before
    found = Temperature(1.0, n, float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(n)))
    return replace(found, value=fit_temperature(logits, truth)) if found.fitted else found


def fit_temperature(logits: Floats, truth: Ints) -> float:
    """Return the temperature that makes the true classes likeliest.

    A prior keeps it near 1 while there are few items: a handful that happens to be all right
    would else ask for boundless confidence. Its weight is that of about one item.

    Parameters
    ----------
    logits : array of float, shape (n, C)
        Of items that were not trained on; n may be 0.
    truth : array of int, shape (n,)
        True columns.

    Returns
    -------
    float
        T > 0; probabilities are ``softmax(logits / T)``. 1 when there are no items.

    References
    ----------
    Guo, C. et al. On Calibration of Modern Neural Networks. ICML 2017.
    """
    if not len(truth):
        return 1.0

    def loss(log_t: float) -> float:
        likelihood = _log_likelihood(logits, truth, np.exp(log_t)).sum()
        return float(-likelihood + log_t**2 / (2 * SPREAD**2))

    found = minimize_scalar(loss, bounds=(-LIMIT, LIMIT), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def _log_likelihood(logits: Floats, truth: Ints, temperature: float) -> NDArray[np.float64]:
    """Return the log probability (n,) of each true class."""
    scaled = np.asarray(logits, np.float64) / temperature
    found: NDArray[np.float64] = log_softmax(scaled, axis=1)[np.arange(len(truth)), truth]
    return found


def probabilities(logits: Floats, temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the softmax of logits (..., C) at a temperature, float32 with rows that sum to one."""
    exact = softmax(np.asarray(logits, np.float64) / temperature, axis=-1)
    return np.asarray(exact, np.float32)
