"""The models of a project: which is in use, how large they are, going back, deleting, exporting."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labeller import jobs
from labeller.errors import ExportError
from labeller.project import Project
from labeller.services import energies, model_files, pool_predictions
from labeller.services.export_check import Check
from store.records import JobRecord, ModelRecord
from store.vectors import delete_vectors

KIND = "export_model"
FOLDER = "exports"
CLASSES, CARD = "classes.json", "MODEL_CARD.md"
FILES = {"onnx": "model.onnx", "int8": "model-int8.onnx", "fastai": "learner.pkl"}


@dataclass(frozen=True, slots=True)
class Export:
    """The newest export of a model: where it is and how its files compare with it.

    Accuracies are measured on `n` labelled images of `split`, which may name two of them. `failed`
    says of a file that was asked for in vain why it is not there.
    """

    folder: Path
    checks: tuple[Check, ...]
    split: str
    n: int
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A model with its size on the disk (0 when it was deleted) and its export, if there is one.

    `predicted` tells whether what it predicts for the whole pool is there; `damaged` names the
    files that the last check found changed since the training.
    """

    model: ModelRecord
    round_number: int
    bytes: int
    export: Export | None
    predicted: bool
    damaged: tuple[str, ...] = ()


def shelf(project: Project) -> list[Shelved]:
    """Return the models, newest first."""
    with project.store.read() as unit:
        models = unit.models.all()
        numbers = {one.id: one.number for one in unit.rounds.all()}
        exports = [job for job in unit.jobs.all(500) if job.kind == KIND and job.state == "done"]
        predicted = {m.id for m in models if pool_predictions.there(project, unit, m)}
        files = {m.id: p.file for m in models if (p := unit.predictions.get(m.id)) is not None}
    newest: dict[int, dict[str, Any]] = {}
    for job in sorted(exports, key=lambda job: job.id):
        newest[int(job.params["model"])] = dict(job.result or {})
    return [
        Shelved(
            model=model,
            round_number=numbers[model.round_id],
            bytes=_size(project, model, files.get(model.id)),
            export=_export(folder_of(project, model.id), newest.get(model.id)),
            predicted=model.id in predicted,
            damaged=_damaged(project, model),
        )
        for model in reversed(models)
    ]


def _damaged(project: Project, model: ModelRecord) -> tuple[str, ...]:
    """Return what is known to be damaged without reading the files; of a deleted one nothing."""
    return () if model.deleted_at is not None else model_files.recall_damage(project, model) or ()


def _export(folder: Path, result: dict[str, Any] | None) -> Export | None:
    """Return what the newest job found, if its folder is there, wherever the project lies now."""
    if result is None or not folder.is_dir():
        return None
    checks = tuple(Check(**one) for one in result["files"])
    return Export(
        folder=folder,
        checks=checks,
        split=result["split"],
        n=result["n"],
        failed=result.get("failed", {}),  # of before files could fail alone there is none
    )


def _size(project: Project, model: ModelRecord, predictions: str | None) -> int:
    if model.deleted_at is not None:
        return 0
    paths = [
        path for path in project.own_file(model.path, project.models).glob("*") if path.is_file()
    ]
    if predictions is not None:
        paths += [p for p in [project.own_file(predictions, project.vectors)] if p.is_file()]
    return sum(path.stat().st_size for path in paths)


def use(project: Project, model_id: int) -> ModelRecord:
    """Put a model in use instead of the present one, for predictions and the next stream.

    What it predicted for the pool may be gone: :func:`pool_predictions.start` makes it anew.

    Raises
    ------
    NotFound, Conflict
        When there is none, or it was deleted.
    RoundError
        When a file of it was damaged.
    """
    with project.store.read() as unit:
        model_files.refuse_damaged(project, unit.models.get(model_id))
    with project.store.write() as unit:
        return unit.models.use(model_id)


def delete(project: Project, model_id: int) -> int:
    """Delete a model's files; its figures stay in the history.

    Parameters
    ----------
    project : Project
    model_id : int

    Returns
    -------
    int
        Bytes that were freed.

    Raises
    ------
    NotFound, Conflict
        When there is none, it is in use, or a stream goes by it.
    """
    with project.store.write() as unit:
        before = unit.models.get(model_id)
        unit.models.delete(model_id)
        prediction = unit.predictions.get(model_id)
        unit.predictions.drop(model_id)
    freed = _size(project, before, prediction.file if prediction else None)
    if prediction is not None:
        file = project.own_file(prediction.file, project.vectors)
        delete_vectors(file)
        energies.delete(file)
    shutil.rmtree(project.own_file(before.path, project.models), ignore_errors=True)
    return freed


def folder_of(project: Project, model_id: int) -> Path:
    """Return where the export of a model goes."""
    return project.root / FOLDER / f"model-{model_id}"


def check_there(model: ModelRecord) -> None:
    """Raise `ExportError` when a model's files were deleted."""
    if model.deleted_at is not None:
        raise ExportError(f"Model {model.id} was deleted. Choose another.")


def start_export(project: Project, model_id: int, formats: Sequence[str]) -> JobRecord:
    """Start the job that exports a model.

    Parameters
    ----------
    project : Project
    model_id : int
    formats : sequence of str
        Some of ``onnx``, ``int8`` and ``fastai``.

    Raises
    ------
    ExportError
        When a format is unknown, none is given, or the model was deleted.
    NotFound
        When there is no such model.
    JobError
        When an export is on already.
    """
    unknown = [name for name in formats if name not in FILES]
    if unknown or not formats:
        named = repr(unknown[0]) if unknown else "Nothing"
        raise ExportError(f"{named} is no format. Choose of: {', '.join(FILES)}.")
    with project.store.read() as unit:
        check_there(unit.models.get(model_id))
    return jobs.submit(project, KIND, {"model": model_id, "formats": list(formats)})
