"""What synthetic items bought: the same training without them, on the same audit set."""

from __future__ import annotations

from typing import Any

import numpy as np

from labeller.learning.examples import Examples
from labeller.learning.predictors import TrainedModel
from labeller.learning.snapshot import Labels
from labeller.learning.training import Mode, Quiet, Setup, train
from labeller.progress import Progress
from labeller.services.ablations import compared


def ablate(
    setup: Setup,
    mode: Mode,
    examples: Examples,
    model: TrainedModel,
    audit: Labels,
    progress: Progress,
) -> dict[str, Any]:
    """Train once more without the synthetic items, and compare on the audit set.

    Parameters
    ----------
    setup : Setup
    mode : {"features", "fine_tune", "progressive"}
    examples : Examples
        What `model` learned from; there are synthetic items.
    model : TrainedModel
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
    synthetic = examples.synthetic
    if synthetic is None:
        raise ValueError("there are no synthetic items to do without")
    told = {"synthetic": len(synthetic), "digest": synthetic.digest}
    if not len(audit):
        nothing = audit.columns
        return {**told, **compared(nothing, nothing, nothing, model.class_ids)}
    predictor = train(setup, mode, examples.without_synthetic(), Quiet(progress))
    without = TrainedModel(predictor, model.class_ids, 1.0)  # a temperature changes no prediction
    ids, logits = model.logits(audit.ids, progress)
    seen, others = without.logits(ids, progress)
    both = np.intersect1d(ids, seen)  # an image may become unreadable between the two
    truth = audit.among(both).columns
    new, old = logits[np.isin(ids, both)].argmax(axis=1), others[np.isin(seen, both)].argmax(axis=1)
    return {**told, **compared(truth, new, old, model.class_ids)}
