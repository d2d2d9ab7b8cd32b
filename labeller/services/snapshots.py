"""Export a snapshot: all that training depends on, to be trained again elsewhere."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from labeller import jobs
from labeller.errors import SnapshotError
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services import feature_recipes, leak_guard
from labeller.services.originals import Original, verify_originals
from labeller.services.snapshot_checks import checked_copy
from labeller.services.snapshot_files import (
    COMPARED,
    ITEMS,
    MANIFEST,
    MOST_CLASSES,
    SETTINGS,
    Images,
    Line,
    Manifest,
    moment,
    read_items,
    versions,
    written,
)
from store.durable import make_folder, move_whole, sync_tree
from store.records import ItemRecord, JobRecord, ModelRecord
from store.scratch import begin_scratch
from store.store import Unit
from store.vectors import VectorFile

KIND = "snapshot"
_ROWS = 500


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and where; `notes` say what keeps it from being trained to the same."""

    folder: Path
    label_hash: str
    items: int
    labels: int
    images: Images
    with_metrics: bool
    notes: tuple[str, ...]


def export_snapshot(
    project: Project, to: Path, images: Images = "copy", progress: Progress | None = None
) -> Exported:
    """Write a snapshot into a folder, which appears whole or not at all.

    ``snapshot.json`` holds the hash of the label set, the settings that training depends on, the
    classes in their order, the backbone, the versions, and the metrics of the model in use when it
    was trained on these labels. ``items.jsonl`` has every item in the order of the project, the
    unlabelled ones too: features are scaled over the whole pool. Below ``images`` lie the images by
    hash, when they are copied.

    Parameters
    ----------
    project : Project
    to : Path
        A folder that does not exist yet or is empty.
    images : {"copy", "reference"}
        Copy every image after comparing it with its hash, or only name where it lies.
    progress : Progress, optional

    Returns
    -------
    Exported

    Raises
    ------
    SnapshotError
        When the folder is in use or cannot be written, or an image is gone or was changed.
    JobCancelled
        When the work should stop; nothing is left then.
    """
    progress = progress or Silent()
    target = empty_folder(to)
    if images not in get_args(Images):
        raise SnapshotError(f"{images!r} is unknown. Choose of: {', '.join(get_args(Images))}.")
    temporary = begin_scratch(target)
    try:
        make_folder(temporary)
        manifest = _write(project, temporary, images, progress)
        if images == "copy":
            _copy_images(temporary, manifest, progress)
        _keep(temporary / MANIFEST, [manifest.to_json()])
        sync_tree(temporary)
        move_whole(temporary, target)
    except OSError as error:
        raise SnapshotError(
            f"{target}: cannot be written ({error.strerror or error}). Make room there, or name "
            f"another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Exported(
        folder=target,
        label_hash=manifest.label_hash,
        items=manifest.counts["items"],
        labels=manifest.counts["labels"],
        images=images,
        with_metrics=manifest.model is not None,
        notes=manifest.notes,
    )


def start_export(project: Project, to: Path, images: Images) -> JobRecord:
    """Start the job that exports a snapshot.

    Raises
    ------
    SnapshotError
        When the folder is in use.
    JobError
        When such a job is on already.
    """
    return jobs.submit(project, KIND, {"to": str(empty_folder(to)), "images": images})


