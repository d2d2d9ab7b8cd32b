"""The demo: a project of 3,000 real images, some of them labelled, made in seconds offline."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from labeller import demo
from labeller.errors import ProjectError
from labeller.progress import Progress, Silent
from labeller.project import Project, create_project
from labeller.services import rounds
from labeller.services.class_names import class_ids
from labeller.services.splits import split_of
from store.durable import make_folder, sync_file
from store.records import NewEvent, NewItem

NAME = "Fashion-MNIST demo"
BUDGET = 500.0
AUDIT_LABELS = 6  # of each class: enough for a first, honestly wide, interval
OTHER_LABELS = 24  # of each class, for training and validation
FOLDER = "images/fashion-mnist"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Picture:
    """One image of the sample as a file."""

    data: bytes
    sha256: str
    class_name: str


def create_demo(root: Path | str, progress: Progress | None = None) -> Project:
    """Make the demo project: images, classes, 300 labels that cost nothing, a first queue.

    The same images are labelled every time: of each class those whose hashes come first, 6 of the
    audit set and 24 of the others.

    Parameters
    ----------
    root : path
        A folder that does not exist yet or is empty.
    progress : Progress, optional

    Returns
    -------
    Project

    Raises
    ------
    ProjectError
        When the folder is in use or cannot be written.
    """
    project = create_project(root, demo.CLASSES, budget=BUDGET, name=NAME)
    try:
        _fill(project, progress or Silent())
    except BaseException:
        project.store.close()
        shutil.rmtree(project.root, ignore_errors=True)
        raise
    return project


def truth() -> dict[str, str]:
    """Return the true class of every demo image by the hash of its file (for benchmarks)."""
    return {picture.sha256: picture.class_name for picture in _pictures()}


def _fill(project: Project, progress: Progress) -> None:
    """Add the images, their labels and a first queue."""
    pictures = sorted(_pictures(), key=lambda picture: picture.sha256)
    labelled = _chosen(project, pictures)
    for start in range(0, len(pictures), _BATCH):
        progress.check()
        _add(project, pictures[start : start + _BATCH], start, labelled)
        progress.update("demo", min(start + _BATCH, len(pictures)), len(pictures))
    rounds.first_queue(project)


def _pictures() -> Iterator[_Picture]:
    """Yield the sample as files; in the order of their hashes their numbers tell no class."""
    images, classes = demo.load()
    for image, number in zip(images, classes.tolist(), strict=True):
        data = _png(image)
        yield _Picture(data, hashlib.sha256(data).hexdigest(), demo.CLASSES[number])


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode without compression: the same bytes, hence the same split, with every zlib."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def _chosen(project: Project, pictures: Sequence[_Picture]) -> set[str]:
    """Return the hashes of the images that are labelled from the start."""
    settings = project.settings
    seen: Counter[tuple[str, bool]] = Counter()
    chosen = set()
    for picture in pictures:
        split = split_of(picture.sha256, settings.audit_share, settings.valid_share)
        kind = (picture.class_name, split == "audit")
        if seen[kind] < (AUDIT_LABELS if split == "audit" else OTHER_LABELS):
            seen[kind] += 1
            chosen.add(picture.sha256)
    return chosen


def _add(project: Project, pictures: Sequence[_Picture], start: int, labelled: set[str]) -> None:
    """Write some images and add them, with their labels, in one transaction."""
    items = [_item(project, picture, start + place) for place, picture in enumerate(pictures)]
    try:
        make_folder(project.root / FOLDER)
        for item, picture in zip(items, pictures, strict=True):
            project.file(item.path).write_bytes(picture.data)
            sync_file(project.file(item.path))
        sync_file(project.root / FOLDER)
    except OSError as error:
        raise ProjectError(
            f"{project.root}: cannot be written ({error.strerror or error})."
        ) from error
    with project.store.write() as unit:
        classes = class_ids(unit)
        ids = unit.items.add(items)
        events = [
            NewEvent(
                key=f"import:{picture.sha256}:{classes[picture.class_name]}",
                kind="label",
                item_id=item_id,
                class_id=classes[picture.class_name],
            )
            for item_id, picture in zip(ids, pictures, strict=True)
            if picture.sha256 in labelled
        ]
        unit.labels.record("import", None, "import", events, 0.0)


def _item(project: Project, picture: _Picture, number: int) -> NewItem:
    settings = project.settings
    return NewItem(
        sha256=picture.sha256,
        path=f"{FOLDER}/{number:04}.png",
        copied=True,
        width=demo.SIDE,
        height=demo.SIDE,
        format="PNG",
        bytes=len(picture.data),
        group=picture.sha256,
        split=split_of(picture.sha256, settings.audit_share, settings.valid_share),
    )
