"""How far annotators agree with one another: what a model can be expected to reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.services.evaluation_scores import DRAWS, wilson

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
    value = float(_kappas(table[None].astype(np.float64))[0])
    return None if np.isnan(value) else value


def kappa_interval(
    table: Ints, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % percentile bootstrap interval of Cohen's kappa.

    None for both where kappa is not defined. Where all items agree it is the kappa of a table in
    which as many disagree as Wilson's interval allows, for a bootstrap of no disagreement has no
    width.
    """
    n, value = int(table.sum()), kappa(table)
    if value is None:
        return None, None
    if int(np.trace(table)) == n:
        rows = np.diag(table) / n
        return (wilson(n, n)[0] - float(rows @ rows)) / (1 - float(rows @ rows)), 1.0
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, table.ravel() / n, draws).reshape(draws, *table.shape)
    low, high = np.nanquantile(_kappas(drawn.astype(np.float64)), [0.025, 0.975])
    return float(low), float(high)


def _kappas(tables: NDArray[Any]) -> NDArray[np.float64]:
    """Return kappa of each table (S, C, C), nan where it is not defined."""
    n = tables.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.trace(tables, axis1=1, axis2=2) / n
        chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
        found = np.where(chance < 1, (seen - chance) / (1 - chance), np.nan)
    return np.asarray(found, np.float64)
