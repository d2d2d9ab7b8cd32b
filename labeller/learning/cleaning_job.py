"""Look for labels that may be wrong: out-of-fold predictions, losses, near-duplicates. A job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from labeller.config import Settings
from labeller.errors import CleaningError
from labeller.learning import device, suspects
from labeller.learning.calibration import fit_temperature, probabilities
from labeller.learning.device import Device
from labeller.learning.extraction import compute_missing
from labeller.learning.features import Features, Floats, Scaling, open_features
from labeller.learning.fitting import Labelled
from labeller.learning.head_training import fit_head
from labeller.learning.images import Ints
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.learning.snapshot import Labels, Snapshot, group_names, lacking, take
from labeller.learning.training import Quiet
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.cleaning import FEWEST, LABEL_ERROR, LOSS, MOST, TWIN
from store.records import JobRecord

FOLDS = 5
SEEDS = 2**32  # scikit-learn takes no larger seeds; the setting may be any


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Calibrated `probs` (n, C) of labelled items by heads that saw none of their group.

    `judged` (n,) says of which rows they mean something: a head was trained on the other folds, and
    these have the class that the row is labelled as. A head cannot doubt a class it never saw.
    """

    probs: Floats
    judged: NDArray[np.bool_]


def run_cleaning_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Find the labels of training and validation that a person should look at again.

    The audit set stays sealed: its labels are given blind and are not looked at by a model.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; no params.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``suspects`` (item, label, suggested, confidence, loss, kinds, twin; worst
        first), ``checked``, ``unjudged`` (how many of these no model could judge, so that they
        were only compared with their near-duplicates), ``label_errors`` (how many confident
        learning found), ``at``, ``notes``.

    Raises
    ------
    CleaningError
        When there are too few labels.
    """
    del job
    where = device.choose(project.settings.device)
    snapshot = take(project)
    if not len(snapshot.ids):
        raise CleaningError("There are no images yet. Import some and label them first.")
    features = open_features(project, snapshot.ids)
    features = features.leaving_out_replaced(project, snapshot.label_ids)
    compute_missing(project, features, snapshot.ids, where, progress)
    labels = snapshot.part("train", "valid").among(features.having(snapshot.label_ids))
    lack = lacking(snapshot, labels)
    if lack is not None or len(labels) < FEWEST:
        raise CleaningError(lack or f"Only {len(labels)} labels so far; label {FEWEST} or more.")
    scaling = features.scaling(features.having(snapshot.pool_ids))
    judgement = out_of_fold(project, features, scaling, snapshot, labels, where, progress)
    progress.update("compare", 0, None, "Comparing near-duplicates")
    with project.store.read() as unit:
        looks = unit.leaks.looks(labels.ids.tolist())
    twins = suspects.contradictions(
        features.embeddings(labels.ids, scaling),
        labels.columns,
        project.settings.leak_distance or Settings().leak_distance,
        [looks.get(item) for item in labels.ids.tolist()],
        progress.check,
    )
    found = ranked(labels, judgement, twins)
    return {
        "suspects": [
            {
                **one,
                "label": snapshot.class_ids[one["label"]],
                "suggested": None
                if one["suggested"] is None
                else snapshot.class_ids[one["suggested"]],
            }
            for one in found[:MOST]
        ],
        "checked": len(labels),
        "unjudged": int((~judgement.judged).sum()),
        "label_errors": sum(LABEL_ERROR in one["kinds"] for one in found),
        "at": snapshot.at,
        "notes": features.notes(),
    }


def ranked(
    labels: Labels, judgement: OutOfFold, contradicting: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Join the three kinds of suspicion, one entry for each item, the worst first.

    Parameters
    ----------
    labels : Labels
        Of n items.
    judgement : OutOfFold
        Of these.
    contradicting : sequence of (int, int)
        Rows of near-duplicates whose labels differ, closest first.

    Returns
    -------
    list of dict
        ``label`` and ``suggested`` are columns. Confident learning's finds come first, then
        near-duplicates whose labels differ, then the other labels that the models find less likely
        than another, by loss. ``suggested``, ``confidence`` and ``loss`` are None where no model
        could judge.
    """
    rows, probs = np.flatnonzero(judgement.judged), judgement.probs[judgement.judged]
    columns = labels.columns[rows]
    loss = suspects.losses(columns, probs)
    errors = rows[suspects.label_errors(columns, probs)]
    twins: dict[int, int] = {}
    for one, other in contradicting:
        twins.setdefault(one, other)
        twins.setdefault(other, one)
    wrong = np.flatnonzero(probs.argmax(axis=1) != columns)
    lossy = rows[wrong[np.argsort(-loss[wrong], kind="stable")]]
    order = dict.fromkeys([*errors.tolist(), *twins, *lossy.tolist()])
    marks = {LABEL_ERROR: set(errors.tolist()), TWIN: set(twins), LOSS: set(lossy.tolist())}
    by_row = dict(zip(rows.tolist(), loss.tolist(), strict=True))
    return [
        {
            "item": int(labels.ids[row]),
            "label": int(labels.columns[row]),
            "suggested": int(judgement.probs[row].argmax()) if row in by_row else None,
            "confidence": float(judgement.probs[row].max()) if row in by_row else None,
            "loss": by_row.get(row),
            "kinds": [kind for kind, marked in marks.items() if row in marked],
            "twin": int(labels.ids[twins[row]]) if row in twins else None,
        }
        for row in order
    ]


def out_of_fold(
    project: Project,
    features: Features,
    scaling: Scaling,
    snapshot: Snapshot,
    labels: Labels,
    where: Device,
    progress: Progress,
) -> OutOfFold:
    """Predict each item by a head that saw none of its group.

    Parameters
    ----------
    project : Project
    features : Features
    scaling : Scaling
    snapshot : Snapshot
    labels : Labels
        Of n items and at least two classes.
    where : Device
    progress : Progress
        Told after each fold.
    """
    classes, seed = len(snapshot.classes), project.settings.seed
    logits = np.zeros((len(labels), classes), np.float32)
    judged = np.zeros(len(labels), bool)
    parts = folds(labels.columns, group_names(project, labels.ids), seed)
    for done, (inside, outside) in enumerate(parts):
        progress.update("train", done, len(parts), f"Model {done + 1} of {len(parts)}")
        rest = Labels(labels.ids[inside], labels.columns[inside])
        head = fit_head(
            Labelled(torch.from_numpy(features.read(rest.ids)), torch.from_numpy(rest.columns)),
            None,
            classes,
            scaling,
            seed=seed,
            device=where,
            progress=Quiet(progress),
        )
        model = TrainedModel(HeadPredictor(features, head, where), snapshot.class_ids, 1.0)
        _, logits[outside] = model.logits(labels.ids[outside], progress)
        judged[outside] = np.isin(labels.columns[outside], rest.columns)
    temperature = fit_temperature(logits[judged], labels.columns[judged])
    return OutOfFold(probabilities(logits, temperature), judged)


def folds(columns: Ints, groups: Sequence[str], seed: int) -> list[tuple[Ints, Ints]]:
    """Split n rows into up to five folds that keep groups whole; of each inside and outside rows.

    A fold whose inside would be of one class only is left out: its rows have no prediction.
    """
    number = max(2, min(FOLDS, len(set(groups)), int(np.bincount(columns).max())))
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed % SEEDS)
    found = splitter.split(np.zeros(len(columns)), columns, groups)
    return [(i, o) for i, o in found if len(np.unique(columns[i])) > 1]
