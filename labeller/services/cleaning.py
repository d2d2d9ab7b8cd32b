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
from store.store import Unit

KIND = "cleaning"
MOST = 500  # suspects that a search keeps
FEWEST = 20  # labels; with fewer, models that saw only some of them know next to nothing
LABEL_ERROR, LOSS, TWIN = "label error", "high loss", "near-duplicate"

Decision = Literal["keep", "relabel", "flag", "put_aside"]
ACTS: dict[Decision, EventKind] = {"relabel": "label", "flag": "flag", "put_aside": "skip"}
REASON = "review: "
KEPT = f"{REASON}keep"
CLEAR = "-clear"  # ends the key of a decision's first event, which takes the old label away


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label to look at again.

    `kinds` say why: ``label error`` (confident learning), ``near-duplicate`` (`twin` looks the same
    and is labelled otherwise), ``high loss``. `suggested`, `confidence` and `loss` are None where
    no model could judge the label and a near-duplicate alone speaks against it. `decision` is None
    while nobody has decided, `by` and `at` (UTC seconds) say who did last when; `keys` are the
    events of this last decision, which :func:`undo` takes back.
    """

    item: ItemRecord
    label: int
    suggested: int | None
    confidence: float | None
    loss: float | None
    kinds: tuple[str, ...]
    twin: int | None
    decision: str | None = None
    by: str | None = None
    at: float | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """What a finished search found.

    `unjudged` counts those of the `checked` labels that no model could judge, which were compared
    with near-duplicates only; `outdated` labels given since, decisions about its finds aside;
    `confirmed` the finds that somebody had kept in an earlier review, who are not asked about
    again.
    """

    at: float
    checked: int
    unjudged: int
    suspects: tuple[Suspect, ...]
    outdated: int
    confirmed: int
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Suspect, ...]:
        """Those that nobody has decided on."""
        return tuple(one for one in self.suspects if one.decision is None)

    def decided_by(self, annotator: str) -> tuple[Suspect, ...]:
        """Return those whose last decision is somebody's own, the latest last."""
        mine = (one for one in self.suspects if one.decision is not None and one.by == annotator)
        return tuple(sorted(mine, key=lambda one: one.at or 0.0))


def start(project: Project) -> JobRecord:
    """Start the search as a job; raises `JobError` while one is on."""
    return jobs.submit(project, KIND, {})


def review(project: Project) -> Review | None:
    """Return what the newest finished search found, None when there was none.

    A suspect is left out when its label is gone or another by other ways than the review, when
    somebody kept it before the search, or when nothing speaks against it by now: its near-duplicate
    is labelled alike, and what the models suggested counts as its class since a merge.
    """
    with project.store.read() as unit:
        job = unit.jobs.latest(KIND)
        if job is None or job.result is None:
            return None
        result = job.result
        found = result["suspects"]
        items = unit.items.many([one["item"] for one in found])
        involved = {one["item"] for one in found} | {one["twin"] for one in found if one["twin"]}
        histories = unit.labels.histories(sorted(involved))
        past = _Past(result["at"], histories, unit.classes.targets())
        given = unit.labels.events_count(since=result["at"])
    present = [one for one in found if one["item"] in items]
    asked_again = [one for one in present if not past.kept_before(one)]
    suspects = [past.suspect(one, items[one["item"]]) for one in asked_again]
    return Review(
        at=result["at"],
        checked=result["checked"],
        unjudged=result.get("unjudged", 0),
        suspects=tuple(one for one in suspects if one is not None),
        outdated=given - past.labels_decided,
        confirmed=len(present) - len(asked_again),
        notes=tuple(result.get("notes", ())),
    )


