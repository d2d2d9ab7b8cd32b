"""Energies in a round: computed with the predictions, and a threshold from held-in items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labeller.learning.images import Ints
from labeller.learning.snapshot import Labels
from labeller.learning.training import Calibration
from labeller.services import energies
from labeller.services.energies import Familiarity, Floats
from store.vectors import VectorFile
from strategies.pool.energy import free_energy


def calibrated(logits: Floats, temperature: float) -> NDArray[np.float64]:
    """Return the free energies (n,) of calibrated logits: minus their log-sum-exp.

    Parameters
    ----------
    logits : array of float, shape (n, C)
        Not yet calibrated.
    temperature : float
        Of the calibration.

    References
    ----------
    Liu, W., Wang, X., Owens, J. and Li, Y. Energy-based Out-of-distribution Detection. NeurIPS
    2020.
    """
    return np.asarray(free_energy(np.asarray(logits, np.float64) / temperature), np.float64)


def familiarity(
    calibration: Calibration, labels: Labels, kept: VectorFile, audit: Ints
) -> Familiarity:
    """Take the threshold from the validation split, and see how the audit set lies to it.

    Parameters
    ----------
    calibration : Calibration
        With the logits of the labelled validation items.
    labels : Labels
        Of training. Validation items of a class that has none are new to the model: left out.
    kept : VectorFile
        Energies, row = item.
    audit : array of int, shape (n,)
        Labelled audit items.

    Returns
    -------
    Familiarity
    """
    seen = np.isin(calibration.valid_truth, labels.columns)
    own = calibrated(calibration.valid_logits[seen], calibration.temperature)
    limit = energies.threshold(own)
    measured = kept.read(audit[kept.has(audit)])[:, 0]
    above = 0 if limit is None else int(np.count_nonzero(measured > limit))
    return Familiarity(limit, len(own), len(measured), above)
