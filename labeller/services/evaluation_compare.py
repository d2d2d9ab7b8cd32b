"""What the labels between two models bought: a paired test, the items that flipped, the price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services.evaluation_audit import OnAudit
from labeller.services.mcnemar import Paired, paired
from store.records import ModelRecord, RoundRecord

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Price:
    """What was paid between two models: `labels`, and `seconds` of looking at images.

    `seconds` is None where no time is known; labels given on a page without a time (many at once,
    or in review) count as long as the mean of the others. Labels that were imported, came from a
    file, or by the API without a time count, for they teach too, but took nobody's time.
    """

    labels: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """Gain in accuracy per unit of price, with its 95 % band."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Bought:
    """Two models on the audit items that both predicted.

    `gained` (g,) are the items that became right and `lost` (l,) those that became wrong.
    `per_label` and `per_minute` are None without a price.
    """

    before: ModelRecord
    after: ModelRecord
    result: Paired
    gained: Ints
    lost: Ints
    price: Price
    per_label: Rate | None
    per_minute: Rate | None


def bought(before: OnAudit, after: OnAudit, price: Price) -> Bought:
    """Compare two models on the same labelled audit items.

    Parameters
    ----------
    before, after : OnAudit
    price : Price
        Of what lies between them.

    Returns
    -------
    Bought
        Items that only one of them predicted are left out.
    """
    ids, old, new = np.intersect1d(
        before.item_ids, after.item_ids, assume_unique=True, return_indices=True
    )
    was, now = before.right[old], after.right[new]
    result = paired(was, now)
    minutes = None if price.seconds is None else price.seconds / 60
    return Bought(
        before=before.model,
        after=after.model,
        result=result,
        gained=ids[~was & now],
        lost=ids[was & ~now],
        price=price,
        per_label=rate(result, price.labels),
        per_minute=rate(result, minutes),
    )


def rate(result: Paired, spent: float | None) -> Rate | None:
    """Return the gain per unit of what was spent; None when nothing was, or nothing was compared.

    The price is known exactly, so that the band is that of the gain.
    """
    if not spent or spent < 0 or not result.n:
        return None
    return Rate(result.difference / spent, result.low / spent, result.high / spent)


def price(
    project: Project,
    before: tuple[ModelRecord, RoundRecord],
    after: tuple[ModelRecord, RoundRecord],
) -> Price:
    """Return what was paid for the labels that the later of two models had and the other had not.

    Parameters
    ----------
    project : Project
    before, after : tuple of ModelRecord and RoundRecord
        Each model with its round.
    """
    labels = after[1].labels - before[1].labels
    pace = seconds_per_label(project, labels_at(before[0]), labels_at(after[0]))
    return Price(labels, None if pace is None else pace[0] * pace[1])


def seconds_per_label(
    project: Project, since: float = 0.0, until: float = float("inf")
) -> tuple[float, int] | None:
    """Return the mean time of a label given between two moments, and how many people gave.

    Parameters
    ----------
    project : Project
    since, until : float
        UTC seconds.

    Returns
    -------
    (seconds, labels) or None
        None when no label there has a time.
    """
    with project.store.read() as unit:
        labels, timed, seconds = unit.evidence.labelling_time(since, min(until, 1e12))
    return (seconds / timed, labels) if timed else None


def labels_at(model: ModelRecord) -> float:
    """Return when a model took its labels, in UTC seconds."""
    value: Any = model.config.get("labels_at", model.created_at)
    return float(value)
