"""Suspected label errors by their items: what commands and the API name them by."""

from __future__ import annotations

from typing import Any

from labeller.errors import ClassError, CleaningError
from labeller.project import Project
from labeller.services import cleaning
from labeller.services.class_names import class_ids, class_name
from labeller.services.cleaning import Decision, Review, Suspect


def to_json(project: Project, found: Review) -> dict[str, Any]:
    """Return what a search found as JSON values, classes by name."""
    with project.store.read() as unit:
        names = {record.id: record.name for record in unit.classes.all(archived=True)}
    return {
        "at": found.at,
        "checked": found.checked,
        "unjudged": found.unjudged,
        "outdated": found.outdated,
        "confirmed": found.confirmed,
        "open": len(found.open),
        "suspects": [
            {
                "item": suspect.item.id,
                "path": suspect.item.path,
                "class": names[suspect.label],
                "suggested": None if suspect.suggested is None else names[suspect.suggested],
                "confidence": suspect.confidence,
                "loss": suspect.loss,
                "kinds": list(suspect.kinds),
                "near_duplicate": suspect.twin,
                "decision": suspect.decision,
                "by": suspect.by,
                "decided_at": suspect.at,
            }
            for suspect in found.suspects
        ],
    }


def decide_item(
    project: Project,
    item_id: int,
    decision: Decision,
    annotator: str,
    session: str | None = None,
    class_name: str | None = None,
) -> tuple[str, ...]:
    """Decide about a suspected error; see :func:`~labeller.services.cleaning.decide`.

    Raises
    ------
    CleaningError
        When the item is not suspected, or has nothing to be relabelled to.
    ClassError
        When there is no class of that name.
    """
    suspect = _suspect(project, item_id)
    class_id = None if class_name is None else _class_id(project, class_name)
    if decision == "relabel" and class_id is None and suspect.suggested is None:
        raise CleaningError(f"No model suggests a class for item {item_id}. Name the class.")
    return cleaning.decide(project, suspect, decision, annotator, session, class_id)


def undo_item(project: Project, item_id: int, annotator: str, session: str | None = None) -> None:
    """Take the last decision about an item back.

    Raises
    ------
    CleaningError
        When nobody has decided about it, or somebody else has.
    """
    suspect = _suspect(project, item_id)
    if not suspect.keys:
        raise CleaningError(f"Nobody has decided about item {item_id} since the search.")
    cleaning.undo(project, suspect.keys, annotator, session)


def _suspect(project: Project, item_id: int) -> Suspect:
    found = cleaning.review(project)
    suspects = () if found is None else found.suspects
    suspect = next((one for one in suspects if one.item.id == item_id), None)
    if suspect is None:
        raise CleaningError(f"Item {item_id} is not among the suspected errors.")
    return suspect


def _class_id(project: Project, name: str) -> int:
    with project.store.read() as unit:
        known = class_ids(unit)
    if (class_id := known.get(class_name(name))) is None:
        raise ClassError(f"There is no class {name!r}. Classes: {', '.join(known) or 'none'}.")
    return class_id
