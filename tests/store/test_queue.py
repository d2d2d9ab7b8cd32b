"""Leases: who holds what, for how long, and what the budget allows."""

from __future__ import annotations

from store.records import NewEvent, NewQueueEntry, QueueCounts, QueueEntry
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, record, undo


def claim(store: Store, session: str, n: int, seconds: float = 60, price: float = 1.0) -> list[int]:
    return [entry.item_id for entry in entries(store, session, n, seconds, price)]


def entries(
    store: Store, session: str, n: int, seconds: float = 60, price: float = 1.0
) -> list[QueueEntry]:
    with store.write() as unit:
        return unit.queue.claim(f"ann of {session}", session, n, seconds, price)


def counts(store: Store) -> QueueCounts:
    with store.read() as unit:
        return unit.queue.counts()


def test_claims_are_in_order_and_exclusive(store: Store, clock: Clock) -> None:
    ids = fill(store)
    assert claim(store, "s", 3) == ids[:3]
    assert claim(store, "t", 3) == ids[3:6]
    found = counts(store)
    assert (found.waiting, found.leased, found.done, found.total) == (4, 6, 0, 10)
    with store.read() as unit:
        first = unit.queue.entry_for(ids[0])
    assert first is not None
    assert (first.leased_by, first.leased_to) == ("s", "ann of s")
    assert first.leased_until == clock.now + 60
    assert claim(store, "u", 100) == ids[6:]
    assert claim(store, "v", 1) == []
    assert claim(store, "v", 0) == []


def test_a_session_gets_its_own_leases_first(store: Store, clock: Clock) -> None:
    ids = fill(store)
    claim(store, "s", 2)
    claim(store, "t", 2)
    clock.now += 50
    assert claim(store, "s", 4) == [ids[0], ids[1], ids[4], ids[5]]
    clock.now += 50
    # Its old leases began anew with the claim; those of the silent one ran out.
    assert claim(store, "u", 2) == ids[2:4]


def test_an_expired_lease_goes_back_by_itself(store: Store, clock: Clock) -> None:
    ids = fill(store)
    claim(store, "s", 2)
    clock.now += 60
    assert counts(store).waiting == 10
    assert claim(store, "t", 2) == ids[:2]


def test_a_clock_that_goes_back_does_not_lock_items_up(store: Store, clock: Clock) -> None:
    ids = fill(store)
    claim(store, "s", 2)
    clock.now -= 4
    assert claim(store, "t", 1) == [ids[2]]
    clock.now -= 86_400
    assert counts(store).leased == 0
    assert claim(store, "u", 1) == [ids[0]]


def test_renew_and_release(store: Store, clock: Clock) -> None:
    ids = fill(store)
    claim(store, "s", 3)
    clock.now += 50
    with store.write() as unit:
        assert unit.queue.renew("ann", "s", 60) == 3
        assert unit.queue.renew("ann", "unknown", 60) == 0
    clock.now += 50
    assert counts(store).leased == 3
    with store.write() as unit:
        assert unit.queue.release("s", [ids[1], ids[7]]) == 1
        assert unit.queue.release("unknown") == 0
    assert claim(store, "t", 1) == [ids[1]]
    with store.write() as unit:
        assert unit.queue.release("s") == 2
    assert counts(store).leased == 1
    clock.now += 61
    with store.write() as unit:
        assert unit.queue.renew("ann", "t", 60) == 0


def test_claims_reserve_budget(store: Store, clock: Clock) -> None:
    ids = fill(store)
    cat = class_id(store, "cat")
    with store.write() as unit:
        unit.budget.set_total(5)
    assert claim(store, "s", 3) == ids[:3]
    assert claim(store, "t", 8) == ids[3:5]
    assert claim(store, "u", 1) == []
    with store.read() as unit:
        budget = unit.budget.get()
    assert (budget.left, budget.free, budget.reserved) == (5.0, 0.0, 5.0)
    # Nobody without a lease can take what is reserved; the holder can.
    (outside,) = record(store, label("x", ids[9], cat), annotator="cli", session=None)
    assert (outside.status, outside.reason) == ("refused", "budget")
    assert record(store, label("y", ids[0], cat))[0].status == "accepted"
    clock.now += 60
    assert claim(store, "u", 9) == ids[1:5]


def test_a_price_that_does_not_divide_the_budget(store: Store) -> None:
    ids = fill(store)
    with store.write() as unit:
        unit.budget.set_total(1)
    assert claim(store, "s", 9, price=0.3) == ids[:3]
    assert claim(store, "t", 9, price=0.3) == []
    assert claim(store, "t", 9, price=0) == ids[3:]


