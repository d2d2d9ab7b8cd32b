"""Models on the audit labels of now: each by itself, or side by side on what all of them predicted.

What a round measured was measured on the labels of that time, so that two rounds' figures are of
different images; here they are of the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services.evaluation import calibration_error, confusion, log_loss
from labeller.services.evaluation_audit import OnAudit, audit_labels, on_audit
from labeller.services.evaluation_scores import (
    ClassScore,
    Share,
    class_scores,
    macro_f1,
    macro_f1_interval,
    share,
)
from labeller.services.mcnemar import Paired, paired
from store.records import ModelRecord

Ints = NDArray[np.int64]
NO_ITEMS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One model on the common items, of which there is at least one.

    `scores` are those of each class, by its id. `against` compares the model with the first of
    them; `gained` and `lost` are the items that became right, and wrong. For the first model itself
    `against` is None.
    """

    audit: OnAudit
    accuracy: Share
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    calibration_error: float
    log_loss: float
    scores: Mapping[int, ClassScore]
    against: Paired | None
    gained: Ints
    lost: Ints

    @property
    def model(self) -> ModelRecord:
        """The model."""
        return self.audit.model


def compare(project: Project, models: Sequence[ModelRecord]) -> tuple[Column, ...]:
    """Measure models on the labelled audit items that all of them predicted.

    Parameters
    ----------
    project : Project
    models : sequence of ModelRecord
        The first is what the others are compared with.

    Returns
    -------
    tuple of Column
        Empty when there is no such item.

    Raises
    ------
    EvaluationError
        When what one of them predicted is gone or damaged.
    """
    labels = audit_labels(project)
    found = [on_audit(project, model, labels) for model in models]
    common = reduce(np.intersect1d, [one.item_ids for one in found])
    if not len(common):
        return ()
    rows = [np.searchsorted(one.item_ids, common) for one in found]
    first = found[0].right[rows[0]]
    seed = project.settings.seed
    return tuple(
        _column(one, place, common, None if number == 0 else first, seed)
        for number, (one, place) in enumerate(zip(found, rows, strict=True))
    )


def _column(
    one: OnAudit, rows: Ints, items: Ints, first: NDArray[np.bool_] | None, seed: int
) -> Column:
    """Measure a model on some of its rows; `first` says where the first model is right."""
    truth, predicted, right = one.truth[rows], one.predicted[rows], one.right[rows]
    table = confusion(truth, predicted, len(one.class_ids))
    score, bounds = macro_f1(table), macro_f1_interval(table, seed)
    if score is None or bounds is None:
        raise ValueError("There is no audit item to measure on.")
    return Column(
        audit=one,
        accuracy=share(int(right.sum()), len(rows)),
        macro_f1=score,
        macro_f1_low=bounds[0],
        macro_f1_high=bounds[1],
        calibration_error=calibration_error(one.probs[rows], truth),
        log_loss=log_loss(one.probs[rows], truth),
        scores={score.class_id: score for score in class_scores(table, one.class_ids)},
        against=None if first is None else paired(first, right),
        gained=NO_ITEMS if first is None else items[~first & right],
        lost=NO_ITEMS if first is None else items[first & ~right],
    )
