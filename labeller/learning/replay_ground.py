"""What a replay works on: labelled images to pick from, others to measure on, their features."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from labeller.errors import ReplayError
from labeller.learning import device
from labeller.learning.device import Device
from labeller.learning.extraction import compute_missing
from labeller.learning.features import Features, Scaling, open_features
from labeller.learning.fitting import Labelled
from labeller.learning.head_training import fit_head
from labeller.learning.heads import Head
from labeller.learning.images import Ints
from labeller.learning.snapshot import Labels, Snapshot, groups_of
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import replays
from labeller.services.replays import Plan

MOST_POOL = 20_000  # of more labelled images so many, drawn evenly, stand for all
MOST_TEST = 5_000


class Fit(Protocol):
    """What trains a head: :func:`labeller.learning.heads.fit_head`, or something like it."""

    def __call__(
        self,
        train: Labelled,
        valid: Labelled | None,
        classes: int,
        scaling: Scaling,
        /,
        *,
        seed: int,
        device: Device,
        progress: Progress,
    ) -> Head:
        """Return a head trained on examples, in evaluation mode."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Labelled images that may be picked (`pool`) and that are held out (`test`).

    `drawn` says that held-out images had to be drawn from all labels; `data` is a fingerprint of
    images, labels and features; `fit` trains the heads.
    """

    features: Features
    scaling: Scaling
    class_ids: tuple[int, ...]
    pool: Labels
    test: Labels
    drawn: bool
    device: Device
    data: str
    notes: tuple[str, ...]
    fit: Fit = fit_head


def prepare(project: Project, snapshot: Snapshot, plan: Plan, progress: Progress) -> Ground:
    """Compute the features that are missing and hold out what is measured on.

    Parameters
    ----------
    project : Project
    snapshot : Snapshot
    plan : Plan
    progress : Progress

    Raises
    ------
    ReplayError
        When what can be read does not suffice for the plan.
    BackboneError
        When the backbone cannot be loaded.
    JobCancelled
        When the work should stop.
    """
    chosen = device.choose(project.settings.device)
    labelled = snapshot.part("train", "valid", "audit")
    if not len(labelled):
        raise ReplayError("Nothing is labelled yet: a replay needs labels to answer with.")
    features = open_features(project, snapshot.ids)
    features = features.leaving_out_replaced(project, labelled.ids)
    rng = np.random.default_rng(project.settings.seed)
    others = snapshot.part("train", "valid")
    groups = groups_of(project, others.ids)
    audit = snapshot.part("audit")
    pool, test, drawn = divide(others, audit, len(snapshot.classes), rng, groups)
    wanted = np.sort(np.concatenate([pool.ids, test.ids]))
    bad = compute_missing(project, features, wanted, chosen, progress)
    readable = features.having(wanted)
    pool, test = pool.among(readable), test.among(readable)
    _check(snapshot, pool, test, plan)
    notes = features.notes()
    if bad:
        notes.append(f"{len(bad):,} images could not be read and were left out.")
    if len(wanted) < len(labelled):
        notes.append(
            f"{len(wanted):,} of {len(labelled):,} labelled images, drawn evenly, stand for all."
        )
    class_ids = snapshot.class_ids
    data = _fingerprint(pool, test, class_ids, features.recipe.tag)
    scaling = features.scaling(pool.ids)
    return Ground(features, scaling, class_ids, pool, test, drawn, chosen, data, tuple(notes))


def divide(
    others: Labels,
    audit: Labels,
    classes: int,
    rng: np.random.Generator,
    groups: Ints | None = None,
) -> tuple[Labels, Labels, bool]:
    """Part labels into those that may be picked and those that are measured on.

    Parameters
    ----------
    others, audit : Labels
        Outside and in the audit set; the latter is never in the pool.
    classes : int
        C.
    rng : numpy.random.Generator
    groups : array of int, optional
        Of the others; each is its own when not given. What shares a group with an item that is
        measured on is measured on too.

    Returns
    -------
    pool, test : Labels
        By id. With fewer than 50 audit labels a quarter of each class of the others joins them.
    drawn : bool
        Whether that was so.
    """
    drawn = len(audit) < replays.LEAST_AUDIT
    out = np.zeros(len(others), bool)
    if drawn:
        for column in range(classes):
            rows = np.flatnonzero(others.columns == column)
            out[rng.choice(rows, replays.held_out(len(rows)), replace=False)] = True
    if groups is not None:
        out = np.isin(groups, groups[out])
    test = Labels(
        np.concatenate([audit.ids, others.ids[out]]),
        np.concatenate([audit.columns, others.columns[out]]),
    )
    pool = Labels(others.ids[~out], others.columns[~out])
    return _some(pool, MOST_POOL, rng), _some(test, MOST_TEST, rng), drawn


def origins(project: Project, pool: Labels) -> dict[str, int]:
    """Count which strategies had asked for the labels of the pool; ``""`` for no strategy."""
    kept = set(pool.ids.tolist())
    with project.store.read() as unit:
        asked = Counter(row.strategy or "" for row in unit.labels.export() if row.item_id in kept)
    return dict(asked)


def _check(snapshot: Snapshot, pool: Labels, test: Labels, plan: Plan) -> None:
    """Check what is left of the labels when unreadable images are out."""
    names = [one.name for one in snapshot.classes]

    def counted(labels: Labels) -> dict[str, int]:
        numbers = np.bincount(labels.columns, minlength=len(names))
        return {name: int(n) for name, n in zip(names, numbers, strict=True) if n}

    if not len(test):
        raise ReplayError("No labelled image is left to measure on. Label more of each class.")
    # the held-out images are out of the pool already: nothing more is to be drawn
    full = {"": replays.LEAST_AUDIT}
    replays.check_labels(replays.Labelled(full, counted(pool)), plan)


def _some(labels: Labels, most: int, rng: np.random.Generator) -> Labels:
    """Return at most so many of some labels, evenly drawn, by id."""
    rows = np.arange(len(labels))
    if len(labels) > most:
        rows = rng.choice(rows, most, replace=False)
    rows = rows[np.argsort(labels.ids[rows])]
    return Labels(labels.ids[rows], labels.columns[rows])


def _fingerprint(pool: Labels, test: Labels, class_ids: tuple[int, ...], recipe: str) -> str:
    """Return a hash of everything that the runs depend on, besides the plan."""
    digest = hashlib.sha256(recipe.encode())
    columns: Ints = np.array(class_ids, np.int64)
    for part in (pool, test):
        digest.update(part.ids.astype("<i8").tobytes())
        digest.update(columns[part.columns].astype("<i8").tobytes())
    return digest.hexdigest()
