"""Energies in a round: computed with the predictions, and a threshold from the audit set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labeller.learning.images import Ints
from labeller.learning.snapshot import Labels
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


def familiarity(kept: VectorFile, audit: Labels, known: Labels, waiting: Ints) -> Familiarity:
    """Take the threshold from the audit set: a random sample of the images.

    Validation images will not do: those with a label were picked by strategies, mostly because the
    model was unsure of them, and so the threshold would lie too high.

    Parameters
    ----------
    kept : VectorFile
        Energies, row = item.
    audit : Labels
        Of the audit set.
    known : Labels
        Of training. Audit images of a class that has none are new to the model: left out.
    waiting : array of int, shape (n,)
        Audit images without a label that nobody has put aside. They count while fewer than 200
        have a label.
    """
    labelled = audit.ids[np.isin(audit.columns, known.columns) & kept.has(audit.ids)]
    chosen = labelled
    if len(labelled) < energies.ENOUGH:
        chosen = np.concatenate([labelled, waiting[kept.has(waiting)]])
    limit = energies.threshold(kept.read(chosen)[:, 0])
    return Familiarity(limit, len(chosen), len(labelled))