def test_a_lowered_budget_buys_as_many_as_are_left(store: Store) -> None:
    ids = fill(store)
    cat = class_id(store, "cat")
    with store.write() as unit:
        unit.budget.set_total(4)
    claim(store, "s", 2)
    claim(store, "t", 2)
    with store.write() as unit:
        unit.budget.set_total(1)
    assert record(store, label("a", ids[2], cat), session="t")[0].status == "accepted"
    assert record(store, label("b", ids[0], cat))[0].reason == "budget"
    with store.read() as unit:
        assert unit.budget.get().left == 0


def test_replace_leaves_out_what_somebody_holds(store: Store, clock: Clock) -> None:
    ids = fill(store, items=12)
    cat = class_id(store, "cat")
    claim(store, "s", 2)
    record(store, label("a", ids[4], cat), NewEvent("b", "skip", ids[5]), session="t")
    with store.write() as unit:
        started = unit.rounds.start("random", 5, None, 1, 1)
        picks = [*ids[::-1], ids[8]]
        queued = unit.queue.replace([NewQueueEntry(i, "random", None) for i in picks], started.id)
    assert queued == 8
    with store.read() as unit:
        now = unit.queue.entries()
    assert [entry.item_id for entry in now] == [*ids[:5:-1], *ids[3:1:-1]]
    assert [entry.position for entry in now] == list(range(8))
    assert {(entry.strategy, entry.round_id) for entry in now} == {("random", started.id)}
    assert counts(store) == QueueCounts(waiting=8, leased=0, done=0)
    # A second replacement while the leases run out drops the old places.
    clock.now += 61
    with store.write() as unit:
        assert unit.queue.replace([NewQueueEntry(ids[0], "random", None)]) == 1


def test_an_outdated_place_takes_its_label_and_is_not_handed_out(store: Store) -> None:
    ids = fill(store, items=6)
    assert claim(store, "s", 2) == ids[:2]
    with store.write() as unit:
        unit.budget.set_total(4)
        unit.queue.replace([NewQueueEntry(item_id, "random", None) for item_id in ids])
    with store.read() as unit:
        assert unit.budget.get().reserved == 2
    # The session gets the new picks, as far as the budget that is not reserved pays for them.
    assert claim(store, "s", 4) == ids[2:4]
    assert record(store, label("a", ids[0], class_id(store, "cat")))[0].status == "accepted"
    with store.read() as unit:
        current = unit.labels.current(ids[0])
        assert current is not None
        assert current.strategy == "margin"
        assert unit.budget.get().reserved == 3
    with store.write() as unit:
        assert unit.queue.release("s") == 3
    assert claim(store, "t", 4) == ids[2:5]


def test_an_undo_after_the_queue_was_replaced(store: Store) -> None:
    ids = fill(store)
    cat = class_id(store, "cat")
    record(store, label("a", ids[0], cat))
    with store.write() as unit:
        unit.queue.replace([NewQueueEntry(ids[5], "random", None)])
    assert record(store, undo("u", "a"))[0].status == "accepted"
    with store.read() as unit:
        assert unit.queue.entry_for(ids[0]) is None
        assert unit.items.count().unlabelled == 10


def test_undone_without_money_is_shown_but_reserves_nothing(store: Store) -> None:
    ids = fill(store)
    with store.write() as unit:
        unit.budget.set_total(1)
    record(store, NewEvent("a", "skip", ids[0]))
    assert claim(store, "t", 1) == [ids[1]]
    record(store, undo("u", "a"))
    with store.read() as unit:
        entry = unit.queue.entry_for(ids[0])
        assert entry is not None
        assert entry.leased_by == "s"
        assert unit.budget.get().reserved == 1.0
    cat = class_id(store, "cat")
    assert record(store, label("b", ids[0], cat))[0].reason == "budget"
    assert record(store, label("c", ids[1], cat), session="t")[0].status == "accepted"


def test_entries_carry_what_the_strategy_said(store: Store) -> None:
    ids = fill(store)
    dog = class_id(store, "dog")
    with store.write() as unit:
        picked = NewQueueEntry(ids[0], "entropy", 1.5, False, dog, 0.75)
        unit.queue.replace([picked, NewQueueEntry(ids[1], "random", None, blind=True)])
    first, second = entries(store, "s", 2)
    assert (first.strategy, first.score, first.blind) == ("entropy", 1.5, False)
    assert (first.suggestion_class_id, first.suggestion_confidence) == (dog, 0.75)
    assert second.blind
    with store.read() as unit:
        assert [entry.item_id for entry in unit.queue.entries(limit=1, offset=1)] == [ids[1]]


def test_a_label_frees_its_reservation_for_the_rest_of_the_batch(store: Store) -> None:
    ids = fill(store)
    cat = class_id(store, "cat")
    with store.write() as unit:
        unit.budget.set_total(2)
    claim(store, "s", 1)
    results = record(
        store, label("a", ids[0], cat), label("b", ids[5], cat), label("c", ids[6], cat)
    )
    assert [result.reason for result in results] == [None, None, "budget"]
