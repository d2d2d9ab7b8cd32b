"""The images on which exported files are compared with their model, and others they need."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeller.errors import ExportError
from labeller.learning.images import Ints, decoded
from labeller.learning.snapshot import Labels, Snapshot, take
from labeller.progress import Progress
from labeller.project import Project
from labeller.squares import Bytes, Resize
from store.records import ModelRecord, Split

LABELLED = 1_000  # images by which the accuracy of a file is measured, at most
COMPARED = 500  # images that are compared, where the project has them; labels are not needed
MEASURED = 200  # training images on which the ranges of 8-bit activations are measured
MEASURING: tuple[Split, ...] = ("audit", "valid")  # the model did not learn from these


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Some images that can be read: `paths` and `pixels` (n, s, s, 3).

    `columns` (n,) are their classes, -1 where there is no label.
    """

    paths: tuple[Path, ...]
    columns: Ints
    pixels: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Images to compare on, those with a label first, of the splits that `split` names."""

    split: str
    compared: Images
    training: Images

    @property
    def labelled(self) -> int:
        """How many of them have a label."""
        return int((self.compared.columns >= 0).sum())


def choose_images(
    project: Project, record: ModelRecord, resize: Resize, progress: Progress
) -> Chosen:
    """Read the images for the export of a model.

    Parameters
    ----------
    project : Project
    record : ModelRecord
    resize : Resize
        How images become the squares that the model sees.
    progress : Progress
        Asked whether to stop.

    Raises
    ------
    ExportError
        When no labelled image can be read.
    """
    snapshot = take(project)
    place = {class_id: column for column, class_id in enumerate(record.class_ids)}
    now = np.array([place.get(one, -1) for one in snapshot.class_ids], np.int64)

    def read(labels: Labels) -> Images:
        return _read(project, labels, resize, progress)

    def known(*splits: Split) -> Labels:
        labels = snapshot.part(*splits)
        columns = now[labels.columns]
        return Labels(labels.ids[columns >= 0], columns[columns >= 0])

    training = read(_evenly(known("train"), MEASURED))
    measuring = [split for split in MEASURING if len(known(split))] or ["train"]
    labelled = _evenly(known(*measuring), LABELLED)
    compared = read(labelled.plus(_others(snapshot, labelled.ids, COMPARED - len(labelled))))
    if not len(training.columns) or not (compared.columns >= 0).any():
        raise ExportError("No labelled image can be read, so that an export could not be checked.")
    return Chosen(" and ".join(measuring), compared, training)


def _evenly(labels: Labels, most: int) -> Labels:
    rows = slice(None, None, -(-len(labels) // most) or 1)
    return Labels(labels.ids[rows], labels.columns[rows])


def _others(snapshot: Snapshot, taken: Ints, most: int) -> Labels:
    """Return other items, as labels that are none."""
    free = np.setdiff1d(snapshot.ids, taken)
    ids = free[:: -(-len(free) // most) or 1] if most > 0 else free[:0]
    return Labels(ids, np.full(len(ids), -1, np.int64))


def _read(project: Project, labels: Labels, resize: Resize, progress: Progress) -> Images:
    parts = [np.empty((0, resize.side, resize.side, 3), np.uint8)]
    ids = [labels.ids[:0]]
    with closing(decoded(project, labels.ids, resize)) as images:
        for some in images:
            progress.check()
            parts.append(some.pixels)
            ids.append(some.ids)
    kept = np.concatenate(ids)
    column = dict(zip(labels.ids.tolist(), labels.columns.tolist(), strict=True))
    with project.store.read() as unit:
        items = unit.items.many(kept.tolist())
    return Images(
        tuple(project.file(items[one].path) for one in kept.tolist()),
        np.array([column[one] for one in kept.tolist()], np.int64),
        np.concatenate(parts),
    )
