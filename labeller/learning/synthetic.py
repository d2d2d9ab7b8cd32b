"""Synthetic items as training examples: pictures with hard labels, mixtures with soft ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.errors import ImageError, ProjectError
from labeller.learning.device import Device
from labeller.learning.extraction import extract
from labeller.learning.features import Features, Floats
from labeller.learning.images import Ints
from labeller.learning.snapshot import Labels
from labeller.progress import Progress
from labeller.project import Project
from labeller.squares import Bytes, Resize, square_of
from store.records_made import SyntheticRecord
from store.vectors import VectorFile, name_file
from strategies.synthesis import Parents, Plan, blend

Bools = NDArray[np.bool_]

STAGE = "synthetic"
PREFIX = "synthetic-"
PART = 64  # pictures decoded and looked at together


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """Synthetic items that join training.

    Parameters
    ----------
    records : tuple of SyntheticRecord, length m
    owners : array of int, shape (m, 2)
        Parent and partner; of a picture the parent twice.
    columns : array of int, shape (m,)
        The classes of the parents.
    left_out : int
        How many others a model might learn from, but cannot: unreadable, or of no use to this kind
        of training.
    vectors : array of float32, shape (m, d), optional
        Features; None where the pictures themselves are trained on.
    targets : array of float32, shape (m, C), optional
        Labels, which those of mixtures share between two classes; rows sum to one.
    """

    records: tuple[SyntheticRecord, ...]
    owners: Ints
    columns: Ints
    left_out: int = 0
    vectors: Floats | None = None
    targets: Floats | None = None

    def __len__(self) -> int:
        """Return m."""
        return len(self.records)

    @property
    def ids(self) -> Ints:
        """Their ids (m,)."""
        return np.array([one.id for one in self.records], np.int64)

    @property
    def pictures(self) -> Bools:
        """Which of them (m,) have a picture."""
        return np.array([one.path is not None for one in self.records], np.bool_)

    @property
    def digest(self) -> str:
        """Identity of these items and their labels."""
        lines = sorted(
            f"{one.sha256 or one.plan['parameters']}\t{one.parent_id}\t{one.class_id}\n"
            for one in self.records
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def within(self, ids: Ints) -> Synthetic:
        """Return those whose parent and partner are among `ids`: nothing else may be known."""
        known = np.isin(self.owners, ids)
        return self.only(known[:, 0] & known[:, 1])

    def only(self, kept: Bools) -> Synthetic:
        """Return some of them; the others count as left out."""
        return Synthetic(
            tuple(one for one, keep in zip(self.records, kept, strict=True) if keep),
            self.owners[kept],
            self.columns[kept],
            self.left_out + int((~kept).sum()),
            None if self.vectors is None else self.vectors[kept],
            None if self.targets is None else self.targets[kept],
        )


def gather(project: Project, class_ids: Sequence[int], labels: Labels) -> Synthetic | None:
    """Return what a model may learn from besides `labels`, without its features.

    Parameters
    ----------
    project : Project
    class_ids : sequence of int, length C
        The classes of the columns.
    labels : Labels
        Labels by people of readable training items: parents and partners are among them, and a
        child has the label of its parent.

    Returns
    -------
    Synthetic or None
        None when there is nothing.
    """
    with project.store.read() as unit:
        records = unit.synthetic.trainable()
    column_of = dict(zip(labels.ids.tolist(), labels.columns.tolist(), strict=True))
    place = {class_id: column for column, class_id in enumerate(class_ids)}
    fit = tuple(one for one in records if _fits(one, column_of, place))
    if not fit:
        return None
    owners = np.array([_owners(one) for one in fit], np.int64)
    columns = np.array([column_of[one.parent_id] for one in fit], np.int64)
    return Synthetic(fit, owners, columns, len(records) - len(fit))


def described(synthetic: Synthetic | None) -> dict[str, Any]:
    """Return what a model's description says of the synthetic items it learned from."""
    if synthetic is None or not len(synthetic):
        return {}
    return {"synthetic": len(synthetic), "synthetic_digest": synthetic.digest}


def _fits(one: SyntheticRecord, column_of: dict[int, int], place: dict[int, int]) -> bool:
    """Whether parent and partner are known, and the child has its parent's label."""
    known = all(owner in column_of for owner in _owners(one))
    return known and place.get(one.class_id) == column_of[one.parent_id]


