"""How far annotators agree with one another: what a model can be expected to reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.services.evaluation_scores import DRAWS, redrawn, wilson

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two annotators on the `n` items that both labelled.

    `agreed` is the number of items with the same class from both; `low` and `high` bound its share
    at 95 % (Wilson). `kappa` is Cohen's with its bootstrap interval; None where it is not defined:
    both gave one and the same class to everything.
    """

    first: str
    second: str
    n: int
    agreed: int
    low: float
    high: float
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None

    @property
    def share(self) -> float:
        """Share of the items on which the two agree."""
        return self.agreed / self.n


@dataclass(frozen=True, slots=True)
class Agreement:
    """All items that at least two annotators labelled.

    `share` is the mean over the items of the share of pairs of annotators that agree; `low` and
    `high` bound it at 95 % (Wilson, cautious where an item has more than two labels).
    """

    items: int
    share: float
    low: float
    high: float
    pairs: tuple[Pair, ...]


def agreement(
    items: Ints, annotators: Sequence[str], classes: Ints, seed: int = 0
) -> Agreement | None:
    """Compare the labels that different annotators gave to the same items.

    Parameters
    ----------
    items, classes : array of int, shape (n,)
        Items and their classes, one row per item and annotator.
    annotators : sequence of str, length n
        Who gave each.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Agreement or None
        Pairs with most items first. None when no item was labelled by two.
    """
    given: dict[int, dict[str, int]] = defaultdict(dict)
    for item, annotator, class_id in zip(items.tolist(), annotators, classes.tolist(), strict=True):
        given[item][annotator] = class_id
    shares: list[float] = []
    both: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for opinions in given.values():
        pairs = list(combinations(sorted(opinions), 2))
        if not pairs:
            continue
        for pair in pairs:
            both[pair].append((opinions[pair[0]], opinions[pair[1]]))
        shares.append(float(np.mean([opinions[a] == opinions[b] for a, b in pairs])))
    if not shares:
        return None
    low, high = wilson(min(len(shares), sum(shares)), len(shares))
    listed = sorted(both.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return Agreement(
        items=len(shares),
        share=float(np.mean(shares)),
        low=low,
        high=high,
        pairs=tuple(_pair(names, np.array(labels), seed) for names, labels in listed),
    )


def _pair(names: tuple[str, str], labels: Ints, seed: int) -> Pair:
    """Compare two annotators on the classes (n, 2) they gave."""
    known, columns = np.unique(labels, return_inverse=True)
    columns = columns.reshape(labels.shape)
    table = np.bincount(columns[:, 0] * len(known) + columns[:, 1], minlength=len(known) ** 2)
    table = table.reshape(len(known), len(known))
    n, agreed = len(labels), int(np.trace(table))
    low, high = wilson(agreed, n)
    kappa_low, kappa_high = kappa_interval(table, seed)
    return Pair(*names, n, agreed, low, high, kappa(table), kappa_low, kappa_high)


def kappa(table: Ints) -> float | None:
    """Return Cohen's kappa: agreement beyond that of chance.

    Parameters
    ----------
    table : array of int, shape (C, C)
        How often the first annotator said the row's class and the second the column's.

    Returns
    -------
    float or None
        −1 to 1; None where chance alone agrees always, or there is no item.

    References
    ----------
    Cohen, J. A Coefficient of Agreement for Nominal Scales. Educational and Psychological
    Measurement 20(1), 1960.
    """
    rows, columns, seen = table.sum(axis=1), table.sum(axis=0), np.trace(table)
    value = float(_kappas(seen[None], rows[None], columns[None])[0])
    return None if np.isnan(value) else value


def kappa_interval(
    table: Ints, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % percentile bootstrap interval of Cohen's kappa.

    None for both where kappa is not defined. A bootstrap has no width where all items agree or an
    annotator gave one class to everything, and none above 0 where no item agrees: the interval then
    covers the kappas at Wilson's bounds of the share that agrees, chance held as it is, as in
    Cohen's own standard error.

    Parameters
    ----------
    table : array of int, shape (C, C)
        As for :func:`kappa`.
    seed : int
        The same seed gives the same interval.
    draws : int
        How often the items are drawn.

    References
    ----------
    Cohen, J. A Coefficient of Agreement for Nominal Scales. Educational and Psychological
    Measurement 20(1), 1960, equation 7.
    """
    n, agreed = int(table.sum()), int(np.trace(table))
    if kappa(table) is None:
        return None, None
    drawn = [
        _kappas(one.right.sum(axis=1), one.rows, one.columns) for one in redrawn(table, seed, draws)
    ]
    low, high = (float(bound) for bound in np.nanquantile(np.concatenate(drawn), [0.025, 0.975]))
    if agreed in (0, n) or low == high:
        chance = float(table.sum(axis=1) @ table.sum(axis=0)) / n**2
        bounds = [(share - chance) / (1 - chance) for share in wilson(agreed, n)]
        low, high = max(-1.0, min(low, bounds[0])), max(high, bounds[1])
    return low, high


def _kappas(agreed: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return the kappas (S,), nan where not defined, of what agreed (S,) and the sums (S, C)."""
    n = first.sum(axis=1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen, chance = agreed / n, (first * second).sum(axis=1) / n**2
        found = np.where(chance < 1, (seen - chance) / (1 - chance), np.nan)
    return np.asarray(found, np.float64)
