"""Fine-tunings that were interrupted: the next round goes on with the labels that they were on.

People label while a training runs. Were the round after a killed one to read all labels, it would
train on other ones, and no checkpoint would ever be of use.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labeller.learning import checkpoints, tidy
from labeller.learning.features import Features
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.learning.objective import Objective
from labeller.learning.round_context import RoundContext
from labeller.learning.snapshot import Snapshot
from labeller.learning.stopwatch import versions
from labeller.learning.training import Mode, training_mode
from labeller.services.feature_recipes import Recipe

ONE_IN = 10  # labels given since may be one in so many of those that were trained on
LEARNED = ("train", "valid")


@dataclass(frozen=True, slots=True, eq=False)
class Interrupted:
    """A training to go on with.

    `snapshot` is that of now with the training and validation labels of then; `since` counts those
    given since, and `at` is when the training was last heard of, in seconds of the epoch.
    """

    snapshot: Snapshot
    since: int
    at: float

    @property
    def note(self) -> str:
        """What the person should know."""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.at))
        went_on = f"Went on with the training that was interrupted at {when}"
        if not self.since:
            return f"{went_on}."
        one = self.since == 1
        given = "label given since comes" if one else f"{self.since:,} labels given since come"
        return f"{went_on}; the {given} with the next round."


def take_up(context: RoundContext, features: Features) -> None:
    """Let a round go on with an interrupted training, where there is one whose labels still stand.

    Parameters
    ----------
    context : RoundContext
        Its snapshot then holds the labels of that training.
    features : Features
        Of all items that can be read.
    """
    project, snapshot = context.project, context.snapshot
    labels = snapshot.part("train").among(features.having(snapshot.label_ids))
    mode, _ = training_mode(project.settings.training, context.device, len(labels))
    if mode == "features":
        return
    own = identity(context, features.recipe, mode)
    one = found(project.models / tidy.CHECKPOINTS, snapshot, own)
    if one is None:
        return
    context.snapshot = one.snapshot
    with project.store.write() as unit:
        unit.rounds.take_again(context.record.id, one.snapshot.labels, one.snapshot.spent)
    context.notes.append(one.note)


def identity(context: RoundContext, recipe: Recipe, mode: Mode) -> str:
    """Return the identity of all that a fine-tuning depends on besides labels by people.

    Parameters
    ----------
    context : RoundContext
    recipe : Recipe
    mode : {"fine_tune", "progressive"}
    """
    settings, generated = context.project.settings, context.snapshot.generated
    with context.project.store.read() as unit:
        synthetic = [one.id for one in unit.synthetic.trainable()]
    about = {
        "mode": mode,
        "config": asdict(FineTuneConfig(mirror=settings.mirror)),
        "examples": settings.training_examples,
        "objective": asdict(Objective.of(settings)),
        "recipe": asdict(recipe),
        "seed": settings.seed,
        "device": [context.device.kind, context.device.amp],
        "classes": context.snapshot.class_ids,
        "synthetic": synthetic,
        "versions": versions(),
    }
    arrays = (generated.ids, generated.columns)
    return checkpoints.digest(about, [torch.from_numpy(array) for array in arrays])


def told(snapshot: Snapshot, own: str) -> dict[str, Any]:
    """Return what a checkpoint tells of the labels that its training is on.

    Parameters
    ----------
    snapshot : Snapshot
    own : str
        The training's :func:`identity`.
    """
    learned = np.isin(snapshot.label_splits, LEARNED)
    return {
        "identity": own,
        "at": snapshot.at,
        "label_hash": snapshot.label_hash,
        "spent": snapshot.spent,
        "ids": torch.from_numpy(snapshot.label_ids[learned]),
        "columns": torch.from_numpy(snapshot.label_columns[learned]),
        "valid": torch.from_numpy(snapshot.label_splits[learned] == "valid"),
    }


def found(folder: Path, snapshot: Snapshot, own: str) -> Interrupted | None:
    """Return the newest training of that identity to go on with.

    Parameters
    ----------
    folder : Path
        Of checkpoints; it may be missing.
    snapshot : Snapshot
        Of now.
    own : str

    Returns
    -------
    Interrupted or None
        None when no checkpoint is of that identity, or one of its labels was changed, taken back
        or moved to another split, or more than a tenth as many were given since.
    """
    files = [(file.stat().st_mtime, file) for file in folder.glob(f"*{checkpoints.SUFFIX}")]
    for at, file in sorted(files, reverse=True):
        about = checkpoints.about(file)
        if not about or about["identity"] != own:
            continue
        since = _since(about, snapshot)
        if since is not None and since * ONE_IN <= len(about["ids"]):
            return Interrupted(_with_labels(snapshot, about, since), since, at)
    return None


def _since(about: Mapping[str, Any], snapshot: Snapshot) -> int | None:
    """Count the labels given since; None when one of then no longer stands as it was."""
    current = told(snapshot, about["identity"])
    now, then = _placed(current), _placed(about)
    if any(now.get(item) != what for item, what in then.items()):
        return None
    return len(now) - len(then)


def _placed(about: Mapping[str, Any]) -> dict[int, tuple[int, bool]]:
    """Return for each item its column, and whether it validates."""
    ids, columns, valid = (about[name].tolist() for name in ("ids", "columns", "valid"))
    return dict(zip(ids, zip(columns, valid, strict=True), strict=True))


def _with_labels(snapshot: Snapshot, about: Mapping[str, Any], since: int) -> Snapshot:
    """Leave out the training and validation labels given since; audit labels are those of now."""
    given = ~np.isin(snapshot.label_ids, about["ids"].numpy())
    kept = ~(given & np.isin(snapshot.label_splits, LEARNED))
    return replace(
        snapshot,
        at=about["at"],
        label_ids=snapshot.label_ids[kept],
        label_columns=snapshot.label_columns[kept],
        label_splits=snapshot.label_splits[kept],
        label_hash=about["label_hash"],
        labels=snapshot.labels - since,
        spent=about["spent"],
    )
