"""Temperature scaling: make confidences mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

SPREAD = 0.5  # standard deviation of log T before anything is seen
LIMIT = 3.0  # log T lies within plus and minus this


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
    rows = np.arange(len(truth))
    exact = logits.astype(np.float64)

    def loss(log_t: float) -> float:
        likelihood = log_softmax(exact * np.exp(-log_t), axis=1)[rows, truth].sum()
        return float(-likelihood + log_t**2 / (2 * SPREAD**2))

    found = minimize_scalar(loss, bounds=(-LIMIT, LIMIT), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def probabilities(logits: Floats, temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the softmax of logits (..., C) at a temperature, float32 with rows that sum to one."""
    exact = softmax(np.asarray(logits, np.float64) / temperature, axis=-1)
    return np.asarray(exact, np.float32)
