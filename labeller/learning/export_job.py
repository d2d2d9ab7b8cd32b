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
from labeller.learning.saved import flush, load_model
from labeller.learning.snapshot import Labels, take
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import model_card
from labeller.services.class_names import names_of
from labeller.services.model_shelf import CARD, CLASSES, FILES, Check, check_there, folder_of
from labeller.services.originals import verify_original
from labeller.squares import Bytes, square_of
from store.records import ItemRecord, JobRecord, ModelRecord

CHECKED = 1_000  # images on which an export is compared with the model
FARTHEST = {FILES["onnx"]: 1e-4, FILES["fastai"]: 1e-4}
MEASURED = 200  # training images on which the ranges of 8-bit activations are measured


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Some labelled images that can be read: `paths` and `columns` (n,), `pixels` (n, s, s, 3)."""

    paths: tuple[Path, ...]
    columns: Ints
    pixels: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What files are made of and compared with: `truth` is what the model says of `images`."""

    whole: Whole
    names: tuple[str, ...]
    split: str
    images: _Images
    training: _Images
    truth: Probs
    max_pixels: int


def run_export_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Write a model as files for elsewhere, beside those that are there of it already.

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
        model), ``failed`` (reason by name of the file), ``split`` and ``n`` of the images it was
        compared on.

    Raises
    ------
    ExportError
        When the model was deleted, no file can be made, no labelled image can be read, or the
        folder cannot be written.
    RoundError
        When the model's files are missing or damaged.
    """
    with project.store.read() as unit:
        record = unit.models.get(int(job.params["model"]))
    check_there(record)
    final = folder_of(project, record.id)
    work = final.with_name(f".{final.name}")
    wanted = set(job.params["formats"])
    kept = dict.fromkeys(_kept(final, record) - wanted, final)
    steps = [(name, kept.get(name)) for name in FILES if name in {*wanted, *kept}]
    progress.update("export", 0, len(steps) + 1, "Loading the model")
    source = _source(project, record)
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        checks, failed = _made(steps, work, source, progress)
        _describe(work, project, record, checks, source)
        _replace(work, final)
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
        "failed": failed,
        "split": source.split,
        "n": len(source.images.columns),
    }


def _kept(folder: Path, record: ModelRecord) -> set[str]:
    """Return the formats in which this very model was exported before."""
    try:
        about = json.loads((folder / CLASSES).read_text("utf-8"))
    except (OSError, ValueError):
        return set()
    if (about.get("model"), about.get("label_hash")) != (record.id, record.label_hash):
        return set()
    return {name for name, file in FILES.items() if (folder / file).is_file()}


def _source(project: Project, record: ModelRecord) -> _Source:
    whole = Whole(load_model(project, record))
    split, images, training = _chosen(project, record, whole.side)
    with project.store.read() as unit:
        names = names_of(unit, record.class_ids)
    return _Source(
        whole=whole,
        names=names,
        split=split,
        images=images,
        training=training,
        truth=exported.probabilities(whole, images.pixels),
        max_pixels=project.settings.max_image_pixels,
    )


def _made(
    steps: Sequence[tuple[str, Path | None]], work: Path, source: _Source, progress: Progress
) -> tuple[list[Check], dict[str, str]]:
    """Write and check each format; returns the reason of each that failed, too."""
    checks: list[Check] = []
    failed: dict[str, str] = {}
    for done, (name, earlier) in enumerate(steps):
        file = work / FILES[name]
        progress.check()
        progress.update("export", done, len(steps) + 1, f"Writing {file.name}")
        try:
            checks.append(_check(file, _write(name, work, source, earlier), source))
        except Exception as error:  # exporters raise what they like, and the other files may do
            failed[file.name] = _reason(file, error)
    if not checks:
        raise ExportError(next(iter(failed.values())))
    good = {check.name for check in checks}
    for name in FILES.values():
        if name not in good:  # it failed, or others were only made from it
            (work / name).unlink(missing_ok=True)
    return checks, failed


def _write(name: str, work: Path, source: _Source, earlier: Path | None) -> Probs:
    """Write one file and return what it says of the images.

    What lies in an `earlier` export is taken from there, but for the learner: it holds the names of
    the classes as they were, and nothing is unpickled that was not written a moment ago.
    """
    file = work / FILES[name]
    if name == "fastai":
        exported.write_learner(
            source.whole, source.names, source.images.paths[0], file, source.max_pixels
        )
        return exported.learner_probabilities(file, source.images.paths)
    if earlier is not None:
        shutil.copyfile(earlier / file.name, file)
        return exported.onnx_probabilities(file, source.images.pixels)
    onnx = work / FILES["onnx"]
    if not onnx.exists():
        exported.write_onnx(source.whole, onnx)
    if name == "int8":
        exported.write_int8(onnx, file, source.training.pixels)
    return exported.onnx_probabilities(file, source.images.pixels)


def _reason(file: Path, error: Exception) -> str:
    """Say in words why a file could not be made."""
    if isinstance(error, ExportError):
        return str(error)
    why = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    return (
        f"{file.name}: cannot be made ({type(error).__name__}: {why}). Make room if the disk is "
        f"full; otherwise export the other formats, and report this with the versions."
    )


def _replace(work: Path, final: Path) -> None:
    """Give the new files their place; the earlier ones go when that is done."""
    flush(work)
    earlier = final.with_name(f".{final.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if final.exists():
        final.rename(earlier)
    try:
        work.rename(final)
    except OSError:
        if earlier.exists():
            earlier.rename(final)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _check(file: Path, found: Probs, source: _Source) -> Check:
    """Compare what a file says with what the model says."""
    truth, columns = source.truth, source.images.columns
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
        try:
            path = verify_original(project, items[item_id])
            pixels.append(square_of(path, side, project.settings.max_image_pixels))
        except ImageError:
            continue
        paths.append(path)
        kept.append(column)
    stacked = np.stack(pixels) if pixels else np.empty((0, side, side, 3), np.uint8)
    return _Images(tuple(paths), np.array(kept, np.int64), stacked)


def _describe(
    work: Path, project: Project, record: ModelRecord, checks: Sequence[Check], source: _Source
) -> None:
    """Write the classes in the order of the columns, and the model's card."""
    names, side = source.names, source.whole.side
    about = {
        "classes": list(names),
        "side": side,
        "model": record.id,
        "label_hash": record.label_hash,
    }
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (work / CLASSES).write_text(text + "\n", encoding="utf-8")
    n = len(source.images.columns)
    card = model_card.card(project, record, names, checks, source.split, n, side)
    (work / CARD).write_text(card, encoding="utf-8")
