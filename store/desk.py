"""Judge events one by one against loaded histories: the rules of labelling, without a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from store.history import Case, Fact, Purse
from store.records import EventKind, EventResult, EventSource, NewEvent

LONGEST_KEY = 200


@dataclass(slots=True)
class Desk:
    """One annotator's batch of events.

    Attributes
    ----------
    cases : dict of int to Case
        The items that the events are about, those that exist.
    targets : mapping of int to int
        For every class the one it counts as now.
    archived : collection of int
        Classes that take no labels.
    names : mapping of int to str
        The annotators, where something is to be done again.
    """

    annotator: str
    annotator_id: int
    session: str | None
    source: EventSource
    price: int
    lease_seconds: float
    now: float
    purse: Purse
    targets: Mapping[int, int]
    archived: Collection[int]
    names: Mapping[int, str] = field(default_factory=dict)
    cases: dict[int, Case] = field(default_factory=dict)
    by_key: dict[str, Fact] = field(default_factory=dict)
    new: list[Fact] = field(default_factory=list)

    def judge(self, event: NewEvent) -> EventResult:
        """Apply one event.

        Returns
        -------
        EventResult
            ``refused`` changes nothing.
        """
        stored = self.by_key.get(event.key)
        if stored is not None:
            return self._repeat(event, stored)
        if not 0 < len(event.key) <= LONGEST_KEY:
            return _refused(event, f"A key has 1 to {LONGEST_KEY} characters.")
        if event.kind == "undo":
            return self._undo(event)
        if event.kind == "redo":
            return self._redo(event)
        case = None if event.item_id is None else self.cases.get(event.item_id)
        if case is None:
            return _refused(event, f"There is no item {event.item_id}.")
        if event.kind == "clear":
            return self._clear(event, case)
        return self._decide(event, case)

    def _repeat(self, event: NewEvent, stored: Fact) -> EventResult:
        """Answer an event whose key is stored: the same one again, or another one that is refused.

        A client that made the same key twice would else believe that both are stored.
        """
        if stored.annotator_id == self.annotator_id and self._says_the_same(event, stored):
            return EventResult(event.key, "duplicate", stored.item_id)
        what = f"{stored.kind} of item {stored.item_id}"
        what += "" if stored.class_id is None else f" as class {stored.class_id}"
        whose = "" if stored.annotator_id == self.annotator_id else " by somebody else"
        return _refused(
            event,
            f"Its key stands for another event already: the {what}{whose}. "
            f"Make a new key for each event.",
        )

    def _says_the_same(self, event: NewEvent, stored: Fact) -> bool:
        """Whether an event is the stored one, told again."""
        if event.kind == "redo":  # stored as what it did again
            target = None if event.redoes is None else self.by_key.get(event.redoes)
            return target is not None and (target.kind, target.item_id, target.class_id) == (
                stored.kind,
                stored.item_id,
                stored.class_id,
            )
        if event.kind == "undo":
            target = None if event.undoes is None else self.by_key.get(event.undoes)
            return stored.kind == "undo" and target is not None and stored.takes_back(target)
        if (event.kind, event.item_id) != (stored.kind, stored.item_id):
            return False
        return event.kind != "label" or self._class_now(event.class_id) == self._class_now(
            stored.class_id
        )

    def _class_now(self, class_id: int | None) -> int | None:
        """Return the class that a class counts as now: classes may have been merged since."""
        return None if class_id is None else self.targets.get(class_id, class_id)

    def _decide(self, event: NewEvent, case: Case) -> EventResult:
        """Apply a label, skip or flag."""
        class_id = None
        if event.kind == "label":
            class_id = None if event.class_id is None else self.targets.get(event.class_id)
            if class_id is None:
                return _refused(event, f"There is no class {event.class_id}.")
            if class_id in self.archived:
                return _refused(event, f"Class {class_id} is archived and takes no labels.")
        label = case.label
        opinion = label is not None and label.annotator_id != self.annotator_id
        due = event.kind == "label" and not opinion and self.source != "import" and not case.paid
        own = case.place.reserves(self.now) if case.place is not None else 0
        if due and not self.purse.can_pay(self.price, own):
            return _refused(event, "budget")
        fact = self._add(event, case, class_id)
        fact.opinion = opinion
        if self.source != "import":
            fact.strategy, fact.round_id = _origin(case)
        if due:
            self.purse.spend(fact, self.price)
        self._settle(case)
        return EventResult(event.key, "second_opinion" if opinion else "accepted", case.item_id)

    def _clear(self, event: NewEvent, case: Case) -> EventResult:
        """Take the item's label, skip or flag away; anybody may, in review."""
        if case.state == "unlabelled":
            return _refused(event, f"Item {case.item_id} has no label to clear.")
        self._add(event, case, None)
        self._settle(case)
        return EventResult(event.key, "accepted", case.item_id)

    def _undo(self, event: NewEvent) -> EventResult:
        """Take back an earlier event of the same annotator."""
        target = None if event.undoes is None else self.by_key.get(event.undoes)
        if target is None:
            return _refused(event, "The event to undo is not known.")
        if target.kind == "undo":
            return _refused(event, "An undo cannot be undone; do it again instead.")
        if target.annotator_id != self.annotator_id:
            return _refused(event, "Only the annotator who did it can undo it.")
        if target.undone:
            return EventResult(event.key, "duplicate", target.item_id, "It is undone already.")
        case = self.cases[target.item_id]
        target.undone = target.changed = True
        self._give_back(target, case)
        self._add(event, case, None).undoes = target
        self._settle(case)
        if case.state == "unlabelled" and target.kind != "clear":
            self._reopen(case)
        return EventResult(event.key, "accepted", case.item_id)

    def _redo(self, event: NewEvent) -> EventResult:
        """Do again what the same annotator undid, as a new event, unless others decided since."""
        target = None if event.redoes is None else self.by_key.get(event.redoes)
        if target is None or target.kind == "undo":
            return _refused(event, "The event to do again is not known.")
        if target.annotator_id != self.annotator_id:
            return _refused(event, "Only the annotator who did it can do it again.")
        case = self.cases[target.item_id]
        if not target.undone:
            return EventResult(event.key, "duplicate", case.item_id, "It is in force already.")
        since = case.decided_since(target)
        if since is not None:
            return _refused(replace(event, item_id=case.item_id), self._told(since))
        again = replace(
            event,
            kind=target.kind,
            item_id=case.item_id,
            class_id=target.class_id,
            reason=target.reason,
        )
        if target.kind == "clear":
            return self._clear(again, case)
        result = self._decide(again, case)
        if result.status != "refused":
            fact = self.by_key[event.key]
            fact.strategy, fact.round_id = target.strategy, target.round_id
        return result

    def _told(self, since: Fact) -> str:
        """Say who has decided what since something was undone."""
        who = self.names.get(since.annotator_id, "Somebody else")
        what = {"label": "labelled it", "skip": "skipped it", "flag": "flagged it"}
        return (
            f"{who} has {what.get(since.kind, 'removed its label')} since, so that stays as it is."
        )

    def _give_back(self, target: Fact, case: Case) -> None:
        """Refund a label, unless another label of the item is what was paid for then."""
        if not target.cost:
            return
        heir = next((fact for fact in case.facts if fact.pays), None)
        if heir is None:
            self.purse.refund(target)
        else:
            heir.cost, heir.changed = target.cost, True

    def _reopen(self, case: Case) -> None:
        """Put the item back at its place in the queue, in the hands of who undid."""
        place = case.place
        if place is None or place.state == "waiting":
            return
        if self.session is None:
            place.open()
            return
        free = self.purse.free()
        price = self.price if free is None or free >= self.price else 0
        place.reopen(self.session, self.annotator, self.now, self.lease_seconds, price)
        self.purse.reserved += price

    def _settle(self, case: Case) -> None:
        """Work out the item's state; one that is not unlabelled waits no longer."""
        case.settle()
        place = case.place
        if case.state != "unlabelled" and place is not None and place.state == "waiting":
            self.purse.reserved -= place.reserves(self.now)
            place.close()

    def _add(self, event: NewEvent, case: Case, class_id: int | None) -> Fact:
        """Append an event to the item's history."""
        fact = Fact(
            id=None,
            key=event.key,
            kind=cast("EventKind", event.kind),  # a redo comes as the kind it does again
            item_id=case.item_id,
            class_id=class_id,
            annotator_id=self.annotator_id,
            source=self.source,
            at=self.now,
            strategy=None,
            round_id=None,
            reason=event.reason,
            duration_ms=event.duration_ms,
            client_at=event.client_at,
        )
        case.facts.append(fact)
        self.by_key[fact.key] = fact
        self.new.append(fact)
        return fact


def _origin(case: Case) -> tuple[str | None, int | None]:
    """Return which strategy and round proposed the item: its place says so, or an earlier label."""
    if case.place is not None:
        return case.place.strategy, case.place.round_id
    for fact in reversed(case.facts):
        if fact.strategy is not None and not fact.undone:
            return fact.strategy, fact.round_id
    return None, None


def _refused(event: NewEvent, reason: str) -> EventResult:
    return EventResult(event.key, "refused", event.item_id, reason)
