"""Export a model, check every file against the model itself, write its card. Runs as a job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labeller.errors import ExportError, ImageError
from labeller.learning import exported
from labeller.learning.exported import Probs, Whole
from labeller.learning.images import Ints
from labeller.learning.saved import load_model, publish
from labeller.learning.snapshot import Labels, take
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import model_card
from labeller.services.model_shelf import FILES, Check, folder_of
from labeller.squares import Bytes, square_of
from store.records import ItemRecord, JobRecord, ModelRecord

CHECKED = 1_000  # images on which an export is compared with the model
FARTHEST = {FILES["onnx"]: 1e-4, FILES["fastai"]: 0.2}  # fastai resizes in its own way
MEASURED = 200  # training images on which the ranges of 8-bit activations are measured


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Some labelled images that can be read: `paths` and `columns` (n,), `pixels` (n, s, s, 3)."""

    paths: tuple[Path, ...]
    columns: Ints
    pixels: Bytes


def run_export_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Write a model as files for elsewhere.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its params are ``model`` (number) and ``formats`` (some of ``onnx``, ``int8``,
        ``fastai``).
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``model``, ``folder``, ``files`` (name, bytes and how it compares with the
        model), ``split`` and ``n`` of the images it was compared on.

    Raises
    ------
    ExportError
        When no labelled image can be read, or the folder cannot be written.
    RoundError
        When the model's files are missing or damaged.
    """
    with project.store.read() as unit:
        record = unit.models.get(int(job.params["model"]))
    formats = [name for name in FILES if name in job.params["formats"]]
    progress.update("export", 0, len(formats) + 1, "Loading the model")
    whole = Whole(load_model(project, record))
    split, images, training = _chosen(project, record, whole.side)
    truth = exported.probabilities(whole, images.pixels)
    final = folder_of(project, record.id)
    work = final.with_name(f".{final.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        checks = []
        for done, name in enumerate(formats):
            progress.check()
            progress.update("export", done, len(formats) + 1, f"Writing {FILES[name]}")
            found = _write(name, work, whole, record, project, training, images)
            checks.append(_check(work / FILES[name], truth, found, images.columns))
        _describe(work, project, record, checks, split, len(images.columns), whole.side)
        shutil.rmtree(final, ignore_errors=True)
        publish(work, final)
    except OSError as error:
        raise ExportError(
            f"{final}: cannot be written ({error.strerror or error}). Make room and try again."
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {
        "model": record.id,
        "folder": str(final),
        "files": [asdict(check) for check in checks],
        "split": split,
        "n": len(images.columns),
    }


def _write(
    name: str,
    work: Path,
    whole: Whole,
    record: ModelRecord,
    project: Project,
    training: _Images,
    images: _Images,
) -> Probs:
    """Write one file and return what it says of the images."""
    file = work / FILES[name]
    if name == "fastai":
        exported.write_learner(whole, _names(project, record), images.paths[0], file)
        return exported.learner_probabilities(file, images.paths)
    onnx = work / FILES["onnx"]
    if not onnx.exists():
        exported.write_onnx(whole, onnx)
    if name == "int8":
        exported.write_int8(onnx, file, training.pixels)
    return exported.onnx_probabilities(file, images.pixels)


def _check(file: Path, truth: Probs, found: Probs, columns: Ints) -> Check:
    """Compare what a file says with what the model says."""
    same = found.argmax(axis=1) == truth.argmax(axis=1)
    apart = float(np.abs(found - truth).max())
    if not apart <= FARTHEST.get(file.name, 1.0):
        raise ExportError(
            f"{file.name}: does not say what the model says (a probability is off by {apart:.2g}), "
            f"so it was not kept. Export the other formats, and report this with the versions."
        )
    return Check(
        name=file.name,
        bytes=file.stat().st_size,
        accuracy=float((found.argmax(axis=1) == columns).mean()),
        model_accuracy=float((truth.argmax(axis=1) == columns).mean()),
        largest=apart,
        agree=float(same.mean()),
    )


def _chosen(project: Project, record: ModelRecord, side: int) -> tuple[str, _Images, _Images]:
    """Return what to compare on (the audit set if any of it is labelled), and training images."""
    snapshot = take(project)
    place = {class_id: column for column, class_id in enumerate(record.class_ids)}
    now = np.array([place.get(one, -1) for one in snapshot.class_ids], np.int64)

    def read(labels: Labels, most: int) -> _Images:
        columns = now[labels.columns]
        known = np.flatnonzero(columns >= 0)
        rows = known[:: -(-len(known) // most) or 1]
        return _read(project, labels.ids[rows], columns[rows], side)

    training = read(snapshot.part("train"), MEASURED)
    for split in ("audit", "valid", "train"):
        images = read(snapshot.part(split), CHECKED)
        if len(images.columns) and len(training.columns):
            return split, images, training
    raise ExportError("No labelled image can be read, so that an export could not be checked.")


def _read(project: Project, ids: Ints, columns: Ints, side: int) -> _Images:
    with project.store.read() as unit:
        items: dict[int, ItemRecord] = unit.items.many(ids.tolist())
    paths, kept, pixels = [], [], []
    for item_id, column in zip(ids.tolist(), columns.tolist(), strict=True):
        path = project.file(items[item_id].path)
        try:
            pixels.append(square_of(path, side, project.settings.max_image_pixels))
        except ImageError:
            continue
        paths.append(path)
        kept.append(column)
    stacked = np.stack(pixels) if pixels else np.empty((0, side, side, 3), np.uint8)
    return _Images(tuple(paths), np.array(kept, np.int64), stacked)


def _names(project: Project, record: ModelRecord) -> list[str]:
    with project.store.read() as unit:
        names = {one.id: one.name for one in unit.classes.all(archived=True)}
    return [names[class_id] for class_id in record.class_ids]


def _describe(
    work: Path,
    project: Project,
    record: ModelRecord,
    checks: Sequence[Check],
    split: str,
    n: int,
    side: int,
) -> None:
    """Write the classes in the order of the columns, and the model's card."""
    names = _names(project, record)
    about = {"classes": names, "side": side, "model": record.id, "label_hash": record.label_hash}
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (work / "classes.json").write_text(text + "\n", encoding="utf-8")
    card = model_card.card(project, record, names, checks, split, n, side)
    (work / "MODEL_CARD.md").write_text(card, encoding="utf-8")
