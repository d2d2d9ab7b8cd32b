"""Do two splits have the same classes in the same shares? A test, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Ints = NDArray[np.int64]

LEAST_EXPECTED = 5.0  # with fewer expected in a cell the chi-square distribution is no guide
DRAWS = 4_999


@dataclass(frozen=True, slots=True)
class SplitTest:
    """Whether the classes of two splits are drawn alike.

    `method` is ``chi-square`` or ``permutation``. `distance` is the share of one split that would
    have to change class to look like the other, 0 to 1; `class_id` is the class that stands out
    most, with its shares `first_share` and `second_share`.
    """

    first: str
    second: str
    n_first: int
    n_second: int
    statistic: float
    p_value: float
    method: str
    distance: float
    class_id: int
    first_share: float
    second_share: float


def same_classes(
    names: tuple[str, str],
    first: Sequence[int],
    second: Sequence[int],
    class_ids: Sequence[int],
    seed: int = 0,
    draws: int = DRAWS,
) -> SplitTest | None:
    """Test whether two splits have the same distribution of classes.

    Pearson's chi-square where every cell is expected to hold 5 or more; else the same statistic
    against random tables with the same margins, which is what putting the labels into the two
    splits at random gives.

    Parameters
    ----------
    names : tuple of str
        What the two are called.
    first, second : sequence of int, length C
        Labels of each class.
    class_ids : sequence of int, length C
    seed, draws : int
        Of the random tables.

    Returns
    -------
    SplitTest or None
        None when one is empty or there is but one class.

    References
    ----------
    Pearson, K. On the Criterion that a Given System of Deviations … Philosophical Magazine 50,
    1900; for the random tables Agresti, A. Categorical Data Analysis, section 3.5: with both
    margins fixed a row is multivariate hypergeometric.
    """
    table = np.array([first, second], np.int64)
    used = table.sum(axis=0) > 0
    table, ids = table[:, used], np.asarray(class_ids)[used]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    if not rows.all() or len(columns) < 2:
        return None
    expected = np.outer(rows, columns) / rows.sum()
    statistic = float(_chi_square(table, expected))
    if expected.min() >= LEAST_EXPECTED:
        method, p_value = "chi-square", float(chdtrc(len(columns) - 1, statistic))
    else:
        method = "permutation"
        rng = np.random.default_rng(seed)
        above = rng.multivariate_hypergeometric(columns, rows[0], draws, method="marginals")
        drawn = np.stack([above, columns - above], axis=1)
        # A table as rare as the one seen counts as seen, whatever rounding did to its statistic.
        extreme = int((_chi_square(drawn, expected) >= statistic * (1 - 1e-9)).sum())
        p_value = (extreme + 1) / (draws + 1)
    shares = table / rows[:, None]
    most = int(np.argmax(np.abs(table[0] - expected[0]) / np.sqrt(expected[0])))
    return SplitTest(
        *names,
        n_first=int(rows[0]),
        n_second=int(rows[1]),
        statistic=statistic,
        p_value=p_value,
        method=method,
        distance=float(np.abs(shares[0] - shares[1]).sum() / 2),
        class_id=int(ids[most]),
        first_share=float(shares[0, most]),
        second_share=float(shares[1, most]),
    )


def _chi_square(tables: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
    """Return Pearson's statistic of tables (..., 2, C)."""
    return np.asarray(((tables - expected) ** 2 / expected).sum(axis=(-2, -1)))
