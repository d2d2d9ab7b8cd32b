"""Remove what no row speaks of: leftovers of killed rounds, files of models no longer in use."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from labeller.project import Project
from labeller.services import energies, feature_files, pool_predictions
from store.store import Unit
from store.vectors import delete_vectors, name_file

CHECKPOINTS = ".checkpoints"
STALE = 7 * 24 * 3600.0  # seconds after which nobody is expected to go on with a training


def leftovers(project: Project) -> list[Path]:
    """Delete models and predictions that were never registered; call it when no round runs.

    Checkpoints stay for a week: the same round, started again, goes on from them.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of Path
        What was deleted.
    """
    with project.store.read() as unit:
        models = [model for model in unit.models.all() if model.deleted_at is None]
        records = [unit.predictions.get(model.id) for model in models]
    folders = {project.own_file(model.path, project.models).name for model in models}
    files = {
        project.own_file(record.file, project.vectors).name
        for record in records
        if record is not None
    }
    # those of a model put in use again are registered once a job has made all of them
    files |= {pool_predictions.path_of(project, model).name for model in models if model.in_use}
    gone = delete_checkpoints(project, STALE)
    for folder in project.models.iterdir():
        if folder.is_dir() and folder.name not in {*folders, CHECKPOINTS}:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder)
    files |= {energies.path_of(Path(name)).name for name in files}
    for prefix in (pool_predictions.PREFIX, energies.PREFIX):
        for file in project.vectors.glob(f"{prefix}*"):
            if name_file(file) not in files:
                file.unlink(missing_ok=True)
                gone.append(file)
    return gone


def delete_checkpoints(project: Project, age: float = 0.0) -> list[Path]:
    """Delete the checkpoints of trainings that are at least `age` seconds old.

    Parameters
    ----------
    project : Project
    age : float
        Without it all go, as when a round ends.

    Returns
    -------
    list of Path
        What was deleted.
    """
    gone, before = [], time.time() - age
    for file in (project.models / CHECKPOINTS).glob("*"):
        if not age or file.stat().st_mtime < before:
            file.unlink(missing_ok=True)
            gone.append(file)
    return gone


def supersede(unit: Unit, model_id: int) -> list[str]:
    """Forget the predictions of every model but one; returns their files, to delete after commit.

    What older models predicted for the audit set stays in their folders. A stream that is not
    finished keeps the predictions of its model.
    """
    files = []
    kept = {model_id} | {run.model_id for run in unit.generated.all() if run.state != "finished"}
    for model in unit.models.all():
        record = unit.predictions.get(model.id) if model.id not in kept else None
        if record is not None:
            unit.predictions.drop(model.id)
            files.append(record.file)
    return files


def delete_forgotten(project: Project, files: list[str]) -> None:
    """Delete predictions that were forgotten, and features that nothing can read any more.

    Parameters
    ----------
    project : Project
    files : list of str
        As stored in prediction rows.
    """
    doomed = [project.own_file(file, project.vectors) for file in files]
    doomed += [energies.path_of(file) for file in doomed]
    for file in doomed:
        delete_vectors(file)
    feature_files.delete_superseded(project)