def _owners(one: SyntheticRecord) -> tuple[int, int]:
    partner = None if one.path else one.plan["parameters"]["partner"]
    return one.parent_id, one.parent_id if partner is None else int(partner)


def ready(
    project: Project,
    synthetic: Synthetic,
    labels: Labels,
    classes: int,
    features: Features | None,
    device: Device,
    progress: Progress,
) -> Synthetic:
    """Return the items as training takes them; those that it cannot take are left out.

    Parameters
    ----------
    project : Project
    synthetic : Synthetic
    labels : Labels
        As in :func:`gather`.
    classes : int
        C
    features : Features, optional
        Those of the project's items; None where the pictures themselves are trained on, of which
        mixtures have none.
    device : Device
    progress : Progress

    Returns
    -------
    Synthetic
        With features, computed for new pictures, and labels.

    Raises
    ------
    BackboneError
        When the backbone cannot be loaded.
    JobCancelled
        When the work should stop.
    """
    if features is None:
        return synthetic.only(synthetic.pictures)
    file = _file(project, features)
    _compute_missing(project, synthetic.only(synthetic.pictures), features, file, device, progress)
    known = synthetic.only(~synthetic.pictures | file.has(synthetic.ids))
    drawn = known.pictures
    vectors = np.empty((len(known), features.width), np.float32)
    targets = np.zeros((len(known), classes), np.float32)
    vectors[drawn] = file.read(known.ids[drawn])
    targets[drawn, known.columns[drawn]] = 1
    if not drawn.all():
        vectors[~drawn], targets[~drawn] = _blended(known.only(~drawn), labels, classes, features)
    return replace(known, vectors=vectors, targets=targets)


def _blended(
    mixtures: Synthetic, labels: Labels, classes: int, features: Features
) -> tuple[Floats, Floats]:
    """Return features (m, d) and labels (m, C) of mixtures, from those of their owners."""
    owners = labels.among(np.unique(mixtures.owners))
    parents = Parents(
        owners.ids, owners.columns, classes, recipes=(), embeddings=features.read(owners.ids)
    )
    return blend([Plan.from_json(one.plan) for one in mixtures.records], parents)


def _file(project: Project, features: Features) -> VectorFile:
    """Open the features of synthetic items; delete those of other recipes."""
    path = project.vectors / f"{PREFIX}{features.recipe.file}"
    for other in project.vectors.glob(f"{PREFIX}*"):
        if name_file(other) != path.name:
            other.unlink(missing_ok=True)
    return VectorFile.open(path, features.width, "float16", features.file.tag)


def _compute_missing(
    project: Project,
    pictures: Synthetic,
    features: Features,
    file: VectorFile,
    device: Device,
    progress: Progress,
) -> None:
    """Compute and store the features of pictures that have none; unreadable ones are left out."""
    file.drop_damaged(pictures.ids)
    new = pictures.only(~file.has(pictures.ids))
    if not len(new):
        return
    trunk = features.backbone.load()
    trunk.module.to(device.torch)
    done = 0
    paths = [one.path or "" for one in new.records]
    for rows, pixels in squares(project, paths, features.recipe.resize, progress):
        if len(rows):
            file.write(new.ids[rows], extract(trunk, features.recipe, pixels, device))
        done = min(len(new), done + PART)
        progress.update(STAGE, done, len(new))


def squares(
    project: Project, paths: Sequence[str], resize: Resize, progress: Progress
) -> Iterator[tuple[Ints, Bytes]]:
    """Yield places of readable pictures among `paths`, and their pixels (n, side, side, 3)."""
    with ThreadPoolExecutor(project.settings.workers or None) as pool:
        for start in range(0, len(paths), PART):
            progress.check()
            part = paths[start : start + PART]
            read = list(pool.map(lambda path: _square(project, path, resize), part))
            rows = [start + place for place, one in enumerate(read) if one is not None]
            pixels = [one for one in read if one is not None]
            empty = np.empty((0, resize.side, resize.side, 3), np.uint8)
            yield np.array(rows, np.int64), np.stack(pixels) if pixels else empty


def _square(project: Project, path: str, resize: Resize) -> Bytes | None:
    """Return the pixels of a picture, None when it cannot be read."""
    try:
        return square_of(project.file(path), resize, project.settings.max_image_pixels)
    except (ImageError, ProjectError):
        return None
