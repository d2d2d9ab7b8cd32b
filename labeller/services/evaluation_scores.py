"""Scores of a confusion matrix with their 95 % intervals: Wilson's, and a seeded bootstrap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtri

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

DRAWS = 1_000
CELLS = 4_000_000  # numbers held at once while the bootstrap sums its draws


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `n` with the 95 % interval by Wilson; `value` is None where `n` is 0."""

    right: int
    n: int
    value: float | None
    low: float
    high: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision and recall of one class; `support` of the audit items are truly of it."""

    class_id: int
    support: int
    precision: Share
    recall: Share


def wilson(right: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share.

    Parameters
    ----------
    right : float
        Successes, 0 to `n`; a mean of shares per item need not be whole.
    n : int
        Trials; with none the share may be anything.
    confidence : float
        About how often such an interval holds the true share.

    Returns
    -------
    low, high : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        When `right` is not between 0 and `n`.

    References
    ----------
    Wilson, E. B. Probable Inference, the Law of Succession, and Statistical Inference. JASA
    22(158), 1927; recommended by Brown, Cai and DasGupta, Statistical Science 16(2), 2001.
    """
    if not 0 <= right <= n:
        raise ValueError(f"{right} of {n} is no share.")
    if not n:
        return 0.0, 1.0
    z = float(ndtri(0.5 + confidence / 2))
    share, scale = right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the two halves cancel but for rounding.
    low = 0.0 if right == 0 else middle - half
    high = 1.0 if right == n else middle + half
    return max(0.0, low), min(1.0, high)


def apart(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Return an interval of the difference between two shares measured on different items.

    Parameters
    ----------
    first, second : tuple of float
        Each share with the bounds of its interval by :func:`wilson`.

    Returns
    -------
    low, high : float
        Of first less second, with the confidence of the two intervals; between −1 and 1.

    References
    ----------
    Newcombe, R. G. Interval Estimation for the Difference Between Independent Proportions.
    Statistics in Medicine 17(8), 1998, method 10.
    """
    (one, one_low, one_high), (two, two_low, two_high) = first, second
    difference = one - two
    return (
        difference - math.hypot(one - one_low, two_high - two),
        difference + math.hypot(one_high - one, two - two_low),
    )


def share(right: int, n: int) -> Share:
    """Return `right` of `n` with its interval."""
    low, high = wilson(right, n)
    return Share(right, n, right / n if n else None, low, high)


def class_scores(table: Ints, class_ids: Sequence[int]) -> tuple[ClassScore, ...]:
    """Return precision and recall of every class with their intervals.

    Parameters
    ----------
    table : array of int, shape (C, C)
        A confusion matrix, rows true.
    class_ids : sequence of int, length C
        The ids of its classes.

    Returns
    -------
    tuple of ClassScore, length C
    """
    right, true, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return tuple(
        ClassScore(
            class_id=int(class_id),
            support=int(true[i]),
            precision=share(int(right[i]), int(predicted[i])),
            recall=share(int(right[i]), int(true[i])),
        )
        for i, class_id in enumerate(class_ids)
    )


def macro_f1(table: Ints) -> float | None:
    """Return the mean F1 of the classes that are there or are predicted.

    Parameters
    ----------
    table : array of int, shape (C, C)
        A confusion matrix, rows true.

    Returns
    -------
    float or None
        0 to 1; None without an item. Classes that are neither true nor predicted do not count, as
        in scikit-learn.
    """
    right, both = np.diag(table)[None], (table.sum(axis=0) + table.sum(axis=1))[None]
    return float(_mean_f1(right, both)[0]) if table.any() else None


def macro_f1_interval(
    table: Ints, seed: int = 0, draws: int = DRAWS, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of macro-F1.

    The items are drawn anew with replacement; for a score that only the confusion matrix decides
    that is a multinomial draw of its cells, so that it takes no longer with many items.

    Parameters
    ----------
    table : array of int, shape (C, C)
        A confusion matrix, rows true.
    seed : int
        The same seed gives the same interval.
    draws : int
        How often the items are drawn.
    confidence : float
        About how often such an interval holds the true score.

    Returns
    -------
    (low, high) or None
        None without an item. Where no item is wrong, or none right, a bootstrap has no width: the
        bound on the open side is then Wilson's of the accuracy, which is macro-F1 where the right
        answers are spread over the classes as labels and predictions are.

    References
    ----------
    Efron, B. and Tibshirani, R. An Introduction to the Bootstrap. Chapman & Hall, 1993, section
    13.3.
    """
    n = int(table.sum())
    if not n:
        return None
    if int(np.trace(table)) == n:
        return wilson(n, n, confidence)[0], 1.0
    if not np.trace(table):
        return 0.0, wilson(0, n, confidence)[1]
    scores = [_mean_f1(one.right, one.rows + one.columns) for one in redrawn(table, seed, draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(scores), [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, eq=False)
class Redrawn:
    """S tables drawn anew, as sums: the diagonal `right`, `rows` and `columns`, each (S, C)."""

    right: Floats
    rows: Floats
    columns: Floats


def redrawn(table: Ints, seed: int, draws: int) -> Iterator[Redrawn]:
    """Draw the items of a table anew with replacement, slice by slice.

    Only cells that are not empty are drawn, a few million numbers at once: of hundreds of classes
    most pairs never occur.

    Parameters
    ----------
    table : array of int, shape (C, C)
        With at least one item.
    seed : int
        The same seed gives the same draws.
    draws : int
        How many tables in all.
    """
    rows, columns = np.nonzero(table)
    counts, classes = table[rows, columns], len(table)
    rng = np.random.default_rng(seed)
    diagonal = rows == columns
    step = max(1, CELLS // max(len(counts), classes))
    for start in range(0, draws, step):
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), min(step, draws - start))
        yield Redrawn(
            _summed(drawn[:, diagonal], rows[diagonal], classes),
            _summed(drawn, rows, classes),
            _summed(drawn, columns, classes),
        )


def _summed(drawn: Ints, places: Ints, classes: int) -> Floats:
    """Add up cells (S, m) by the class (m,) that each belongs to: (S, C)."""
    member = csr_array(
        (np.ones(len(places)), (places, np.arange(len(places)))), (classes, len(places))
    )
    return np.asarray((member @ drawn.T).T, np.float64)


def _mean_f1(right: NDArray[Any], both: NDArray[Any]) -> Floats:
    """Return the mean F1 of each row: 2·right over true + predicted, where that is not 0."""
    present = both > 0
    f1 = np.divide(2.0 * right, both, out=np.zeros(both.shape), where=present)
    total = present.sum(axis=1)
    return np.asarray(f1.sum(axis=1) / np.maximum(total, 1), np.float64)
