"""Review of labels that may be wrong: start the search, show what it found, decide, take back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labeller import jobs
from labeller.errors import CleaningError
from labeller.project import Project
from store.records import EventKind, EventRecord, ItemRecord, JobRecord, NewEvent

KIND = "cleaning"
MOST = 500  # suspects that a search keeps
LABEL_ERROR, LOSS, TWIN = "label error", "high loss", "near-duplicate"

Decision = Literal["keep", "relabel", "flag", "put_aside"]
ACTS: dict[Decision, EventKind] = {"relabel": "label", "flag": "flag", "put_aside": "skip"}
REASON = "review: "


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label to look at again.

    `kinds` say why: ``label error`` (confident learning), ``near-duplicate`` (`twin` looks the same
    and is labelled otherwise), ``high loss``. `decision` is None while nobody has decided; `keys`
    are the events of the decision, which :func:`undo` takes back.
    """

    item: ItemRecord
    label: int
    suggested: int
    confidence: float
    loss: float
    kinds: tuple[str, ...]
    twin: int | None
    decision: str | None = None
    by: str | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """What a finished search found; `outdated` counts labels given since."""

    at: float
    checked: int
    label_errors: int
    suspects: tuple[Suspect, ...]
    outdated: int

    @property
    def open(self) -> tuple[Suspect, ...]:
        """Those that nobody has decided on."""
        return tuple(one for one in self.suspects if one.decision is None)


def start(project: Project) -> JobRecord:
    """Start the search as a job; raises `JobError` while one is on."""
    return jobs.submit(project, KIND, {})


def review(project: Project) -> Review | None:
    """Return what the newest finished search found, None when there was none.

    A suspect whose label is gone or another by other ways than the review is left out.
    """
    with project.store.read() as unit:
        job = unit.jobs.latest(KIND)
        if job is None or job.result is None:
            return None
        result = job.result
        found = result["suspects"]
        items = unit.items.many([one["item"] for one in found])
        targets = unit.classes.targets()
        suspects = []
        for one in found:
            if one["item"] in items:
                history = unit.labels.history(one["item"])
                suspect = _suspect(one, items[one["item"]], targets, history, result["at"])
                if suspect is not None:
                    suspects.append(suspect)
        outdated = unit.labels.events_count(since=result["at"])
    return Review(
        result["at"], result["checked"], result["label_errors"], tuple(suspects), outdated
    )


def _suspect(
    one: Mapping[str, Any],
    item: ItemRecord,
    targets: Mapping[int, int],
    history: Sequence[EventRecord],
    at: float,
) -> Suspect | None:
    """Join what was found with what became of it."""
    later = [event for event in history if event.at > at and not event.undone]
    decided = [event for event in later if (event.reason or "").startswith(REASON)]
    label = targets[one["label"]]
    if not decided:
        current = next((event for event in history if event.current), None)
        kept = current is not None and current.kind == "label" and current.class_id is not None
        if not kept or current is None or targets[current.class_id or 0] != label:
            return None
    last = decided[-1] if decided else None
    return Suspect(
        item=item,
        label=label,
        suggested=targets[one["suggested"]],
        confidence=one["confidence"],
        loss=one["loss"],
        kinds=tuple(one["kinds"]),
        twin=one["twin"],
        decision=None if last is None else (last.reason or "").removeprefix(REASON),
        by=None if last is None else last.annotator,
        keys=tuple(event.key for event in decided),
    )


def decide(
    project: Project,
    suspect: Suspect,
    decision: Decision,
    annotator: str,
    session: str | None = None,
    class_id: int | None = None,
) -> tuple[str, ...]:
    """Record a decision as events.

    Parameters
    ----------
    project : Project
    suspect : Suspect
    decision : {"keep", "relabel", "flag", "put_aside"}
        ``keep`` is an opinion that the label is right; ``put_aside`` skips the item, which takes
        it out of training.
    annotator : str
        Who decides.
    session : str, optional
        The tab.
    class_id : int, optional
        The new class; what the models suggest when not given.

    Returns
    -------
    tuple of str
        The keys of the events, for :func:`undo`.

    Raises
    ------
    CleaningError
        When an event was refused, as by a budget that is spent; nothing is recorded then.
    """
    made = f"review-{secrets.token_hex(12)}"
    item, reason = suspect.item.id, f"{REASON}{decision.replace('_', ' ')}"
    if decision == "keep":
        events = [NewEvent(made, "label", item, suspect.label, reason=reason)]
    else:
        chosen = suspect.suggested if class_id is None else class_id
        events = [
            NewEvent(f"{made}-clear", "clear", item, reason=reason),
            NewEvent(
                made,
                ACTS[decision],
                item,
                chosen if decision == "relabel" else None,
                reason=reason,
            ),
        ]
    _record(project, annotator, session, events)
    return tuple(event.key for event in events)


def undo(project: Project, keys: Sequence[str], annotator: str, session: str | None = None) -> None:
    """Take a decision back; raises `CleaningError` when it was somebody else's."""
    events = [NewEvent(f"{key}-undo", "undo", undoes=key) for key in reversed(keys)]
    _record(project, annotator, session, events)


def _record(
    project: Project, annotator: str, session: str | None, events: Sequence[NewEvent]
) -> None:
    """Record all of the events or none."""
    settings = project.settings
    with project.store.write() as unit:
        results = unit.labels.record(
            annotator, session, "page", events, settings.label_price, settings.lease_seconds
        )
        refused = next((one for one in results if one.status == "refused"), None)
        if refused is not None:
            why = "the budget is spent" if refused.reason == "budget" else refused.reason
            raise CleaningError(f"The decision was not recorded: {why}")
