"""What a round works on: items, classes and labels as they were at one moment."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.learning.images import Ints
from labeller.project import Project
from store.records import ClassRecord, Split
from store.store import Unit


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labelled items of some splits: `ids` (n,) and their classes as `columns` (n,)."""

    ids: Ints
    columns: Ints

    def __len__(self) -> int:
        """Return n."""
        return len(self.ids)

    def among(self, ids: Ints) -> Labels:
        """Return those whose item is one of `ids`."""
        kept = np.isin(self.ids, ids, assume_unique=True)
        return Labels(self.ids[kept], self.columns[kept])

    def plus(self, other: Labels) -> Labels:
        """Return these labels and others."""
        return Labels(
            np.concatenate([self.ids, other.ids]), np.concatenate([self.columns, other.columns])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything read in one transaction when a round begins.

    `ids` (N,) are all items, `pool_ids` those of training and validation, `audit_ids` those of the
    audit set. `classes` are those in use, in their order: the columns of all predictions. `labels`
    counts all current labels; `label_hash` names those of training and validation. `generated` are
    no labels: accepted predictions of training items, when the setting says to train on them.
    """

    at: float
    ids: Ints
    pool_ids: Ints
    audit_ids: Ints
    classes: tuple[ClassRecord, ...]
    label_ids: Ints
    label_columns: Ints
    label_splits: NDArray[np.str_]
    label_hash: str
    labels: int
    spent: float
    generated: Labels

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Ids of the columns."""
        return tuple(one.id for one in self.classes)

    def part(self, *splits: Split) -> Labels:
        """Return the labels of some splits."""
        chosen = np.isin(self.label_splits, splits)
        return Labels(self.label_ids[chosen], self.label_columns[chosen])


def take(project: Project) -> Snapshot:
    """Read items, classes and labels; labels of archived classes that were not merged stay out.

    Parameters
    ----------
    project : Project
    """
    at = time.time()
    with project.store.read() as unit:
        classes = tuple(sorted(unit.classes.all(), key=lambda one: (one.position, one.id)))
        ids, class_ids, splits = unit.labels.arrays()
        column = {one.id: place for place, one in enumerate(classes)}
        columns = np.array([column.get(int(c), -1) for c in class_ids], np.int64)
        known = columns >= 0
        return Snapshot(
            at=at,
            ids=unit.items.ids(),
            pool_ids=unit.items.ids(split=("train", "valid")),
            audit_ids=unit.items.ids(split="audit"),
            classes=classes,
            label_ids=ids[known],
            label_columns=columns[known],
            label_splits=np.array(splits, dtype="U6")[known],
            label_hash=unit.labels.set_hash(),
            labels=len(ids),
            spent=unit.budget.get().spent,
            generated=_generated(unit, column, project.settings.train_on_generated),
        )


def _generated(unit: Unit, column: Mapping[int, int], wanted: bool) -> Labels:
    """Return accepted generated labels of the training split whose class is in use."""
    if not wanted:
        return Labels(np.empty(0, np.int64), np.empty(0, np.int64))
    ids, class_ids = unit.generated_labels.arrays("train")
    columns = np.array([column.get(int(c), -1) for c in class_ids], np.int64)
    return Labels(ids[columns >= 0], columns[columns >= 0])


def group_names(project: Project, ids: Ints) -> list[str]:
    """Return the groups of items (n,)."""
    with project.store.read() as unit:
        items = unit.items.many(ids.tolist())
    return [items[i].group for i in ids.tolist()]


def groups_of(project: Project, ids: Ints) -> Ints:
    """Return the groups (n,) of items (n,), numbered in the order in which they come."""
    names = group_names(project, ids)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def described(generated: Labels) -> dict[str, Any]:
    """Return what a model's description says of the generated labels that it learned from."""
    if not len(generated):
        return {}
    digest = hashlib.sha256(np.stack([generated.ids, generated.columns]).tobytes()).hexdigest()
    return {"generated": len(generated), "generated_digest": digest}


def lacking(snapshot: Snapshot, train: Labels) -> str | None:
    """Say what is missing to train a model; None when nothing is.

    Parameters
    ----------
    snapshot : Snapshot
    train : Labels
        Training labels whose image can be read.
    """
    if len(snapshot.classes) < 2:
        return "A model needs two classes; add them on the Classes page."
    if not snapshot.labels:
        return "Nothing is labelled yet."
    if not len(train):
        return (
            f"None of the labels so far ({snapshot.labels}) belongs to the training set; "
            f"label some more."
        )
    if len(np.unique(train.columns)) < 2:
        name = snapshot.classes[int(train.columns[0])].name
        return (
            f"All training labels so far ({len(train)}) are “{name}”; "
            f"label an image of another class."
        )
    return None


def without_examples(snapshot: Snapshot, train: Labels) -> list[ClassRecord]:
    """Return the classes that have no training label, which a model can not predict."""
    seen = set(train.columns.tolist())
    return [one for place, one in enumerate(snapshot.classes) if place not in seen]
