"""The energy of every item under a model: where it lies, and above what an item is unfamiliar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from store.vectors import delete_vectors

Floats = NDArray[np.floating[Any]]

KEY = "energy"  # in a model's metrics
PREFIX = "energies-"
QUANTILE = 0.95
FEWEST = 100  # images; from fewer, 5 % may as well be 1 or 12 %
ENOUGH = 200  # labelled ones; from so many on, images without a label have no say


@dataclass(frozen=True, slots=True)
class Familiarity:
    """Above which energy an image is unfamiliar, and what that was taken from.

    Attributes
    ----------
    threshold : float or None
        An item with a higher energy is unfamiliar; None while there are too few images.
    n : int
        Images of the audit set that it was taken from.
    labelled : int or None
        How many of them have a label, so that they are known to show one of the classes. None of a
        model of before, whose threshold was taken from labelled validation images, which strategies
        picked.
    """

    threshold: float | None
    n: int
    labelled: int | None

    @property
    def shares(self) -> tuple[float, float] | None:
        """Between which shares of familiar images lie above, at 95 %; None while unknown."""
        if self.threshold is None or self.labelled is None:
            return None
        rank = _rank(self.n)
        low, high = betaincinv(self.n + 1 - rank, rank, [0.025, 0.975])
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        """Return it as a model's metrics hold it."""
        return {"threshold": self.threshold, "n": self.n, "labelled": self.labelled}


def kept(metrics: Mapping[str, Any]) -> Familiarity | None:
    """Return what a model's metrics say of energies; None for models of before they were kept."""
    found = metrics.get(KEY)
    if found is None:
        return None
    labelled = found.get("labelled")
    return Familiarity(
        found["threshold"], int(found["n"]), None if labelled is None else int(labelled)
    )


def told(known: Familiarity) -> str:
    """Say what a threshold was taken from, and how exact it is."""
    if known.labelled is None:
        return f"the energy is above that of 95 % of {known.n:,} labelled validation images"
    others = known.n - known.labelled
    kinds = f"{known.n:,} random images of the audit set"
    if others:
        kinds += f", {others:,} of them without a label yet, so that some may be unfamiliar too"
    text = f"the energy is above that of 95 % of {kinds}"
    if known.shares is None:
        return text
    low, high = known.shares
    return f"{text}; of familiar images {100 * low:.1f} to {100 * high:.1f} % lie above"


def threshold(energies: Floats) -> float | None:
    """Return the energy above which an item is unfamiliar.

    Parameters
    ----------
    energies : array of float, shape (n,)
        Of items drawn at random that the model was not trained on.

    Returns
    -------
    float or None
        The ⌈0.95 (n + 1)⌉-th smallest: another item of the same kind lies above it with a
        probability of 5 % at most, whatever their distribution. None for fewer than 100.

    References
    ----------
    Liu, W., Wang, X., Owens, J. and Li, Y. Energy-based Out-of-distribution Detection. NeurIPS
    2020.

    Papadopoulos, H. et al. Inductive Confidence Machines for Regression. ECML 2002 (the rank).
    """
    if len(energies) < FEWEST:
        return None
    place = _rank(len(energies)) - 1
    return float(np.partition(energies, place)[place])


def _rank(n: int) -> int:
    """Return which of `n` energies, the smallest first, is the threshold."""
    return math.ceil(QUANTILE * (n + 1))


def path_of(predictions: Path) -> Path:
    """Return the file of energies that belongs to a file of predictions; row = item id."""
    return predictions.with_name(f"{PREFIX}{predictions.name.partition('-')[2]}")


def delete(predictions: Path) -> None:
    """Delete the energies that belong to a file of predictions."""
    delete_vectors(path_of(predictions))
