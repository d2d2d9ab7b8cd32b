"""How good a model is on the labelled items of the audit set, with all that can be said of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services.audit_seal import Relabelled, relabelled
from labeller.services.evaluation import confusion, log_loss
from labeller.services.evaluation_audit import OnAudit
from labeller.services.evaluation_calibration import Calibration, calibration
from labeller.services.evaluation_scores import (
    ClassScore,
    Share,
    class_scores,
    macro_f1,
    macro_f1_interval,
    share,
)
from labeller.services.headline import in_its_round

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a model is on the labelled audit items (at least one).

    `table` (C, C) is the confusion matrix, rows true, in the order of `scores`; `changed` are audit
    items that carry another label than when the model was measured, or none, and `then` is what the
    round measured.
    """

    accuracy: Share
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    log_loss: float
    calibration: Calibration
    scores: tuple[ClassScore, ...]
    table: Ints
    changed: tuple[Relabelled, ...]
    then: Share


def quality(project: Project, model: OnAudit) -> Quality:
    """Measure a model on the audit items it predicted, of which there is at least one."""
    table = confusion(model.truth, model.predicted, len(model.class_ids))
    score, bounds = macro_f1(table), macro_f1_interval(table, project.settings.seed)
    if score is None or bounds is None:
        raise ValueError("There is no audit item to measure on.")
    return Quality(
        accuracy=share(int(model.right.sum()), len(model)),
        macro_f1=score,
        macro_f1_low=bounds[0],
        macro_f1_high=bounds[1],
        log_loss=log_loss(model.probs, model.truth),
        calibration=calibration(model.raw, model.probs, model.truth, model.temperature),
        scores=class_scores(table, model.class_ids),
        table=table,
        changed=tuple(relabelled(project, model.changed)),
        then=in_its_round(model.model.metrics),
    )


def worst(model: OnAudit, limit: int) -> list[tuple[int, float]]:
    """Return the audit items with the highest loss: item, and probability of its true class."""
    given = model.probs[np.arange(len(model)), model.truth]
    order = np.argsort(given, kind="stable")[:limit]
    return [(int(model.item_ids[i]), float(given[i])) for i in order]


def confusions(measured: Quality, most: int) -> list[tuple[int, int, int]]:
    """Return what is taken for what most often: true class, predicted class, images.

    Parameters
    ----------
    measured : Quality
    most : int
        How many pairs; with the same number of images those of classes that come first.
    """
    wrong = measured.table.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    ids = [score.class_id for score in measured.scores]
    places = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [(ids[r], ids[c], int(wrong[r, c])) for r, c in places if wrong[r, c]]


def in_cell(model: OnAudit, true: int, predicted: int) -> Ints:
    """Return the audit items of one cell of the confusion matrix, surest first.

    Parameters
    ----------
    model : OnAudit
    true, predicted : int
        Ids of classes.
    """
    if not {true, predicted} <= set(model.class_ids):
        return np.empty(0, np.int64)
    row, column = model.class_ids.index(true), model.class_ids.index(predicted)
    inside = np.flatnonzero((model.truth == row) & (model.predicted == column))
    return model.item_ids[inside[np.argsort(-model.probs[inside, column], kind="stable")]]
