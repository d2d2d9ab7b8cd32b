"""Whatever happens in whatever order: the projections are what the events say.

A second model of the rules, written as plainly as possible over the list of events, is compared
with the store after every step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from store.records import EventResult, EventSource, NewEvent, NewQueueEntry
from store.store import Store
from tests.store.build import Clock, new_items
from tests.store.postgres import Server

ITEMS = 4
PRICE = 1.5
ANNOTATORS = ("ann", "bob")


@dataclass
class Told:
    """One accepted event, as the plain model remembers it."""

    event: NewEvent
    annotator: str
    source: EventSource
    item: int
    class_id: int | None
    opinion: bool = False
    undone: bool = False


@dataclass
class Plain:
    """The rules again, without projections: everything is worked out from the list of events."""

    told: list[Told] = field(default_factory=list)
    targets: dict[int, int] = field(default_factory=dict)
    total: float | None = None

    def deciding(self, item: int) -> Told | None:
        found = [
            one
            for one in self.told
            if one.item == item and one.event.kind != "undo" and not one.undone and not one.opinion
        ]
        return found[-1] if found else None

    def state(self, item: int) -> str:
        one = self.deciding(item)
        if one is None:
            return "unlabelled"
        words = {"label": "labelled", "skip": "skipped", "flag": "flagged", "clear": "unlabelled"}
        return words[one.event.kind]

    def label(self, item: int) -> Told | None:
        one = self.deciding(item)
        return one if one is not None and one.event.kind == "label" else None

    def spent(self) -> float:
        paid = {
            one.item
            for one in self.told
            if one.event.kind == "label"
            and not one.undone
            and not one.opinion
            and one.source != "import"
        }
        return PRICE * len(paid)

    def meaning(self, event: NewEvent) -> tuple[object, ...]:
        class_id = None if event.class_id is None else self.targets[event.class_id]
        item = None if event.kind == "undo" else event.item_id
        return event.kind, item, class_id, event.undoes

    def apply(
        self, event: NewEvent, annotator: str, source: EventSource, result: EventResult
    ) -> None:
        """Check what the store answered, and remember the event if it was taken."""
        known = next((one for one in self.told if one.event.key == event.key), None)
        if known is not None:
            same = annotator == known.annotator and self.meaning(event) == self.meaning(known.event)
            assert result.status == ("duplicate" if same else "refused")
            return
        if event.kind == "undo":
            self._undo(event, annotator, source, result)
            return
        item = event.item_id or 0
        if not 1 <= item <= ITEMS:
            assert result.status == "refused"
            return
        if event.kind == "clear" and self.state(item) == "unlabelled":
            assert result.status == "refused"
            return
        label = self.label(item)
        opinion = event.kind != "clear" and label is not None and label.annotator != annotator
        if result.status == "refused":
            assert result.reason == "budget"
            assert event.kind == "label"
            assert not opinion
            assert source != "import"
            assert self.total is not None
            return
        assert result.status == ("second_opinion" if opinion else "accepted")
        class_id = None if event.class_id is None else self.targets[event.class_id]
        self.told.append(Told(event, annotator, source, item, class_id, opinion))

    def _undo(
        self, event: NewEvent, annotator: str, source: EventSource, result: EventResult
    ) -> None:
        target = next((one for one in self.told if one.event.key == event.undoes), None)
        if target is None or target.event.kind == "undo" or target.annotator != annotator:
            assert result.status == "refused"
        elif target.undone:
            assert result.status == "duplicate"
        else:
            assert result.status == "accepted"
            target.undone = True
            self.told.append(Told(event, annotator, source, target.item, None))


class Labelling(RuleBasedStateMachine):
    """Random labelling against the plain model."""

    open_store: Callable[[], tuple[Store, Clock]]

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clock = type(self).open_store()
        self.plain = Plain()
        self.made = 0
        with self.store.write() as unit:
            self.classes = [
                unit.classes.add(name, None, "#123456", position).id
                for position, name in enumerate("abc")
            ]
            self.ids = unit.items.add(new_items(ITEMS))
            unit.queue.replace([NewQueueEntry(item_id, "margin", None) for item_id in self.ids])
        assert self.ids == list(range(1, ITEMS + 1))
        self.plain.targets = {class_id: class_id for class_id in self.classes}

    @rule(
        events=st.lists(
            st.tuples(
                st.sampled_from(
                    ["label", "label", "label", "skip", "flag", "clear", "undo", "undo"]
                ),
                st.integers(0, 9),
                st.integers(1, ITEMS + 1),
                st.integers(0, 2),
                st.integers(0, 5),
            ),
            min_size=1,
            max_size=4,
        ),
        annotator=st.sampled_from(ANNOTATORS),
        source=st.sampled_from(["page", "page", "page", "import"]),
        with_session=st.booleans(),
    )
    def record(
        self,
        events: list[tuple[str, int, int, int, int]],
        annotator: str,
        source: EventSource,
        with_session: bool,
    ) -> None:
        keys = [one.event.key for one in self.plain.told]
        batch = []
        for kind, luck, item, class_, back in events:
            self.made += 1
            # One key in ten was seen before, one event in ten is sent again. What is undone is one
            # of the newest events, which may be in the same batch, an undo, or somebody else's.
            key = keys[-1] if luck == 0 and keys else f"k{self.made}"
            event = NewEvent(
                key,
                kind,  # type: ignore[arg-type]
                item_id=None if kind == "undo" else item,
                class_id=self.classes[class_] if kind == "label" else None,
                undoes=keys[-1 - back] if kind == "undo" and back < len(keys) else None,
            )
            if luck == 1 and self.plain.told:
                event = self.plain.told[-1].event
            keys.append(event.key)
            batch.append(event)
        session = f"s-{annotator}" if with_session else None
        with self.store.write() as unit:
            before = unit.budget.get()
            results = unit.labels.record(annotator, session, source, batch, PRICE, 60)
        for event, result in zip(batch, results, strict=True):
            self.plain.apply(event, annotator, source, result)
        if before.total is not None and before.free is not None:
            assert self.plain.spent() <= max(before.total, before.spent)
            refused = [result.reason == "budget" for result in results]
            assert refused != [True] or before.free < PRICE

    @rule(annotator=st.sampled_from(ANNOTATORS), n=st.integers(1, 4))
    def claim(self, annotator: str, n: int) -> None:
        with self.store.write() as unit:
            got = unit.queue.claim(annotator, f"s-{annotator}", n, 60, PRICE)
        assert len(got) <= n
        assert all(self.plain.state(entry.item_id) == "unlabelled" for entry in got)

    @rule(annotator=st.sampled_from(ANNOTATORS))
    def release(self, annotator: str) -> None:
        with self.store.write() as unit:
            unit.queue.release(f"s-{annotator}")

    @rule(picks=st.lists(st.integers(1, ITEMS), max_size=ITEMS))
    def replace(self, picks: list[int]) -> None:
        with self.store.write() as unit:
            unit.queue.replace([NewQueueEntry(item, "random", None) for item in picks])

    @rule(total=st.one_of(st.none(), st.integers(0, 8)))
    def set_total(self, total: int | None) -> None:
        with self.store.write() as unit:
            self.plain.total = unit.budget.set_total(total).total

    @rule(seconds=st.sampled_from([-100.0, 1.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(gone=st.integers(0, 2), into=st.integers(0, 2))
    def merge(self, gone: int, into: int) -> None:
        one, other = self.classes[gone], self.classes[into]
        if self.plain.targets[other] == one or gone == into:
            return
        with self.store.write() as unit:
            unit.classes.update(one, merged_into=other, archived=True)
            self.plain.targets = unit.classes.targets()

    @rule(back=st.integers(0, 2))
    def split(self, back: int) -> None:
        with self.store.write() as unit:
            unit.classes.update(self.classes[back], merged_into=None, archived=False)
            self.plain.targets = unit.classes.targets()

    @invariant()
    def projections_are_what_the_events_say(self) -> None:
        with self.store.read() as unit:
            states = {item.id: item.state for part in unit.items.stream() for item in part}
            assert states == {item: self.plain.state(item) for item in self.ids}
            wanted = {}
            for item in self.ids:
                told = self.plain.label(item)
                current = unit.labels.current(item)
                assert (current is None) == (told is None)
                if told is not None and told.class_id is not None and current is not None:
                    wanted[item] = self.plain.targets[told.class_id]
                    assert (current.class_id, current.annotator) == (wanted[item], told.annotator)
            found, classes, _ = unit.labels.arrays()
            assert dict(zip(found.tolist(), classes.tolist(), strict=True)) == wanted
            assert unit.labels.counts_by_class() == Counter(wanted.values())
            tally = unit.items.count()
            assert (tally.items, tally.labelled) == (ITEMS, len(wanted))
            assert tally.skipped == list(states.values()).count("skipped")
            history = [event for item in self.ids for event in unit.labels.history(item)]
            assert sorted(e.key for e in history) == sorted(t.event.key for t in self.plain.told)

    @invariant()
    def the_books_balance(self) -> None:
        with self.store.read() as unit:
            budget = unit.budget.get()
            assert budget.spent == self.plain.spent()
            lines = unit.budget.ledger(limit=10_000)
            moved = {"spend": 1, "refund": -1, "set": 0}
            assert sum(moved[line.kind] * line.amount for line in lines) == budget.spent
            costs = [e.cost for e in unit.labels.recent(limit=10_000) if not e.undone]
            assert sum(costs) == budget.spent

    @invariant()
    def waiting_items_are_unlabelled_and_held_once(self) -> None:
        with self.store.read() as unit:
            places = unit.queue.entries(limit=1000)
            counts = unit.queue.counts()
        assert counts.total == len(places)
        assert len({place.item_id for place in places}) == len(places)
        for place in places:
            if place.state == "waiting":
                assert self.plain.state(place.item_id) == "unlabelled"


@pytest.fixture
def openings(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], tuple[Store, Clock]]]:
    """Open a fresh store for every run of the machine."""
    opened: list[Store] = []

    def fresh() -> tuple[Store, Clock]:
        if database == "sqlite":
            url = f"sqlite:///{tmp_path / f'{len(opened)}.db'}"
        else:
            server: Server = request.getfixturevalue("server")
            url = server.migrated()
        clock = Clock()
        opened.append(Store.open(url, clock))
        if len(opened) > 1:
            opened[-2].close()
        return opened[-1], clock

    yield fresh
    for store in opened:
        store.close()


def test_projections_equal_the_history(
    openings: Callable[[], tuple[Store, Clock]], database: str
) -> None:
    Labelling.open_store = staticmethod(openings)
    run_state_machine_as_test(
        Labelling,
        settings=settings(
            max_examples=20 if database == "sqlite" else 8,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            # Shrinking opens hundreds of databases, longer than a test may take.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
