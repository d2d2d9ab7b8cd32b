"""Predictions of items that are newer than the model of a stream."""

from __future__ import annotations

from labeller.learning import saved
from labeller.learning.images import Ints
from labeller.learning.pool_files import PoolFiles, predict_anew
from labeller.learning.predictors import TrainedModel
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.streams_pool import Source


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
    """Add predictions to those of a stream's model, and energies with them.

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
    file = source.file
    predict_anew(project, model, PoolFiles.open(file.path, file.dim, file.tag), ids, progress)
