"""How good a model is: plain numbers from labels and predictions of the audit set.

Everything here is arithmetic on arrays, so that the pages can use it: no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services.evaluation_scores import class_scores, wilson

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

BINS = 15
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """How many labels of a class are in each split."""

    class_id: int
    name: str
    colour: str
    train: int
    valid: int
    audit: int

    @property
    def total(self) -> int:
        """Labels in all splits."""
        return self.train + self.valid + self.audit


def confusion(truth: Ints, predicted: Ints, classes: int) -> Ints:
    """Count what was taken for what.

    Parameters
    ----------
    truth, predicted : array of int, shape (n,)
        Classes as numbers from 0 to `classes` - 1.
    classes : int
        C, the number of classes.

    Returns
    -------
    ndarray of int64, shape (C, C)
        Rows are true, columns predicted classes.
    """
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def per_class(table: Ints, class_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return precision and recall of every class.

    Parameters
    ----------
    table : array of int, shape (C, C)
        A confusion matrix, rows true.
    class_ids : sequence of int, length C
        The ids of its classes.

    Returns
    -------
    list of dict
        ``class_id``, ``n`` (true items), ``precision`` and ``recall``; None where nothing was
        predicted, or nothing is there.
    """
    return [
        {
            "class_id": one.class_id,
            "n": one.support,
            "precision": one.precision.value,
            "recall": one.recall.value,
        }
        for one in class_scores(table, class_ids)
    ]


def log_loss(probs: Floats, truth: Ints) -> float:
    """Return the mean of −log of the probability of the true class.

    Parameters
    ----------
    probs : array of float, shape (n, C)
        Rows sum to one.
    truth : array of int, shape (n,)
        True columns; n is at least 1.
    """
    given = probs[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(given, LEAST_PROBABILITY)).mean())


def calibration_error(probs: Floats, truth: Ints, bins: int = BINS) -> float:
    """Return the expected calibration error: how far confidence and accuracy lie apart.

    Parameters
    ----------
    probs : array of float, shape (n, C)
        Rows sum to one.
    truth : array of int, shape (n,)
        True columns; n is at least 1.
    bins : int
        Equal-width bins of confidence, each closed above.

    Returns
    -------
    float
        Mean over the items of |accuracy − confidence| of their bin, 0 to 1.

    References
    ----------
    Guo, C. et al. On Calibration of Modern Neural Networks. ICML 2017, equation 3.
    """
    confidence = probs.max(axis=1).astype(np.float64)
    right = (probs.argmax(axis=1) == truth).astype(np.float64)
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(which, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def audit_metrics(probs: Floats, truth: Ints, class_ids: Sequence[int]) -> dict[str, Any]:
    """Measure calibrated predictions of labelled audit items.

    Parameters
    ----------
    probs : array of float, shape (n, C)
        Calibrated probabilities; n may be 0.
    truth : array of int, shape (n,)
        True columns of `probs`.
    class_ids : sequence of int, length C
        The ids of the columns.

    Returns
    -------
    dict
        ``accuracy`` (None with ``why`` when n is 0), ``interval`` (95 %, Wilson), ``n``,
        ``log_loss``, ``confusion`` and ``per_class``; JSON values.
    """
    classes = len(class_ids)
    predicted = probs.argmax(axis=1) if len(truth) else truth
    table = confusion(truth, predicted, classes)
    metrics: dict[str, Any] = {
        "accuracy": None,
        "interval": None,
        "n": len(truth),
        "log_loss": None,
        "confusion": table.tolist(),
        "per_class": per_class(table, class_ids),
    }
    if not len(truth):
        return metrics | {"why": "No item of the audit set is labelled yet."}
    correct = int(np.trace(table))
    return metrics | {
        "accuracy": correct / len(truth),
        "interval": list(wilson(correct, len(truth))),
        "log_loss": log_loss(probs, truth),
    }


def class_balance(project: Project) -> list[ClassBalance]:
    """Return how many labels each class has in each split, in the order of the classes.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of ClassBalance
        Classes without labels are there too, with zeros.
    """
    with project.store.read() as unit:
        counts = [unit.labels.counts_by_class(split) for split in ("train", "valid", "audit")]
        return [
            ClassBalance(c.id, c.name, c.colour, *(by_class.get(c.id, 0) for by_class in counts))
            for c in unit.classes.all()
        ]
