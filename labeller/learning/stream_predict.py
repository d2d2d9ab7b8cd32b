"""Predictions of items that are newer than the model of a stream."""

from __future__ import annotations

from labeller.learning import device, saved
from labeller.learning.extraction import compute_missing
from labeller.learning.images import Ints
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.streams_pool import Source

STAGE = "predict"


def load(project: Project, source: Source) -> TrainedModel:
    """Load the model of a stream.

    Raises
    ------
    RoundError
        When its files are missing or damaged.
    """
    return saved.load_model(project, source.model)


def predict(
    project: Project, model: TrainedModel, source: Source, ids: Ints, progress: Progress
) -> None:
    """Add predictions to those of a stream's model.

    Parameters
    ----------
    project : Project
    model : TrainedModel
    source : Source
        The same model, and the file that gets them.
    ids : array of int, shape (n,)
        Items without a prediction; those whose image cannot be read stay without.
    progress : Progress
    """
    if isinstance(model.predictor, HeadPredictor):
        where = device.choose(project.settings.device)
        compute_missing(project, model.predictor.features, ids, where, progress)
    done = 0
    for part, probs in model.probs(ids, progress):
        source.file.write(part, probs)
        done += len(part)
        progress.update(STAGE, done, len(ids))
