"""What a model says of every item, on the disk: calibrated probabilities and energies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from labeller.learning import device, energy
from labeller.learning.calibration import probabilities
from labeller.learning.extraction import compute_missing
from labeller.learning.images import Ints
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import energies
from store.vectors import VectorFile

STAGE = "predict"


@dataclass(frozen=True, slots=True)
class PoolFiles:
    """Probabilities (C,) and energy (1,) of every item under one model; row = item id."""

    probs: VectorFile
    energies: VectorFile

    @classmethod
    def open(cls, path: Path, classes: int, name: str) -> Self:
        """Open the file of probabilities and the one of energies beside it, or make them.

        Parameters
        ----------
        path : Path
            Of the probabilities.
        classes : int
            C.
        name : str
            Of the model's folder.

        Raises
        ------
        VectorError
            When a file is another model's, or cannot be made.
        """
        return cls(
            VectorFile.open(path, classes, "float32", name),
            VectorFile.open(energies.path_of(path), 1, "float32", name),
        )

    def missing(self, ids: Ints) -> Ints:
        """Return those of the items (n,) of which one or the other is missing or damaged."""
        self.probs.drop_damaged(ids)
        self.energies.drop_damaged(ids)
        return ids[~(self.probs.has(ids) & self.energies.has(ids))]


def predict(model: TrainedModel, files: PoolFiles, ids: Ints, progress: Progress) -> int:
    """Predict items whose features are there and keep what comes out.

    Parameters
    ----------
    model : TrainedModel
    files : PoolFiles
        Of this model.
    ids : array of int, shape (n,)
        Those that cannot be read stay without.
    progress : Progress
        Told after each part, which is on the disk then; asked whether to stop.

    Returns
    -------
    int
        How many were predicted.
    """
    done = 0
    for part, logits in model.predictor.logits(ids, progress):
        files.probs.write(part, probabilities(logits, model.temperature))
        files.energies.write(part, energy.calibrated(logits, model.temperature)[:, None])
        done += len(part)
        progress.update(STAGE, done, len(ids))
    return done


def predict_anew(
    project: Project, model: TrainedModel, files: PoolFiles, ids: Ints, progress: Progress
) -> int:
    """Predict items as :func:`predict` does, after computing the features that are missing.

    Raises
    ------
    BackboneError
        When there are some to compute and the backbone cannot be loaded.
    """
    if isinstance(model.predictor, HeadPredictor):
        where = device.choose(project.settings.device)
        compute_missing(project, model.predictor.features, ids, where, progress)
    return predict(model, files, ids, progress)
