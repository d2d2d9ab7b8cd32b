"""Predictions kept in the project: started as jobs, listed, gone on with, downloaded, deleted."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from labeller import jobs
from labeller.errors import PredictionError
from labeller.project import Project
from labeller.services import prediction_images, prediction_index
from labeller.services.predicting import Sources, chosen_model
from labeller.services.prediction_files import as_csv
from labeller.services.prediction_index import RESULT, Summary
from labeller.services.prediction_plans import (
    FOLDER,
    PLAN,
    UPLOADS,
    Plan,
    folder_of,
    image_version,
    paths_of,
    plan_of,
    read_plan,
    writing,
)
from store.durable import make_folder, move_whole, sync_file, sync_tree, write_whole
from store.records import JobRecord

KIND = "predict"
_JOBS = 500  # looked through for why one was stopped
_OLD_SECONDS = 86_400.0  # a draft that nobody started by then was left by a process that died


@dataclass(frozen=True, slots=True)
class Kept:
    """A prediction of the project: its `summary` when it is finished, and the last `job` of it."""

    number: int
    plan: Plan
    summary: Summary | None
    job: JobRecord | None
    bytes: int

    @property
    def state(self) -> Literal["on", "done", "stopped"]:
        """Whether it is being made, finished, or was stopped on the way."""
        if self.job is not None and self.job.active:
            return "on"
        return "stopped" if self.summary is None else "done"


def start(
    project: Project, find: Callable[[Path], Sequence[Path]], model_id: int | None = None
) -> JobRecord:
    """Start a prediction.

    Parameters
    ----------
    project : Project
    find : callable
        Returns what to predict: folders, CSV files, zip archives, image files. It is given a new
        folder, to put in what was uploaded; that goes when the prediction is deleted.
    model_id : int, optional
        The model in use when not given.

    Raises
    ------
    PredictionError
        When there is no model, nothing to predict, or the folder cannot be written.
    ImportSourceError
        When a source cannot be read as a whole.
    JobError
        When a prediction is on already.
    """
    folder = project.root / FOLDER / f".{uuid.uuid4().hex}"
    try:
        with writing(project):
            model = chosen_model(project, model_id).id
            make_folder(folder / UPLOADS)
            _tidy(project)
            plan = _planned(folder, find(folder / UPLOADS), model)
            with Sources.open(project, paths_of(folder, plan)).incoming:
                pass  # what cannot be read as a whole is said now
            write_whole(folder / PLAN, json.dumps(asdict(plan)).encode("ascii"))
            sync_tree(folder)
            folder = _numbered(project, folder)
            sync_file(folder.parent)
        return jobs.submit(project, KIND, {"prediction": int(folder.name), "id": plan.id})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _planned(folder: Path, sources: Sequence[Path], model: int) -> Plan:
    if not sources:
        raise PredictionError("Choose what to predict: a folder, a zip or a CSV file, or images.")
    sent = [path for path in (folder / UPLOADS).rglob("*") if path.is_file()]
    return Plan(
        id=uuid.uuid4().hex,
        sources=tuple(
            str(path.relative_to(folder) if path.is_relative_to(folder) else path.absolute())
            for path in sources
        ),
        model=model,
        uploaded=len(sent),
        uploaded_bytes=sum(path.stat().st_size for path in sent),
        created_at=time.time(),
    )


def _numbered(project: Project, folder: Path) -> Path:
    """Give a draft the next number; two tabs never get the same."""
    while True:
        number = max(_numbers(project), default=0) + 1
        try:
            return folder.rename(folder_of(project, number))
        except OSError:
            if not folder_of(project, number).exists():
                raise


def _numbers(project: Project) -> list[int]:
    return [int(one.name) for one in (project.root / FOLDER).glob("[0-9]*") if one.name.isdigit()]


def _tidy(project: Project) -> None:
    """Delete drafts that nobody started, and what a delete that was killed has left."""
    for folder in (project.root / FOLDER).glob(".*"):
        with suppress(OSError):  # another tab was quicker
            if time.time() - folder.stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def resume(project: Project, number: int, restart: bool = False) -> JobRecord:
    """Go on with a prediction that was stopped, or begin it anew.

    Raises
    ------
    PredictionError
        When there is none of this number, it is finished, or its model was deleted.
    JobError
        When a prediction is on already.
    """
    kept = get(project, number)
    if kept.state == "done":
        raise PredictionError(f"Prediction {number} is finished.")
    chosen_model(project, kept.plan.model)
    params = {"prediction": number, "id": kept.plan.id, "restart": restart}
    return jobs.submit(project, KIND, params)


def get(project: Project, number: int) -> Kept:
    """Return one prediction; raises `PredictionError` when there is none of this number."""
    return _kept(project, number, plan_of(project, number), _last_jobs(project))


def listing(project: Project) -> list[Kept]:
    """Return the predictions of the project, newest first; damaged ones are left out."""
    last = _last_jobs(project)
    found = []
    for number in sorted(_numbers(project), reverse=True):
        if (plan := read_plan(folder_of(project, number))) is not None:
            found.append(_kept(project, number, plan, last))
    return found


def _last_jobs(project: Project) -> dict[str, JobRecord]:
    """Return the newest job of each prediction, by its identity."""
    with project.store.read() as unit:
        found = [job for job in unit.jobs.all(_JOBS) if job.kind == KIND]
    return {str(job.params.get("id")): job for job in reversed(found)}


def _kept(project: Project, number: int, plan: Plan, last: dict[str, JobRecord]) -> Kept:
    folder = folder_of(project, number)
    try:
        summary = prediction_index.read_summary(folder)
    except PredictionError:  # going on makes it anew
        summary = None
    files = [*folder.glob("*.*"), *(folder / prediction_images.THUMBNAILS).rglob("*.jpg")]
    size = plan.uploaded_bytes + sum(map(_size, files))
    return Kept(number, plan, summary, last.get(plan.id), size)


def _size(file: Path) -> int:
    with suppress(OSError):  # it just got another name
        return file.stat().st_size
    return 0


def delete(project: Project, number: int) -> int:
    """Delete a prediction with its pictures and uploads, and return how many bytes that frees.

    Raises
    ------
    PredictionError
        When there is none of this number, it is being made, or it cannot be deleted.
    """
    jobs.reap(project)
    kept = get(project, number)
    if kept.state == "on":
        raise PredictionError(f"Prediction {number} is being made. Cancel it first.")
    folder = folder_of(project, number)
    hidden = folder.with_name(f".deleted-{uuid.uuid4().hex}")
    with writing(project):
        move_whole(folder, hidden)  # at once: what a kill leaves of it is not listed any more
    shutil.rmtree(hidden, ignore_errors=True)
    prediction_images.forget_archives()
    return kept.bytes


def table(project: Project, number: int) -> io.BufferedReader:
    """Return a finished prediction as CSV, an open temporary file.

    Raises
    ------
    PredictionError
        When there is none of this number, it is not finished, or the disk is full.
    """
    summary = get(project, number).summary
    if summary is None:
        raise PredictionError(f"Prediction {number} is not finished. Go on with it first.")
    with writing(project), (folder_of(project, number) / RESULT).open(encoding="utf-8") as rows:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads and closes it
        text = io.TextIOWrapper(file, "utf-8", newline="")
        as_csv(rows, text, summary.classes)
        text.flush()
    file.seek(0)
    return io.BufferedReader(text.detach().detach())  # to be read, no more


def image_url(project: Project, kept: Kept, row: int) -> str:
    """Return the address of a predicted image below the API's root; add ``&size=``."""
    return f"predictions/{kept.number}/images/{row}?v={image_version(project, kept.plan)}"


def picture(project: Project, number: int, row: int, size: Literal["thumb", "card"]) -> Path | None:
    """Return a JPEG of an image of a finished prediction; None when it has no such row or image.

    Raises
    ------
    ImageError
        When the image is gone or was changed.
    PredictionError
        When the prediction is not finished, or its files are damaged.
    """
    folder = folder_of(project, number)
    where = prediction_index.place_of(folder, row)
    if where is None:
        return None
    return prediction_images.picture(project, folder, str(row), where, size)
