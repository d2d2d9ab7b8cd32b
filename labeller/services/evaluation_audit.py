"""The audit labels of now against what a model predicted, in the classes of now.

Classes may have been renamed, merged, archived or added since the model was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services import audit_files
from labeller.services.audit_files import Kept
from labeller.services.evaluation_calibration import untempered
from store.records import ClassRecord, ModelRecord

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AuditLabels:
    """The labels of the audit set now: `item_ids` (N,), ascending, and `class_ids` (N,).

    Labels of archived classes are left out, as in training. `without` (M,) are the items of the
    audit set that have no label at all. `targets` says for every class which one it counts as;
    `classes` are all there ever were.
    """

    item_ids: Ints
    class_ids: Ints
    without: Ints
    classes: tuple[ClassRecord, ...]
    targets: Mapping[int, int]

    def __len__(self) -> int:
        """Return N."""
        return len(self.item_ids)

    @property
    def names(self) -> dict[int, str]:
        """Name of every class, archived ones too."""
        return {one.id: one.name for one in self.classes}


@dataclass(frozen=True, slots=True, eq=False)
class OnAudit:
    """A model on the labelled audit items it predicted: `item_ids` (n,), ascending.

    `truth` (n,) are columns of `probs` (n, C); `class_ids` (C) are those of the columns, merged
    ones added up, with those that only the labels have at probability 0; `raw` (n, C) are what the
    probabilities were before temperature scaling, with its `temperature`. `changed` are the items
    whose label is another one than when the model was measured, or gone.
    """

    model: ModelRecord
    item_ids: Ints
    truth: Ints
    probs: Floats
    raw: Floats
    temperature: float
    class_ids: tuple[int, ...]
    changed: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return n."""
        return len(self.item_ids)

    @property
    def predicted(self) -> Ints:
        """Likeliest columns (n,)."""
        return self.probs.argmax(axis=1) if len(self) else self.truth

    @property
    def right(self) -> Bools:
        """Whether each prediction is right (n,)."""
        return np.asarray(self.predicted == self.truth)


def audit_labels(project: Project) -> AuditLabels:
    """Read the labels of the audit set."""
    with project.store.read() as unit:
        ids, class_ids, _ = unit.labels.arrays("audit")
        without = np.setdiff1d(unit.items.ids(split="audit"), ids, assume_unique=True)
        classes = tuple(unit.classes.all(archived=True))
        targets = unit.classes.targets()
    live = np.isin(class_ids, [one.id for one in classes if not one.archived])
    return AuditLabels(ids[live], class_ids[live], without, classes, targets)


def on_audit(project: Project, model: ModelRecord, labels: AuditLabels) -> OnAudit:
    """Return a model's predictions of the labelled audit items.

    Parameters
    ----------
    project : Project
    model : ModelRecord
    labels : AuditLabels

    Raises
    ------
    EvaluationError
        When what it predicted is gone or damaged.
    """
    return against_labels(model, audit_files.read(project, model), labels)


def against_labels(model: ModelRecord, kept: Kept, labels: AuditLabels) -> OnAudit:
    """Match kept predictions with the labels of now.

    Parameters
    ----------
    model : ModelRecord
    kept : Kept
    labels : AuditLabels

    Returns
    -------
    OnAudit
        Items without a label now, or without a prediction, are left out.
    """
    ids, of_labels, of_kept = np.intersect1d(
        labels.item_ids, kept.item_ids, assume_unique=True, return_indices=True
    )
    truth = labels.class_ids[of_labels]
    order = [one.id for one in labels.classes]
    needed = np.unique(truth).tolist()
    temperature = float(model.metrics.get("temperature") or 1.0)
    after = kept.probs[of_kept]
    # In the columns of the model: a sum of classes has no logit that a temperature divided.
    before = untempered(after, temperature)
    class_ids, probs = merged(after, model.class_ids, needed, labels.targets, order)
    _, raw = merged(before, model.class_ids, needed, labels.targets, order)
    column = {class_id: place for place, class_id in enumerate(class_ids)}
    return OnAudit(
        model=model,
        item_ids=ids,
        truth=_mapped(truth, column),
        probs=probs,
        raw=raw,
        temperature=temperature,
        class_ids=class_ids,
        changed=_changed(kept, labels),
    )


def merged(
    probs: Floats,
    class_ids: Sequence[int],
    needed: Sequence[int],
    targets: Mapping[int, int],
    order: Sequence[int],
) -> tuple[tuple[int, ...], Floats]:
    """Turn columns of classes that were into columns of the classes that are.

    Parameters
    ----------
    probs : array of float, shape (n, C)
    class_ids : sequence of int, length C
        The classes of the columns.
    needed : sequence of int
        Classes that get a column in any case, of zeros where the model does not know them.
    targets : mapping of int to int
        What each class counts as now; one that is not there counts as itself.
    order : sequence of int
        All classes, in the order that the columns shall have.

    Returns
    -------
    class_ids : tuple of int, length K
    probs : ndarray of float, shape (n, K)
        Columns of merged classes added up.
    """
    now = [targets.get(int(c), int(c)) for c in class_ids]
    place = {class_id: position for position, class_id in enumerate(order)}
    columns = sorted({*now, *needed}, key=lambda c: (place.get(c, len(place)), c))
    if columns == now:
        return tuple(now), probs
    summed = np.zeros((len(probs), len(columns)), probs.dtype)
    for old, class_id in enumerate(now):
        summed[:, columns.index(class_id)] += probs[:, old]
    return tuple(columns), summed


def _changed(kept: Kept, labels: AuditLabels) -> tuple[int, ...]:
    """Return the items whose label is another one than when the model was measured, or gone."""
    ids, then, now = np.intersect1d(kept.then_ids, labels.item_ids, return_indices=True)
    was = _mapped(kept.then_classes[then], labels.targets)
    gone = np.intersect1d(kept.then_ids, labels.without)
    return tuple(np.union1d(ids[was != labels.class_ids[now]], gone).tolist())


def _mapped(values: Ints, becomes: Mapping[int, int]) -> Ints:
    """Return what each value (n,) becomes; those that are not told stay as they are."""
    known, place = np.unique(values, return_inverse=True)
    return np.array([becomes.get(v, v) for v in known.tolist()], np.int64)[place]
