"""What events mean, without a database: an item's history, its present state, and the purse.

The newest event of an item that is neither undone nor a second opinion decides its state.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from store.queue import is_leased
from store.records import EventKind, EventSource, ItemState, LedgerKind, QueueState, Split

DECIDES: dict[EventKind, ItemState] = {
    "label": "labelled",
    "skip": "skipped",
    "flag": "flagged",
    "clear": "unlabelled",
}


@dataclass(slots=True, eq=False)
class Fact:
    """One event of an item; `id` is None until it is stored."""

    id: int | None
    key: str
    kind: EventKind
    item_id: int
    class_id: int | None
    annotator_id: int
    source: EventSource
    at: float
    strategy: str | None
    round_id: int | None
    undone: bool = False
    current: bool = False
    opinion: bool = False
    cost: int = 0
    reason: str | None = None
    undoes_id: int | None = None
    undoes: Fact | None = None
    duration_ms: int | None = None
    client_at: float | None = None
    changed: bool = False

    @property
    def pays(self) -> bool:
        """Whether this is a label that the item's price was due for."""
        counts = self.kind == "label" and not self.undone and not self.opinion
        return counts and self.source != "import"

    def takes_back(self, target: Fact) -> bool:
        """Whether this is an undo of `target`."""
        stored = self.undoes_id is not None and self.undoes_id == target.id
        return self.undoes is target or stored


@dataclass(slots=True, eq=False)
class Place:
    """The item's place in the present queue."""

    id: int
    state: QueueState
    strategy: str
    round_id: int | None
    leased_by: str | None
    leased_to: str | None
    leased_at: float | None
    leased_until: float | None
    lease_price: int
    changed: bool = False

    def reserves(self, now: float) -> int:
        """Return the thousandths that the place holds back from others."""
        live = self.state == "waiting" and is_leased(now, self.leased_at, self.leased_until)
        return self.lease_price if live else 0

    def close(self) -> None:
        """Mark the place as dealt with."""
        self.state = "done"
        self._hold(None, None, None, None, 0)

    def reopen(self, session: str, annotator: str, now: float, seconds: float, price: int) -> None:
        """Give the place back to the session that undid its label."""
        self.state = "waiting"
        self._hold(session, annotator, now, now + seconds, price)

    def open(self) -> None:
        """Let the place wait for anybody."""
        self.state = "waiting"
        self._hold(None, None, None, None, 0)

    def _hold(
        self,
        by: str | None,
        to: str | None,
        since: float | None,
        until: float | None,
        price: int,
    ) -> None:
        self.leased_by, self.leased_to = by, to
        self.leased_at, self.leased_until = since, until
        self.lease_price = price
        self.changed = True


@dataclass(slots=True, eq=False)
class Case:
    """An item with its whole history, oldest event first."""

    item_id: int
    split: Split
    state: ItemState
    facts: list[Fact] = field(default_factory=list)
    place: Place | None = None
    decider: Fact | None = None
    was: Fact | None = None
    state_was: ItemState = "unlabelled"
    touched: bool = False

    def load(self) -> None:
        """Take the loaded state as the one to compare with when writing."""
        self.decider = self.was = next((fact for fact in self.facts if fact.current), None)
        self.state_was = self.state

    @property
    def label(self) -> Fact | None:
        """The event that gave the present label."""
        return self.decider if self.decider is not None and self.decider.kind == "label" else None

    @property
    def paid(self) -> bool:
        """Whether the item's price was paid, or was nothing."""
        return any(fact.pays for fact in self.facts)

    def decided_since(self, target: Fact) -> Fact | None:
        """Return what others decided about the item after a fact was undone, if it still holds.

        What the same annotator did since is no hindrance: of several steps done again, each comes
        after those before it.
        """
        since = 0
        for place, fact in enumerate(self.facts):
            if fact.takes_back(target):
                since = place
        for fact in reversed(self.facts[since + 1 :]):
            others = fact.annotator_id != target.annotator_id
            if others and fact.kind in DECIDES and not fact.undone and not fact.opinion:
                return fact
        return None

    def settle(self) -> None:
        """Work out state and deciding event anew."""
        self.touched = True
        deciding = [
            fact
            for fact in self.facts
            if fact.kind in DECIDES and not fact.undone and not fact.opinion
        ]
        decider = deciding[-1] if deciding else None
        if decider is not self.decider:
            for fact, current in ((self.decider, False), (decider, True)):
                if fact is not None:
                    fact.current = current
                    fact.changed = True
            self.decider = decider
        self.state = DECIDES[decider.kind] if decider is not None else "unlabelled"


@dataclass(slots=True)
class Purse:
    """The budget while events are recorded, in thousandths; `lines` go to the ledger."""

    total: int | None
    spent: int
    reserved: int
    now: float
    lines: list[tuple[LedgerKind, int, Fact]] = field(default_factory=list)

    def can_pay(self, price: int, own: int) -> bool:
        """Whether a label can be bought by whom `own` thousandths are reserved for."""
        if self.total is None or price == 0:
            return True
        left = self.total - self.spent
        return left >= price if own >= price else left - (self.reserved - own) >= price

    def spend(self, fact: Fact, price: int) -> None:
        """Pay for a label."""
        fact.cost = price
        self.spent += price
        if price:
            self.lines.append(("spend", price, fact))

    def refund(self, fact: Fact) -> None:
        """Take back what an undone label cost."""
        self.spent -= fact.cost
        if fact.cost:
            self.lines.append(("refund", fact.cost, fact))

    def free(self) -> int | None:
        """Return what is neither spent nor reserved."""
        return None if self.total is None else self.total - self.spent - self.reserved
