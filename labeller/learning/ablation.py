"""What synthetic items bought: the same training without them, on the same audit set."""

from __future__ import annotations

from typing import Any

import numpy as np

from labeller.learning.predictors import TrainedModel
from labeller.learning.snapshot import Labels
from labeller.learning.synthetic import Synthetic
from labeller.learning.training import Mode, Quiet, Setup, train
from labeller.progress import Progress
from labeller.services.ablations import compared


def ablate(
    setup: Setup,
    mode: Mode,
    labels: Labels,
    valid: Labels,
    synthetic: Synthetic,
    model: TrainedModel,
    audit: Labels,
    progress: Progress,
) -> dict[str, Any]:
    """Train once more without the synthetic items, and compare on the audit set.

    Parameters
    ----------
    setup : Setup
    mode : {"features", "fine_tune"}
    labels, valid : Labels
        What `model` was trained and reported on.
    synthetic : Synthetic
        What it learned from besides.
    model : Predictor
        That learned from them.
    audit : Labels
        Labelled audit items.
    progress : Progress

    Returns
    -------
    dict
        JSON values, as :func:`labeller.services.ablations.compared` gives them, with
        ``synthetic``, the number of items, and ``digest``, their identity.

    Raises
    ------
    JobCancelled
        When the work should stop.
    """
    told = {"synthetic": len(synthetic), "digest": synthetic.digest}
    if not len(audit):
        nothing = audit.columns
        return {**told, **compared(nothing, nothing, nothing, model.class_ids)}
    predictor = train(setup, mode, labels, valid, Quiet(progress))
    without = TrainedModel(predictor, model.class_ids, 1.0)  # a temperature changes no prediction
    ids, logits = model.logits(audit.ids, progress)
    seen, others = without.logits(ids, progress)
    both = np.intersect1d(ids, seen)  # an image may become unreadable between the two
    truth = audit.among(both).columns
    new, old = logits[np.isin(ids, both)].argmax(axis=1), others[np.isin(seen, both)].argmax(axis=1)
    return {**told, **compared(truth, new, old, model.class_ids)}