@dataclass(frozen=True, slots=True)
class _Past:
    """What happened to the finds of a search at `at`: events of each item, oldest first."""

    at: float
    histories: Mapping[int, Sequence[EventRecord]]
    targets: Mapping[int, int]

    @property
    def labels_decided(self) -> int:
        """Labels given by decisions since the search."""
        return sum(
            event.kind == "label" for item in self.histories for event in self._decisions(item)
        )

    def kept_before(self, one: Mapping[str, Any]) -> bool:
        """Whether somebody kept just this label before the search, and nobody decided since."""
        return not self._decisions(one["item"]) and any(
            event.reason == KEPT
            and not event.undone
            and event.at <= self.at
            and self._counts_as(event) == self.targets[one["label"]]
            for event in self.histories.get(one["item"], ())
        )

    def suspect(self, one: Mapping[str, Any], item: ItemRecord) -> Suspect | None:
        """Join what was found with what became of it; None when nothing is left of it."""
        decided, label = self._decisions(item.id), self.targets[one["label"]]
        suggested = None if one["suggested"] is None else self.targets[one["suggested"]]
        kinds = tuple(one["kinds"])
        if not decided:
            if self._label(item.id) != label:
                return None
            gone = {LABEL_ERROR, LOSS} if suggested == label else set()
            if TWIN in kinds and self._label(one["twin"]) in (None, label):
                gone.add(TWIN)
            kinds = tuple(kind for kind in kinds if kind not in gone)
            if not kinds:
                return None
        last = decided[-1] if decided else None
        of_last = [] if last is None else [e for e in decided if _made(e) == _made(last)]
        return Suspect(
            item=item,
            label=label,
            suggested=suggested,
            confidence=one["confidence"],
            loss=one["loss"],
            kinds=kinds,
            twin=one["twin"] if TWIN in kinds else None,
            decision=None if last is None else (last.reason or "").removeprefix(REASON),
            by=None if last is None else last.annotator,
            at=None if last is None else last.at,
            keys=tuple(event.key for event in of_last),
        )

    def _decisions(self, item: int) -> list[EventRecord]:
        """Return the events of what was decided about an item since the search."""
        return [
            event
            for event in self.histories.get(item, ())
            if event.at > self.at and not event.undone and (event.reason or "").startswith(REASON)
        ]

    def _label(self, item: int) -> int | None:
        """Return the class of an item now."""
        current = next((one for one in self.histories.get(item, ()) if one.current), None)
        return None if current is None else self._counts_as(current)

    def _counts_as(self, event: EventRecord) -> int | None:
        if event.kind != "label" or event.class_id is None:
            return None
        return self.targets[event.class_id]


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
        The new class; what the models suggest, if anything, when not given.

    Returns
    -------
    tuple of str
        The keys of the events, for :func:`undo`.

    Raises
    ------
    CleaningError
        When the label or its review is not as it was shown any more, or an event was refused, as by
        a budget that is spent; nothing is recorded then.
    """
    made = f"review-{secrets.token_hex(12)}"
    item, reason = suspect.item.id, f"{REASON}{decision.replace('_', ' ')}"
    if decision == "keep":
        events = [NewEvent(made, "label", item, suspect.label, reason=reason)]
    else:
        chosen = suspect.suggested if class_id is None else class_id
        events = [
            NewEvent(f"{made}{CLEAR}", "clear", item, reason=reason),
            NewEvent(
                made,
                ACTS[decision],
                item,
                chosen if decision == "relabel" else None,
                reason=reason,
            ),
        ]
    with project.store.write() as unit:
        unit.labels.hold()
        _check_unchanged(unit, suspect)
        _record(project, unit, annotator, session, events)
    return tuple(event.key for event in events)


def undo(project: Project, keys: Sequence[str], annotator: str, session: str | None = None) -> None:
    """Take a decision back; raises `CleaningError` when it was somebody else's."""
    events = [NewEvent(f"{key}-undo", "undo", undoes=key) for key in reversed(keys)]
    with project.store.write() as unit:
        _record(project, unit, annotator, session, events)


def _check_unchanged(unit: Unit, shown: Suspect) -> None:
    """Refuse when somebody, or another tab, has labelled or decided since a suspect was shown."""
    job = unit.jobs.latest(KIND)
    result = {} if job is None or job.result is None else job.result
    item = shown.item.id
    found = next((one for one in result.get("suspects", ()) if one["item"] == item), None)
    now = None
    if found is not None:
        involved = [item] if found["twin"] is None else [item, found["twin"]]
        histories = unit.labels.histories(involved)
        now = _Past(result["at"], histories, unit.classes.targets()).suspect(found, shown.item)
    if now is None or _state(now) != _state(shown):
        who = "" if now is None or now.by is None else f" by {now.by}"
        raise CleaningError(
            f"Image {item} was changed meanwhile{who}, so the decision was not recorded. "
            f"Look at it as it is now, and decide again if it is still asked."
        )


def _state(one: Suspect) -> tuple[int, str | None, tuple[str, ...]]:
    return one.label, one.decision, one.keys


def _made(event: EventRecord) -> str:
    """Return what the keys of the events of one decision have in common."""
    return event.key.removesuffix(CLEAR)


def _record(
    project: Project, unit: Unit, annotator: str, session: str | None, events: Sequence[NewEvent]
) -> None:
    """Record the events; raising rolls back all of them."""
    settings = project.settings
    results = unit.labels.record(
        annotator, session, "page", events, settings.label_price, settings.lease_seconds
    )
    refused = next((one for one in results if one.status == "refused"), None)
    if refused is not None:
        why = "the budget is spent" if refused.reason == "budget" else refused.reason
        raise CleaningError(f"The decision was not recorded: {why}")