def run_snapshot_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Do a job of the kind ``snapshot``; its parameters are those of :func:`start_export`."""
    made = export_snapshot(project, Path(job.params["to"]), job.params["images"], progress)
    return asdict(made) | {"folder": str(made.folder), "notes": list(made.notes)}


def empty_folder(to: Path) -> Path:
    """Return the absolute path of a folder to be made.

    Raises
    ------
    SnapshotError
        When it holds something.
    """
    target = to.expanduser().absolute()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SnapshotError(f"{target}: is not an empty folder. Name a new one.")
    except OSError as error:
        raise SnapshotError(f"{target}: cannot be read ({error.strerror or error}).") from error
    return target


def _write(project: Project, folder: Path, images: Images, progress: Progress) -> Manifest:
    """Write the items and return the manifest, all of one moment."""
    with project.store.read() as unit:
        digest = _keep(folder / ITEMS, _told(_lines(project, unit), unit, progress))
        label_hash, counts = unit.labels.set_hash(), unit.items.count()
        model = unit.models.in_use()
        if model is not None and model.label_hash != label_hash:
            model = None
        classes = [one for one in unit.classes.all(archived=True) if one.merged_into is None]
        if len(classes) > MOST_CLASSES:
            raise SnapshotError(
                f"{project.root}: has {len(classes):,} classes, a snapshot holds at most "
                f"{MOST_CLASSES:,}. Merge some, or make a backup: labeller backup"
            )
        return Manifest(
            images=images,
            label_hash=label_hash,
            audit_hash=unit.labels.set_hash(("audit",)),
            items_sha256=digest,
            settings={name: getattr(project.settings, name) for name in SETTINGS},
            classes=tuple(classes),
            backbone=_backbone(project, model),
            counts={
                "items": counts.items,
                "labels": counts.labelled,
                "train": counts.labelled_train,
                "valid": counts.labelled_valid,
                "audit": counts.labelled_audit,
                COMPARED: _compared(unit, project.settings.leak_distance),
            },
            versions=versions(),
            model=None if model is None else _model(model),
            notes=tuple(_notes(project, unit)),
            created=moment(time.time()),
        )


def _lines(project: Project, unit: Unit) -> Iterator[Line]:
    """Yield every item with its label, if it has one."""
    ids, class_ids, _ = unit.labels.arrays()
    labels = zip(unit.labels.export(_ROWS), ids.tolist(), class_ids.tolist(), strict=True)
    row, _item_id, class_id = next(labels, (None, 0, 0))
    for part in unit.items.stream(_ROWS):
        found = verify_originals(project, part)
        looks = unit.leaks.looks([item.id for item in part])
        for item in part:
            facts = _facts(item, _whole(found[item.id]), looks.get(item.id))
            if row is not None and row.item_id == item.id:
                yield Line(
                    **facts,
                    class_id=class_id,
                    class_name=row.class_name,
                    annotator=row.annotator,
                    time=row.at,
                    provenance=row.source,
                    strategy=row.strategy,
                    round=row.round_number,
                )
                row, _item_id, class_id = next(labels, (None, 0, 0))
            else:
                yield Line(**facts, **_put_aside(unit, item))


def _compared(unit: Unit, distance: float) -> int:
    """Return how many items the leak guard has compared at this distance."""
    known = leak_guard.checked(unit)
    if known is None or known.distance < distance:
        return 0
    return int((unit.items.ids() <= known.item).sum())


def _whole(original: Original) -> Path:
    """Return where an image lies; a snapshot that named another one would be none."""
    if original.problem is not None:
        raise SnapshotError(
            f"{original.path}: is not the image that was imported any more. Put the old file back, "
            "under any name, and import it."
        )
    return original.path


def _facts(item: ItemRecord, path: Path, looks: bytes | None) -> dict[str, Any]:
    return {
        "sha256": item.sha256,
        "path": str(path),
        "width": item.width,
        "height": item.height,
        "format": item.format,
        "bytes": item.bytes,
        "group": item.group,
        "split": item.split,
        "state": item.state,
        "looks": None if looks is None else looks.hex(),
    }


def _put_aside(unit: Unit, item: ItemRecord) -> dict[str, Any]:
    """Return who skipped or flagged an item, when and why."""
    if item.state not in ("skipped", "flagged"):
        return {}
    event = next(event for event in unit.labels.history(item.id) if event.current)
    return {
        "annotator": event.annotator,
        "time": event.at,
        "provenance": event.source,
        "reason": event.reason,
    }


def _told(lines: Iterator[Line], unit: Unit, progress: Progress) -> Iterator[bytes]:
    """Yield the lines as they are written, and tell how far that is."""
    total = unit.items.count().items
    for done, line in enumerate(lines, 1):
        yield written(line)
        progress.update("items", done, total)
        progress.check()


def _keep(path: Path, pieces: Iterator[bytes] | Sequence[bytes]) -> str:
    """Write a file and return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _copy_images(folder: Path, manifest: Manifest, progress: Progress) -> None:
    for done, line in enumerate(read_items(folder, manifest), 1):
        progress.check()
        target = folder / line.image
        target.parent.mkdir(parents=True, exist_ok=True)
        checked_copy(Path(line.path), line.sha256, line.bytes, target)
        progress.update("images", done, manifest.counts["items"])


def _backbone(project: Project, model: ModelRecord | None) -> dict[str, Any]:
    """Return the backbone's name with the start of its weights' SHA-256, once it is known."""
    name = model.backbone if model else project.settings.backbone
    told: dict[str, Any] = {"name": name, "weights_sha256_begins": None}
    recipe = feature_recipes.of_model(model) if model else None
    if recipe is not None:
        told["recipe"] = asdict(recipe)
        tag = VectorFile.tag_of(project.vectors / recipe.file)
        told["weights_sha256_begins"] = tag.rpartition(" ")[2] or None
    return told


def _model(model: ModelRecord) -> dict[str, Any]:
    fields = asdict(model)
    for name in ("id", "round_id", "in_use", "path", "deleted_at"):
        del fields[name]
    return fields


def _notes(project: Project, unit: Unit) -> Iterator[str]:
    """Yield what a round learns from here that the snapshot does not hold."""
    if unit.synthetic.trainable():
        yield (
            "The project trains on synthetic items too, which are not in the snapshot: a model "
            "trained from it will not have the same metrics."
        )
    if project.settings.train_on_generated and len(unit.generated_labels.arrays("train")[0]):
        yield (
            "The project trains on generated labels too, which are not in the snapshot: a model "
            "trained from it will not have the same metrics."
        )
