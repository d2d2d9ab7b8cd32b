"""Two or more models side by side on the audit items that all of them predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from labeller.project import Project
from labeller.services.evaluation import confusion
from labeller.services.evaluation_audit import OnAudit, audit_labels, on_audit
from labeller.services.evaluation_scores import Share, macro_f1, share
from labeller.services.mcnemar import Paired, paired
from store.records import ModelRecord


@dataclass(frozen=True, slots=True)
class Column:
    """One model on the common items: `recalls` by class id; `against` compares it with the first.

    `against` is None for the first model itself.
    """

    model: ModelRecord
    accuracy: Share
    macro_f1: float | None
    recalls: dict[int, Share]
    against: Paired | None


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

    Raises
    ------
    EvaluationError
        When what one of them predicted is gone or damaged.
    """
    labels = audit_labels(project)
    found = [on_audit(project, model, labels) for model in models]
    common = reduce(np.intersect1d, [one.item_ids for one in found])
    parts = [_among(one, common) for one in found]
    return tuple(
        _column(one, rows, None if place == 0 else parts[0])
        for place, (one, rows) in enumerate(parts)
    )


def _among(one: OnAudit, items: np.ndarray) -> tuple[OnAudit, np.ndarray]:
    """Return a model with the rows of some items, in their order."""
    return one, np.searchsorted(one.item_ids, items)


def _column(one: OnAudit, rows: np.ndarray, first: tuple[OnAudit, np.ndarray] | None) -> Column:
    truth, predicted, right = one.truth[rows], one.predicted[rows], one.right[rows]
    table = confusion(truth, predicted, len(one.class_ids))
    return Column(
        model=one.model,
        accuracy=share(int(right.sum()), len(rows)),
        macro_f1=macro_f1(table) if len(rows) else None,
        recalls={
            class_id: share(int(table[place, place]), int(table[place].sum()))
            for place, class_id in enumerate(one.class_ids)
            if table[place].sum()
        },
        against=None if first is None else paired(first[0].right[first[1]], right),
    )
