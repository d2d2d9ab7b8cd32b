"""The predictions of a model for the whole pool: whether they are there, and making them anew.

A round predicts the pool and drops what older models predicted. An older model that is put in use
again needs its own: streams, propagation and the list of unfamiliar images read them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from labeller import jobs
from labeller.errors import JobError, PredictionError
from labeller.jobs.control import get
from labeller.project import Project
from labeller.services import energies
from store.records import JobRecord, ModelRecord
from store.store import Unit
from store.vectors import VectorFile

KIND: Final = "predict_pool"
PREFIX: Final = "predictions-"


def path_of(project: Project, model: ModelRecord) -> Path:
    """Return the file of a model's calibrated probabilities, row = item id."""
    return project.vectors / f"{PREFIX}{project.own_file(model.path, project.models).name}.f32"


def there(project: Project, unit: Unit, model: ModelRecord) -> bool:
    """Whether the predictions and the energies of a model are complete and on the disk."""
    record = unit.predictions.get(model.id)
    if record is None:
        return False
    file = project.own_file(record.file, project.vectors)
    return VectorFile.exists(file) and VectorFile.exists(energies.path_of(file))


def mend(model_id: int) -> str:
    """Return what brings the predictions of a model back, as a sentence."""
    return (
        f"To have them made anew, press “Predict the pool” on the Models page with model "
        f"{model_id} in use, or run: labeller models PROJECT --use {model_id}."
    )


def start(project: Project, model_id: int) -> JobRecord | None:
    """Submit the job that predicts the pool with the model in use, in place of one for another.

    A job that was stopped left what it had predicted; this one goes on from there.

    Parameters
    ----------
    project : Project
    model_id : int

    Returns
    -------
    JobRecord or None
        The one that is on already if there is one; None when the predictions are there.

    Raises
    ------
    PredictionError
        When the model is not in use.
    NotFound
        When there is no such model.
    JobError
        When a job cannot be started.
    """
    with project.store.read() as unit:
        model = unit.models.get(model_id)
        complete = there(project, unit, model)
        active = unit.jobs.active(KIND)
    if complete:
        return None
    if not model.in_use:
        raise PredictionError(
            f"Model {model_id} is not in use, and only the predictions of the one that is are "
            f"kept. Put it in use first."
        )
    for job in active:
        if job.params["model"] == model_id and not job.cancel_requested:
            return job
        _cancel(project, job)
    return jobs.submit(project, KIND, {"model": model_id}, exclusive=False)


def _cancel(project: Project, job: JobRecord) -> None:
    """Stop a job, unless it ended meanwhile."""
    try:
        jobs.cancel(project, job.id)
    except JobError:
        if get(project, job.id).active:
            raise
