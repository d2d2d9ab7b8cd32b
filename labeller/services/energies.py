"""The energy of every item under a model: where it lies, and above what an item is unfamiliar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

KEY = "energy"  # in a model's metrics
PREFIX = "energies-"
QUANTILE = 0.95
FEWEST = 40  # held-in items; the quantile of fewer is one of the two or three highest by chance


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What a round measured of energies.

    Attributes
    ----------
    threshold : float or None
        An item with a higher energy is unfamiliar; None while there are too few held-in items.
    n : int
        Labelled validation items that the threshold was taken from.
    audit_n, audit_above : int
        Labelled audit items, and how many of them lie above: about 5 % are expected to.
    """

    threshold: float | None
    n: int
    audit_n: int
    audit_above: int

    @property
    def share(self) -> float | None:
        """Share of the labelled audit items above the threshold; None while it is unknown."""
        known = self.threshold is not None and self.audit_n
        return self.audit_above / self.audit_n if known else None

    def to_json(self) -> dict[str, Any]:
        """Return it as a model's metrics hold it."""
        return {
            "threshold": self.threshold,
            "n": self.n,
            "audit_n": self.audit_n,
            "audit_above": self.audit_above,
            "audit_share": self.share,
        }


def kept(metrics: Mapping[str, Any]) -> Familiarity | None:
    """Return what a model's metrics say of energies; None for models of before they were kept."""
    found = metrics.get(KEY)
    if found is None:
        return None
    return Familiarity(
        found["threshold"], int(found["n"]), int(found["audit_n"]), int(found["audit_above"])
    )


def threshold(energies: Floats) -> float | None:
    """Return the energy above which an item is unfamiliar.

    Parameters
    ----------
    energies : array of float, shape (n,)
        Of held-in items that the model was not trained on.

    Returns
    -------
    float or None
        The ⌈0.95 (n + 1)⌉-th smallest: another item of the same kind lies above it with a
        probability of 5 % at most, whatever their distribution. None for fewer than 40.

    References
    ----------
    Liu, W., Wang, X., Owens, J. and Li, Y. Energy-based Out-of-distribution Detection. NeurIPS
    2020.

    Papadopoulos, H. et al. Inductive Confidence Machines for Regression. ECML 2002 (the rank).
    """
    if len(energies) < FEWEST:
        return None
    rank = math.ceil(QUANTILE * (len(energies) + 1))
    return float(np.partition(energies, rank - 1)[rank - 1])


def path_of(predictions: Path) -> Path:
    """Return the file of energies that belongs to a file of predictions; row = item id."""
    return predictions.with_name(f"{PREFIX}{predictions.name.partition('-')[2]}")


def delete(predictions: Path) -> None:
    """Delete the energies that belong to a file of predictions."""
    file = path_of(predictions)
    # the bits first: rows without bits count as missing, bits without rows would lie
    file.with_name(f"{file.name}.has").unlink(missing_ok=True)
    file.unlink(missing_ok=True)
