"""The job that predicts the pool with a model that is put in use again."""

from __future__ import annotations

from typing import Any

import numpy as np

from labeller.errors import JobLost, PredictionError
from labeller.learning import saved
from labeller.learning.pool_files import PoolFiles, predict_anew
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import pool_predictions
from store.errors import VectorError
from store.records import JobRecord, ModelRecord
from store.store import Unit


def run_pool_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Predict every item that the model has not predicted yet, then register its predictions.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its parameter is ``model``.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``model``, ``predicted`` (items with a prediction) and ``unreadable``.

    Raises
    ------
    PredictionError
        When another model took its place meanwhile.
    RoundError, BackboneError
        When the model's files or its backbone are not there.
    JobCancelled
        When the work should stop; what is predicted by then is kept for the next such job.
    """
    progress.update("load", 0, 1)
    with project.store.read() as unit:
        record = _in_use(unit, int(job.params["model"]))
        ids = unit.items.ids()
    model = saved.load_model(project, record)
    path = pool_predictions.path_of(project, record)
    try:
        files = PoolFiles.open(
            path, len(model.class_ids), project.own_file(record.path, project.models).name
        )
        predict_anew(project, model, files, files.missing(ids), progress)
    except VectorError:
        with project.store.read() as unit:
            _in_use(unit, record.id)  # a round removes the files of a model that no longer is
        raise
    predicted = int(np.count_nonzero(files.probs.has(ids)))
    with project.store.write() as unit:
        if not unit.jobs.beat(job.id):
            raise JobLost(f"Job {job.id} was taken from this process; it stops.")
        _in_use(unit, record.id)
        file = path.relative_to(project.root).as_posix()
        unit.predictions.add(record.id, file, predicted, model.temperature)
    return {"model": record.id, "predicted": predicted, "unreadable": len(ids) - predicted}


def _in_use(unit: Unit, model_id: int) -> ModelRecord:
    """Return the model, which must be in use: only its predictions are kept."""
    model = unit.models.get(model_id)
    if not model.in_use:
        raise PredictionError(
            f"Another model took the place of model {model_id} before it had predicted the pool. "
            f"Put it in use again if you want it back."
        )
    return model
