"""What a model predicted for the audit set, kept beside it as plain arrays: no torch, no pickle."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.errors import EvaluationError
from labeller.project import Project
from store.checksums import find_damaged
from store.records import ModelRecord

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

ALL = "audit_pool.npz"  # the whole audit set, so that labels given later can measure the model too
LABELLED = "audit.npz"  # the items that were labelled when the model was measured, with the truth


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Calibrated `probs` (n, C) of audit items `item_ids` (n,), in the columns of the model.

    `then_ids` (m,) are the items that measured it in its round and `then_classes` (m,) their
    classes at that time.
    """

    item_ids: Ints
    probs: Floats
    then_ids: Ints
    then_classes: Ints


def write(folder: Path, item_ids: Ints, probs: Floats) -> None:
    """Keep the predictions of audit items, labelled or not.

    Parameters
    ----------
    folder : Path
        The model's.
    item_ids : array of int, shape (n,)
    probs : array of float, shape (n, C)
        Calibrated.

    Raises
    ------
    EvaluationError
        When it cannot be written.
    """
    try:
        np.savez(folder / ALL, item_ids=item_ids, probs=probs)
    except OSError as error:
        raise EvaluationError(
            f"{folder / ALL}: cannot be written ({error.strerror or error}). "
            f"Make room on the disk, then start a round."
        ) from error


def read(project: Project, model: ModelRecord) -> Kept:
    """Return what a model predicted for the audit set.

    Models of before the whole set was kept have the items that were labelled in their round only.

    Parameters
    ----------
    project : Project
    model : ModelRecord

    Raises
    ------
    EvaluationError
        When the files are gone, damaged, or not of this model.
    """
    folder = project.own_file(model.path, project.models)
    if damaged := find_damaged(folder, (ALL, LABELLED)):
        raise EvaluationError(
            f"{folder / damaged[0]}: was damaged or changed since the model was trained. "
            f"Start a round to measure a new model."
        )
    path = folder / LABELLED
    try:
        with np.load(path, allow_pickle=False) as then:
            then_ids, then_classes = then["item_ids"], then["class_ids"]
            kept = (then_ids, then["probs"]) if not (folder / ALL).exists() else None
        if kept is None:
            path = folder / ALL
            with np.load(path, allow_pickle=False) as everything:
                kept = everything["item_ids"], everything["probs"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or "damaged"
        raise EvaluationError(
            f"{path}: cannot be read ({reason}). Start a round to measure a new model."
        ) from error
    item_ids, probs = kept
    fits = probs.shape == (len(item_ids), len(model.class_ids))
    if not fits or then_ids.shape != then_classes.shape:
        raise EvaluationError(
            f"{path}: does not belong to model {model.id} ({probs.shape[-1]} columns, "
            f"{len(model.class_ids)} classes). Start a round to measure a new model."
        )
    return Kept(item_ids, probs, then_ids, then_classes)
