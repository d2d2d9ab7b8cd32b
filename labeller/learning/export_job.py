"""Export a model, check every file against the model itself, write its card. Runs as a job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeller.errors import ExportError
from labeller.learning import exported
from labeller.learning.export_images import Chosen, choose_images
from labeller.learning.exported import Probs, Whole
from labeller.learning.saved import load_model
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import feature_recipes, model_card, preprocessing
from labeller.services.class_names import names_of
from labeller.services.export_check import EXACT, ROUNDED, Check, compare, judge
from labeller.services.model_shelf import CARD, CLASSES, FILES, check_there, folder_of
from store.durable import make_folder, move_whole, sync_tree
from store.records import JobRecord, ModelRecord

LIMITS = {"onnx": EXACT, "int8": ROUNDED, "fastai": EXACT}


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What files are made of and compared with: `truth` is what the model says of the images."""

    whole: Whole
    names: tuple[str, ...]
    images: Chosen
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
        model), ``failed`` (reason by name of the file), ``split`` and ``n`` of the labelled images
        that accuracies are measured on.

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
    _put_back(final)
    wanted = set(job.params["formats"])
    there = _there(final, record)
    earlier = {name: folder for name, folder in there.items() if name not in wanted}
    steps = [(name, earlier.get(name)) for name in FILES if name in {*wanted, *earlier}]
    progress.update("export", 0, len(steps) + 1, "Loading the model")
    source = _source(project, record, progress)
    shutil.rmtree(work, ignore_errors=True)
    try:
        make_folder(work)
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
        "split": source.images.split,
        "n": source.images.labelled,
    }


def _there(folder: Path, record: ModelRecord) -> dict[str, Path | None]:
    """Return the formats in which this very model was exported before.

    With the folder to take the file from; None where the model has features of a newer version by
    now, so that the file is written anew.
    """
    try:
        about = json.loads((folder / CLASSES).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if (about.get("model"), about.get("label_hash")) != (record.id, record.label_hash):
        return {}
    source = folder if about.get("features") == feature_recipes.VERSION else None
    return {name: source for name, file in FILES.items() if (folder / file).is_file()}


def _source(project: Project, record: ModelRecord, progress: Progress) -> _Source:
    whole = Whole(load_model(project, record))
    images = choose_images(project, record, whole.resize, progress)
    with project.store.read() as unit:
        names = names_of(unit, record.class_ids)
    return _Source(
        whole=whole,
        names=names,
        images=images,
        truth=exported.probabilities(whole, images.compared.pixels),
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
            checks.append(_check(name, file, _write(name, work, source, earlier), source))
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
    file, images = work / FILES[name], source.images.compared
    if name == "fastai":
        exported.write_learner(source.whole, source.names, images.paths[0], file, source.max_pixels)
        return exported.learner_probabilities(file, images.paths)
    if earlier is not None:
        shutil.copyfile(earlier / file.name, file)
        return exported.onnx_probabilities(file, images.pixels)
    onnx = work / FILES["onnx"]
    if not onnx.exists():
        exported.write_onnx(source.whole, onnx)
    if name == "int8":
        exported.write_int8(onnx, file, source.images.training.pixels)
    return exported.onnx_probabilities(file, images.pixels)


def _reason(file: Path, error: Exception) -> str:
    """Say in words why a file could not be made."""
    if isinstance(error, ExportError):
        return str(error)
    why = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    return (
        f"{file.name}: cannot be made ({type(error).__name__}: {why}). Make room if the disk is "
        f"full; otherwise export the other formats, and report this with the versions."
    )


def _earlier(final: Path) -> Path:
    """Return where the files of an earlier export lie while new ones take their place."""
    return final.with_name(f".{final.name}.earlier")


def _put_back(final: Path) -> None:
    """Give an earlier export its place again, when the job that replaced it did not end."""
    if _earlier(final).exists() and not final.exists():
        move_whole(_earlier(final), final)


def _replace(work: Path, final: Path) -> None:
    """Give the new files their place; the earlier ones go when that is done."""
    sync_tree(work)
    earlier = _earlier(final)
    shutil.rmtree(earlier, ignore_errors=True)
    if final.exists():
        final.rename(earlier)
    try:
        move_whole(work, final)
    except OSError:
        _put_back(final)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _check(name: str, file: Path, found: Probs, source: _Source) -> Check:
    """Compare what a file says with what the model says; refuse it when they differ too much."""
    check = compare(
        file.name, file.stat().st_size, found, source.truth, source.images.compared.columns
    )
    judge(file.name, found, source.truth, check, LIMITS[name])
    return check


def _describe(
    work: Path, project: Project, record: ModelRecord, checks: Sequence[Check], source: _Source
) -> None:
    """Write the classes in the order of the columns, and the model's card."""
    names, resize, images = source.names, source.whole.resize, source.images
    about = {
        "classes": list(names),
        "side": resize.side,
        "resize_method": resize.method,
        "model": record.id,
        "label_hash": record.label_hash,
        "features": feature_recipes.VERSION,
        "preprocessing": preprocessing.steps(resize),
    }
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (work / CLASSES).write_text(text + "\n", encoding="utf-8")
    card = model_card.card(project, record, names, checks, images.split, images.labelled, resize)
    (work / CARD).write_text(card, encoding="utf-8")
