"""Images that look like nothing the model has seen: listed, labelled, or put aside."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.errors import CleaningError
from labeller.project import Project
from labeller.services import energies, pool_predictions
from labeller.services.energies import Familiarity
from store.errors import VectorError
from store.records import ItemRecord, ModelRecord, NewEvent
from store.store import Unit
from store.vectors import VectorFile

NONE_OF_THESE = "none of these"
MOST = 48  # images that a page shows at once

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Unfamiliar:
    """An image with its energy, and the class that the model would still give it."""

    item: ItemRecord
    energy: float
    suggested: int
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """What looks like nothing seen.

    Attributes
    ----------
    why_not : str or None
        Why nothing can be said; the rest is then as far as it is known.
    round_number : int or None
        Of the round whose model says so.
    familiarity : Familiarity or None
        The threshold, and what it was taken from.
    total : int
        Unlabelled images above the threshold.
    shown : tuple of Unfamiliar
        The most unfamiliar ones, the most unfamiliar first.
    pool : array of float, shape (n,)
        Energies of all unlabelled images outside the audit set.
    """

    why_not: str | None = None
    round_number: int | None = None
    familiarity: Familiarity | None = None
    total: int = 0
    shown: tuple[Unfamiliar, ...] = ()
    pool: Floats = field(default_factory=lambda: np.empty(0))


def listing(project: Project, most: int = MOST) -> Listing:
    """List the unlabelled images that look like nothing that the model in use has seen.

    Items of the audit set are never listed, nor those whose generated label is being checked blind:
    what is picked by its energy would be no random sample any more.

    Parameters
    ----------
    project : Project
    most : int
        How many images to return.
    """
    with project.store.read() as unit:
        model = unit.models.in_use()
        if model is None:
            return Listing("There is no model yet. Label some images, then retrain.")
        number = next((one.number for one in unit.rounds.all() if one.id == model.round_id), None)
        known = energies.kept(model.metrics)
        if known is None:
            return Listing("The model in use has no energies. Retrain to get them.", number)
        files = _files(project, unit, model)
        if files is None:
            why = f"The model in use has no energies any more. {pool_predictions.mend(model.id)}"
            return Listing(why, number)
        probs, kept = files
        ids = _listed(unit, kept)
        try:
            pool = kept.read(ids)[:, 0]
            if known.threshold is None:
                return Listing(_too_few(known), number, known, pool=pool)
            above = np.flatnonzero(pool > known.threshold)
            order = above[np.argsort(-pool[above], kind="stable")][:most]
            guesses = probs.read(ids[order])
        except VectorError as error:
            return Listing(str(error), number, known)
        items = unit.items.many(ids[order].tolist())
        targets = unit.classes.targets()
    shown = tuple(
        Unfamiliar(
            items[int(ids[place])],
            float(pool[place]),
            targets[model.class_ids[int(row.argmax())]],
            float(row.max()),
        )
        for place, row in zip(order.tolist(), guesses, strict=True)
    )
    return Listing(None, number, known, len(above), shown, pool)


def _files(
    project: Project, unit: Unit, model: ModelRecord
) -> tuple[VectorFile, VectorFile] | None:
    """Open a model's predictions and energies; None when it has none any more."""
    record = unit.predictions.get(model.id)
    if record is None:
        return None
    path = project.own_file(record.file, project.vectors)
    beside = energies.path_of(path)
    if not (VectorFile.exists(path) and VectorFile.exists(beside)):
        return None
    name = project.own_file(model.path, project.models).name
    try:
        probs = VectorFile.open(path, len(model.class_ids), "float32", name)
        return probs, VectorFile.open(beside, 1, "float32", name)
    except VectorError:
        return None


def _listed(unit: Unit, kept: VectorFile) -> Ints:
    """Return the unlabelled items that may be looked at and have an energy."""
    free = unit.items.ids(state="unlabelled", split=("train", "valid"))
    free = np.setdiff1d(free, unit.generated_labels.audit_open(), assume_unique=True)
    return free[kept.has(free)]


def _too_few(known: Familiarity) -> str:
    return (
        f"Too few to say: the threshold is taken from a random sample, the images of the audit "
        f"set, and there are {known.n} of the {energies.FEWEST} it needs. Import more images, or "
        f"raise the share of the audit set before the next import, then retrain."
    )


def decide(
    project: Project,
    item_id: int,
    class_id: int | None,
    annotator: str,
    session: str | None = None,
) -> str:
    """Label an image, or put it aside as none of the classes.

    Parameters
    ----------
    project : Project
    item_id : int
    class_id : int or None
        The class; None puts the image aside: it keeps no label and is not trained on.
    annotator : str
        Who decides.
    session : str, optional
        The tab.

    Returns
    -------
    str
        The key of the event, for :func:`undo`.

    Raises
    ------
    CleaningError
        When it was refused, as by a budget that is spent.
    """
    key = f"unfamiliar-{secrets.token_hex(12)}"
    if class_id is None:
        event = NewEvent(key, "skip", item_id, reason=NONE_OF_THESE)
    else:
        event = NewEvent(key, "label", item_id, class_id)
    _record(project, annotator, session, event)
    return key


def undo(
    project: Project, item_id: int, key: str, annotator: str, session: str | None = None
) -> None:
    """Take a decision about an image back; raises `CleaningError` when it was somebody else's."""
    _record(project, annotator, session, NewEvent(f"{key}-undo", "undo", undoes=key))
    if session is not None:
        # An undo leases the item to who undid it; here nobody is about to label it.
        with project.store.write() as unit:
            unit.queue.release(session, [item_id])


def _record(project: Project, annotator: str, session: str | None, event: NewEvent) -> None:
    settings = project.settings
    with project.store.write() as unit:
        (result,) = unit.labels.record(
            annotator, session, "page", [event], settings.label_price, settings.lease_seconds
        )
        if result.status == "refused":
            why = "the budget is spent" if result.reason == "budget" else result.reason
            raise CleaningError(f"The decision was not recorded: {why}")
