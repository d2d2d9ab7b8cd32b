"""Measure a trained model on the audit set, and keep what it predicted there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from labeller.learning.calibration import probabilities
from labeller.learning.images import Ints
from labeller.learning.predictors import TrainedModel
from labeller.learning.saved import save_audit
from labeller.learning.snapshot import Labels
from labeller.learning.training import Calibration
from labeller.progress import Progress
from labeller.services import audit_files
from labeller.services.evaluation import audit_metrics, calibration_error
from store.vectors import VectorFile


def score(
    model: TrainedModel, calibration: Calibration, audit: Labels, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Return the metrics of a model and write its audit predictions beside it.

    Parameters
    ----------
    model : TrainedModel
    calibration : Calibration
    audit : Labels
        Labelled audit items; there may be none.
    folder : Path
        Where ``audit.npz`` goes.
    progress : Progress

    Returns
    -------
    dict
        JSON values: those of `audit_metrics`; ``temperature``, what it was fitted on, and what a
        fit gained on labels held out (``calibration_gain``, nats a label, and its standard error);
        ``ece_before`` and ``ece_after`` calibration, measured on ``ece_on``: the audit set, or the
        validation split while no audit item is labelled; accuracy on the validation split.
    """
    ids, logits = model.logits(audit.ids, progress)
    truth = audit.among(ids).columns
    probs = probabilities(logits, model.temperature)
    class_ids = np.array(model.class_ids, np.int64)
    save_audit(folder, ids, class_ids[truth], probs)
    metrics = audit_metrics(probs, truth, model.class_ids)
    before, after, on = probabilities(logits), probs, "audit"
    if not len(truth):
        truth, on = calibration.valid_truth, "valid"
        before = probabilities(calibration.valid_logits)
        after = probabilities(calibration.valid_logits, model.temperature)
    return metrics | {
        "temperature": model.temperature,
        "calibrated_on": "validation" if calibration.fit.fitted else "nothing",
        "calibrated_n": calibration.fit.n,
        "calibration_gain": calibration.fit.gain,
        "calibration_gain_error": calibration.fit.error,
        "ece_before": calibration_error(before, truth) if len(truth) else None,
        "ece_after": calibration_error(after, truth) if len(truth) else None,
        "ece_on": on if len(truth) else None,
        "valid_accuracy": calibration.valid_accuracy,
        "valid_n": calibration.valid_n,
    }


def keep_audit(folder: Path, predictions: VectorFile, audit_ids: Ints) -> None:
    """Keep the predictions of the whole audit set beside the model.

    The predictions of all items go when the next model comes; with these, labels that the audit set
    gets later measure this model too, and any two models are compared on the same items.

    Parameters
    ----------
    folder : Path
        The model's.
    predictions : VectorFile
        Calibrated, row = item.
    audit_ids : array of int, shape (n,)
        Items of the audit set, labelled or not; those without a prediction are left out.

    Raises
    ------
    EvaluationError
        When they cannot be written.
    """
    known = audit_ids[predictions.has(audit_ids)]
    audit_files.write(folder, known, predictions.read(known))
