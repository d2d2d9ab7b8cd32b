"""Two models on the same items: McNemar's exact test, and the difference with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Paired:
    """What came of a change on `n` items.

    `gained` items became right and `lost` ones wrong; `difference` is (gained − lost) / n, a share,
    and `low`, `high` bound it at 95 %. `p_value` is that of McNemar's exact two-sided test.
    """

    n: int
    gained: int
    lost: int
    difference: float
    low: float
    high: float
    p_value: float

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; ``significant`` is a `p_value` below 0.05."""
        return {
            "n": self.n,
            "gained": self.gained,
            "lost": self.lost,
            "difference": self.difference,
            "interval": [self.low, self.high],
            "p_value": self.p_value,
            "significant": self.p_value < 0.05,
        }


def exact_p(gained: int, lost: int) -> float:
    """Return the p-value of McNemar's exact two-sided test.

    If the change did nothing, each of the items that flipped was as likely to flip either way: the
    smaller number is then binomial with one half.

    Parameters
    ----------
    gained, lost : int
        Items that became right, and wrong; the order does not matter.

    Returns
    -------
    float
        Above 0 and at most 1; 1 when nothing flipped.

    Raises
    ------
    ValueError
        When a number is negative.

    References
    ----------
    McNemar, Q. Note on the Sampling Error of the Difference Between Correlated Proportions or
    Percentages. Psychometrika 12(2), 1947; the exact form is the sign test on the items that
    flipped.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"{gained} gained and {lost} lost: neither can be negative.")
    return min(1.0, 2.0 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def difference_interval(
    gained: int, lost: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of the difference between two paired shares.

    Parameters
    ----------
    gained, lost : int
        Items that became right, and wrong.
    n : int
        All items, those that did not change included.
    confidence : float
        About how often such an interval holds the true difference.

    Returns
    -------
    low, high : float
        Between −1 and 1; everything when `n` is 0.

    Raises
    ------
    ValueError
        When the numbers do not fit together.

    References
    ----------
    Agresti, A. and Min, Y. Simple Improved Confidence Intervals for Comparing Matched Proportions.
    Statistics in Medicine 24(5), 2005: Wald's interval after adding a half to each of the four
    cells.
    """
    if gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost of {n} cannot be.")
    if not n:
        return -1.0, 1.0
    total = n + 2
    middle = (gained - lost) / total
    variance = max(0.0, (gained + lost + 1) / total - middle**2) / total
    half = float(ndtri(0.5 + confidence / 2)) * math.sqrt(variance)
    return max(-1.0, middle - half), min(1.0, middle + half)


def paired(before: Bools, after: Bools) -> Paired:
    """Compare two models on the same items.

    Parameters
    ----------
    before, after : array of bool, shape (n,)
        Whether each model is right on each item; n may be 0.

    Returns
    -------
    Paired

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError(f"{before.shape} and {after.shape}: both need one answer per item.")
    n = len(before)
    gained = int(np.count_nonzero(~before & after))
    lost = int(np.count_nonzero(before & ~after))
    low, high = difference_interval(gained, lost, n)
    difference = (gained - lost) / n if n else 0.0
    return Paired(n, gained, lost, difference, low, high, exact_p(gained, lost))
