"""The job that makes a prediction of the project: images first, then the counts of it all."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from labeller.errors import PredictionError
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import energies, prediction_index, prediction_plans
from labeller.services.prediction_files import predict_to_file
from labeller.services.prediction_images import Places
from labeller.services.prediction_index import RESULT
from store.records import JobRecord


def run_predict_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Do a job of the kind ``predict``, from where a stopped one was.

    Raises
    ------
    PredictionError
        When the prediction was deleted, or as
        :func:`~labeller.services.prediction_files.predict_to_file` does.
    """
    number = int(job.params["prediction"])
    folder = prediction_plans.folder_of(project, number)
    plan = prediction_plans.plan_of(project, number)
    if plan.id != job.params["id"]:
        raise PredictionError(f"Prediction {number} was deleted, and this is another one.")

    began = time.monotonic()
    with prediction_plans.writing(project):
        if not (folder / RESULT).exists():
            restart = bool(job.params.get("restart"))
            with closing(Places(folder, restart)) as places:
                predict_to_file(
                    project,
                    prediction_plans.paths_of(folder, plan),
                    folder / RESULT,
                    plan.model,
                    restart,
                    progress,
                    places.note,
                    places.flush,
                )
        summary = prediction_index.sum_up(folder, _threshold(project, plan.model), progress.check)
    return {
        "prediction": number,
        "model": plan.model,
        "predicted": summary.predicted,
        "failed": summary.failed,
        "seconds": time.monotonic() - began,
    }


def _threshold(project: Project, model: int) -> float | None:
    """Return the energy above which an image looks like nothing that the model has seen."""
    with project.store.read() as unit:
        familiarity = energies.kept(unit.models.get(model).metrics)
    return None if familiarity is None else familiarity.threshold
