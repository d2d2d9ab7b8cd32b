"""Events and what they do to label, state, queue and budget."""

from __future__ import annotations

import pytest

from store.records import ClassRecord, Counts, EventResult, NewEvent, NewItem, NewQueueEntry
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, new_items, record, undo


def spent(store: Store) -> float:
    with store.read() as unit:
        return unit.budget.get().spent


def counts(store: Store) -> Counts:
    with store.read() as unit:
        return unit.items.count()


def classes(store: Store) -> tuple[int, int]:
    return class_id(store, "cat"), class_id(store, "dog")


def current_class(store: Store, item_id: int) -> str | None:
    with store.read() as unit:
        found = unit.labels.current(item_id)
    return found.class_name if found else None


def statuses(results: list[EventResult]) -> list[str]:
    return [result.status for result in results]


def test_a_label_moves_everything_in_one_transaction(store: Store, clock: Clock) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    with store.write() as unit:
        started = unit.rounds.start("margin", 10, None, 0, 0)
        unit.queue.replace([NewQueueEntry(ids[3], "margin", 0.9)], started.id)
        unit.queue.claim("ann", "s", 1, 60, 1.0)
    event = NewEvent("k", "label", ids[3], cat, duration_ms=700, client_at=clock.now - 1)
    assert record(store, event) == [EventResult("k", "accepted", ids[3])]
    with store.read() as unit:
        now = unit.labels.current(ids[3])
        assert now is not None
        assert (now.class_name, now.annotator, now.at) == ("cat", "ann", clock.now)
        assert (now.source, now.strategy, now.round_id) == ("page", "margin", started.id)
        item = unit.items.get(ids[3])
        assert item is not None
        assert item.state == "labelled"
        found = unit.queue.counts()
        assert (found.waiting, found.leased, found.done) == (0, 0, 1)
        budget = unit.budget.get()
        assert (budget.spent, budget.reserved, budget.total) == (1.0, 0.0, None)
        assert [(line.kind, line.amount) for line in unit.budget.ledger()] == [("spend", 1.0)]
        (told,) = unit.labels.history(ids[3])
        assert (told.key, told.kind, told.current, told.undone) == ("k", "label", True, False)
        assert (told.session, told.cost, told.duration_ms) == ("s", 1.0, 700)
        assert unit.labels.counts_by_class() == {cat: 1}


def test_an_error_takes_the_whole_transaction_back(store: Store) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    before = counts(store)

    def fail() -> None:
        with store.write() as unit:
            unit.labels.record("ann", "s", "page", [label("k", ids[0], cat)], 1.0)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert counts(store) == before
    assert spent(store) == 0
    assert statuses(record(store, label("k", ids[0], cat))) == ["accepted"]


def test_a_key_counts_once(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    first = record(store, label("k", ids[0], cat), label("k", ids[0], cat))
    assert statuses(first) == ["accepted", "duplicate"]
    assert statuses(record(store, label("k", ids[1], dog))) == ["refused"]
    assert spent(store) == 1.0
    assert current_class(store, ids[0]) == "cat"
    assert current_class(store, ids[1]) is None


def test_a_key_stands_for_one_event(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat), label("b", ids[1], dog), NewEvent("s", "skip", ids[2]))
    record(store, undo("u", "b"))
    record(store, NewEvent("r", "redo", None, redoes="b"))
    others = [
        label("a", ids[1], cat),  # another item
        label("a", ids[0], dog),  # another class
        NewEvent("a", "skip", ids[0]),  # another act
        NewEvent("s", "flag", ids[2]),
        undo("a", "b"),
        undo("s", "s"),
        label("u", ids[1], dog),
        undo("u", "a"),  # another event to take back
        NewEvent("r", "redo", None, redoes="a"),
        NewEvent("r", "redo", None, redoes="nothing"),
        NewEvent("a", "clear", ids[0]),
    ]
    with store.read() as unit:
        before = unit.labels.recent("ann")
    results = record(store, *others)
    assert statuses(results) == ["refused"] * len(others)
    assert all("another event already" in (result.reason or "") for result in results)
    with store.read() as unit:
        assert unit.labels.recent("ann") == before
    same = [
        label("a", ids[0], cat),
        NewEvent("s", "skip", ids[2]),
        undo("u", "b"),
        NewEvent("r", "redo", None, redoes="b"),
    ]
    assert statuses(record(store, *same)) == ["duplicate"] * len(same)


def test_a_key_of_somebody_else_is_refused(store: Store) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    record(store, label("a", ids[0], cat))
    with store.write() as unit:
        (result,) = unit.labels.record("bob", "t", "page", [label("a", ids[0], cat)], 1.0)
    assert result.status == "refused"
    assert "by somebody else" in (result.reason or "")


def test_one_key_twice_in_a_batch_is_one_event(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    twice = [label("a", ids[0], cat), label("a", ids[0], cat), label("a", ids[1], dog)]
    assert statuses(record(store, *twice)) == ["accepted", "duplicate", "refused"]
    assert current_class(store, ids[1]) is None


def test_a_retry_after_its_class_was_merged_is_a_duplicate(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat))
    with store.write() as unit:
        unit.classes.update(cat, archived=True, merged_into=dog)
    assert statuses(record(store, label("a", ids[0], cat))) == ["duplicate"]
    assert statuses(record(store, label("a", ids[0], dog))) == ["duplicate"]


def test_what_cannot_be_is_refused_and_the_rest_goes_on(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    with store.write() as unit:
        unit.classes.update(dog, archived=True)
    results = record(
        store,
        label("a", 999_999, cat),
        label("b", ids[0], 4711),
        label("c", ids[0], dog),
        NewEvent("d", "label", ids[0]),
        NewEvent("e", "label", None, cat),
        label("", ids[0], cat),
        label("x" * 201, ids[0], cat),
        undo("f", "unknown"),
        NewEvent("g", "undo"),
        NewEvent("h", "clear", ids[0]),
        label("z", ids[0], cat),
    )
    assert statuses(results) == ["refused"] * 10 + ["accepted"]
    assert all(result.reason for result in results[:-1])
    assert "999999" in str(results[0].reason)
    assert "archived" in str(results[2].reason)
    assert spent(store) == 1.0
    with store.read() as unit:
        assert [event.key for event in unit.labels.recent()] == ["z"]


def test_a_refused_event_can_be_sent_again(store: Store) -> None:
    ids = fill(store)
    _, dog = classes(store)
    with store.write() as unit:
        unit.classes.update(dog, archived=True)
    assert statuses(record(store, label("k", ids[0], dog))) == ["refused"]
    with store.write() as unit:
        unit.classes.update(dog, archived=False)
    assert statuses(record(store, label("k", ids[0], dog))) == ["accepted"]


def test_a_merged_class_counts_as_the_one_it_went_into(store: Store) -> None:
    ids = fill(store, classes=("cat", "dog", "puppy"))
    cat, dog, puppy = class_id(store, "cat"), class_id(store, "dog"), class_id(store, "puppy")
    record(store, label("a", ids[0], puppy), label("b", ids[1], dog), label("c", ids[2], cat))
    with store.read() as unit:
        hash_before = unit.labels.set_hash()
    with store.write() as unit:
        unit.classes.update(puppy, archived=True, merged_into=dog)
    assert statuses(record(store, label("late", ids[3], puppy))) == ["accepted"]
    with store.read() as unit:
        assert unit.labels.counts_by_class() == {cat: 1, dog: 3}
        assert unit.labels.counts_by_class("valid") == {dog: 1}
        found, classes_, splits = unit.labels.arrays()
        assert found.tolist() == ids[:4]
        assert classes_.tolist() == [dog, dog, cat, dog]
        assert splits == ["train", "train", "train", "valid"]
        assert [item.id for item in unit.items.page(class_id=dog, order="oldest")] == [
            ids[0],
            ids[1],
            ids[3],
        ]
        assert unit.items.page_count(class_id=dog) == 3
        assert unit.items.page_count(class_id=dog, split="valid") == 1
        assert unit.items.page_count(class_id=dog, state="flagged") == 0
        assert [row.class_name for row in unit.labels.export()] == ["dog", "dog", "cat", "dog"]
        assert unit.labels.set_hash() != hash_before
    assert current_class(store, ids[0]) == "dog"
    with store.write() as unit:
        unit.classes.update(puppy, archived=False, merged_into=None)
    assert current_class(store, ids[0]) == "puppy"
    with store.read() as unit:
        assert unit.labels.counts_by_class() == {cat: 1, dog: 2, puppy: 1}


def test_the_same_annotator_corrects_and_pays_once(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    results = record(store, label("a", ids[0], cat), label("b", ids[0], dog))
    assert statuses(results) == ["accepted", "accepted"]
    assert current_class(store, ids[0]) == "dog"
    assert spent(store) == 1.0
    with store.read() as unit:
        assert [(e.key, e.current, e.cost) for e in unit.labels.history(ids[0])] == [
            ("a", False, 1.0),
            ("b", True, 0.0),
        ]
        assert unit.labels.counts_by_class() == {dog: 1}


def test_somebody_elses_label_stays_current(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat))
    theirs = (label("b", ids[0], dog), NewEvent("c", "skip", ids[0]), NewEvent("d", "flag", ids[0]))
    results = record(store, *theirs, annotator="bob", session="t")
    assert statuses(results) == ["second_opinion"] * 3
    assert current_class(store, ids[0]) == "cat"
    assert spent(store) == 1.0
    # It stays an opinion when the label it came second to is undone.
    record(store, undo("u", "a"))
    assert current_class(store, ids[0]) is None
    assert counts(store).unlabelled == len(ids)


@pytest.mark.parametrize("kind", ["skip", "flag"])
def test_skip_and_flag_leave_the_pool_for_nothing(store: Store, kind: str) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    event = NewEvent("k", kind, ids[0], reason="blurred")  # type: ignore[arg-type]
    assert statuses(record(store, event)) == ["accepted"]
    state = {"skip": "skipped", "flag": "flagged"}[kind]
    with store.read() as unit:
        item = unit.items.get(ids[0])
        assert item is not None
        assert item.state == state
        assert unit.queue.counts().done == 1
        assert ids[0] not in unit.items.ids(state="unlabelled")
        assert unit.labels.history(ids[0])[0].reason == "blurred"
    assert spent(store) == 0
    # Somebody else may still label it, and its skipper may come back.
    assert statuses(record(store, label("b", ids[0], cat), annotator="bob")) == ["accepted"]
    assert current_class(store, ids[0]) == "cat"


def test_clear_takes_the_label_and_undo_brings_it_back(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat))
    review = NewEvent("c", "clear", ids[0])
    assert statuses(record(store, review, annotator="lead")) == ["accepted"]
    assert current_class(store, ids[0]) is None
    assert counts(store).unlabelled == len(ids)
    assert statuses(record(store, undo("u", "c"), annotator="lead")) == ["accepted"]
    assert current_class(store, ids[0]) == "cat"
    record(store, NewEvent("c2", "clear", ids[0]), annotator="lead")
    assert statuses(record(store, label("b", ids[0], dog), annotator="lead")) == ["accepted"]
    assert current_class(store, ids[0]) == "dog"
    assert spent(store) == 1.0


def test_undo_back_to_the_start_of_the_session(store: Store, clock: Clock) -> None:
    ids = fill(store, items=6)
    cat, dog = classes(store)
    with store.write() as unit:
        unit.budget.set_total(6)
        unit.queue.claim("ann", "s", 6, 60, 1.0)
    record(
        store,
        label("a", ids[0], cat),
        label("b", ids[1], dog),
        NewEvent("c", "skip", ids[2]),
        label("d", ids[0], dog),
    )
    with store.write() as unit:
        unit.queue.release("s")
    clock.now += 10
    undone = [record(store, undo(f"u{key}", key))[0].status for key in "dcba"]
    assert undone == ["accepted"] * 4
    assert counts(store).unlabelled == 6
    assert spent(store) == 0
    with store.read() as unit:
        assert unit.labels.counts_by_class() == {}
        reopened = [entry for entry in unit.queue.entries() if entry.leased_by == "s"]
        assert [(entry.item_id, entry.position) for entry in reopened] == [
            (ids[0], 0),
            (ids[1], 1),
            (ids[2], 2),
        ]
        assert {entry.leased_until for entry in reopened} == {clock.now + 120}
        assert unit.budget.get().reserved == 3.0
        kinds = [line.kind for line in unit.budget.ledger()]
        assert kinds == ["refund", "refund", "spend", "spend", "set"]


def test_undo_keeps_what_a_correction_says(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat), label("b", ids[0], dog))
    record(store, undo("u", "a"))
    assert current_class(store, ids[0]) == "dog"
    # The label that stays has taken the price over: undoing the first one buys nothing.
    assert spent(store) == 1.0
    record(store, undo("v", "b"))
    assert spent(store) == 0
    assert current_class(store, ids[0]) is None


def test_undo_goes_back_one_step(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat), label("b", ids[0], dog), undo("u", "b"))
    assert current_class(store, ids[0]) == "cat"
    with store.read() as unit:
        events = unit.labels.history(ids[0])
        by_key = {event.key: event for event in events}
        assert by_key["u"].undoes == by_key["b"].id
        assert by_key["b"].undone
        assert by_key["a"].current


def redo(key: str, redoes: str) -> NewEvent:
    return NewEvent(key, "redo", redoes=redoes)


def test_redo_does_again_what_undo_took_back_as_a_new_event(store: Store) -> None:
    ids = fill(store)
    dog = class_id(store, "dog")
    with store.write() as unit:
        started = unit.rounds.start("margin", 10, None, 0, 0)
        unit.queue.replace([NewQueueEntry(ids[0], "margin", 0.9)], started.id)
    record(store, NewEvent("a", "flag", ids[0], reason="too dark"), label("b", ids[1], dog))
    record(store, undo("ua", "a"), undo("ub", "b"))
    assert statuses(record(store, redo("rb", "b"), redo("ra", "a"))) == ["accepted"] * 2
    assert statuses(record(store, redo("ra", "a"))) == ["duplicate"], "a retry is harmless"
    assert current_class(store, ids[1]) == "dog"
    assert (counts(store).flagged, spent(store)) == (1, 1.0)
    with store.read() as unit:
        kinds = [(one.key, one.kind, one.undone) for one in unit.labels.history(ids[0])]
        assert kinds == [("a", "flag", True), ("ua", "undo", False), ("ra", "flag", False)]
        again = unit.labels.history(ids[0])[-1]
        assert (again.reason, again.strategy, again.round_id) == ("too dark", "margin", started.id)
        assert unit.queue.counts().done == 1
    assert statuses(record(store, undo("ura", "ra"), redo("rra", "ra"))) == ["accepted"] * 2
    assert counts(store).flagged == 1


def test_redo_never_overwrites_what_others_decided_since(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    for item_id, key in zip(ids[:3], "abc", strict=True):
        record(store, label(key, item_id, cat), undo(f"u{key}", key))
    record(store, label("bob", ids[0], dog), annotator="bob")
    record(store, NewEvent("bob2", "flag", ids[1]), annotator="bob")
    told = record(store, *(redo(f"r{key}", key) for key in "abc"))
    assert statuses(told) == ["refused", "refused", "accepted"]
    assert told[0] == EventResult(
        "ra", "refused", ids[0], "bob has labelled it since, so that stays as it is."
    )
    assert (told[1].reason or "").startswith("bob has flagged it since")
    assert [current_class(store, one) for one in ids[:3]] == ["dog", None, "cat"]
    # What bob says second to a label is no decision: the label may come back over it.
    record(store, label("second", ids[2], dog), annotator="bob")
    record(store, undo("urc", "rc"))
    assert statuses(record(store, redo("rrc", "rc"))) == ["accepted"]


def test_several_steps_on_one_item_are_done_again_in_their_order(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(
        store, label("a", ids[0], cat), label("b", ids[0], dog), undo("ub", "b"), undo("ua", "a")
    )
    assert statuses(record(store, redo("ra", "a"), redo("rb", "b"))) == ["accepted"] * 2
    assert current_class(store, ids[0]) == "dog"


def test_redo_of_a_replaced_label_clears_and_labels_again(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("old", ids[0], cat), annotator="bob")
    record(store, NewEvent("c", "clear", ids[0]), label("l", ids[0], dog))
    record(store, undo("ul", "l"), undo("uc", "c"))
    assert current_class(store, ids[0]) == "cat"
    assert statuses(record(store, redo("rc", "c"), redo("rl", "l"))) == ["accepted"] * 2
    assert current_class(store, ids[0]) == "dog"


def test_redo_pays_anew_and_only_for_ones_own(store: Store) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    record(store, label("a", ids[0], cat), undo("u", "a"))
    assert statuses(record(store, redo("x", "a"), annotator="bob")) == ["refused"]
    assert statuses(record(store, redo("y", "unknown"), redo("z", "u"))) == ["refused"] * 2
    with store.write() as unit:
        unit.budget.set_total(0)
    (told,) = record(store, redo("r", "a"))
    assert (told.status, told.reason) == ("refused", "budget")
    with store.write() as unit:
        unit.budget.set_total(1)
    assert statuses(record(store, redo("r2", "a"))) == ["accepted"]
    assert statuses(record(store, redo("r3", "r2"))) == ["duplicate"], "it is in force"
    assert spent(store) == 1.0


def test_only_ones_own_live_events_can_be_undone(store: Store) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    record(store, label("a", ids[0], cat))
    assert statuses(record(store, undo("x", "a"), annotator="bob")) == ["refused"]
    assert statuses(record(store, undo("u", "a"))) == ["accepted"]
    again = record(store, undo("u", "a"), undo("u2", "a"), undo("u3", "u"))
    assert statuses(again) == ["duplicate", "duplicate", "refused"]
    assert spent(store) == 0


def test_a_late_event_after_the_lease_is_lost(store: Store, clock: Clock) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    with store.write() as unit:
        unit.queue.claim("ann", "s", 1, 60, 1.0)
    clock.now += 61
    with store.write() as unit:
        assert unit.queue.claim("bob", "t", 1, 60, 1.0)[0].item_id == ids[0]
    assert statuses(record(store, label("late", ids[0], cat))) == ["accepted"]
    with store.read() as unit:
        assert unit.queue.counts().leased == 0
    theirs = record(store, label("b", ids[0], dog), annotator="bob", session="t")
    assert statuses(theirs) == ["second_opinion"]
    assert spent(store) == 1.0


def test_imported_labels_cost_nothing(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    with store.write() as unit:
        unit.budget.set_total(0)
        results = unit.labels.record("import", None, "import", [label("i", ids[0], cat)], 1.0)
    assert statuses(results) == ["accepted"]
    with store.read() as unit:
        now = unit.labels.current(ids[0])
        assert now is not None
        assert (now.source, now.strategy) == ("import", None)
    assert spent(store) == 0
    assert statuses(record(store, label("b", ids[1], dog))) == ["refused"]
    # An opinion on an imported label is kept, and is no label to pay for.
    assert statuses(record(store, label("c", ids[0], dog))) == ["second_opinion"]
    assert spent(store) == 0


def test_a_large_batch_spans_chunks(store: Store) -> None:
    ids = fill(store, items=1300)
    cat, dog = classes(store)
    events = [label(f"k{item_id}", item_id, cat if item_id % 2 else dog) for item_id in ids]
    events += [undo(f"u{item_id}", f"k{item_id}") for item_id in ids[::3]]
    assert set(statuses(record(store, *events))) == {"accepted"}
    left = len(ids) - len(ids[::3])
    assert counts(store).labelled == left
    assert spent(store) == left
    with store.read() as unit:
        assert sum(unit.labels.counts_by_class().values()) == left
        assert len(list(unit.labels.export(batch=100))) == left


def test_recent_and_rate(store: Store, clock: Clock) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    for number, item_id in enumerate(ids[:4]):
        clock.now += 5
        record(store, label(f"k{number}", item_id, cat), session=f"s{number % 2}")
    clock.now += 5
    record(store, label("bob", ids[5], cat), annotator="bob", session="t")
    record(store, undo("u", "k3"), session="s1")
    with store.read() as unit:
        assert [e.key for e in unit.labels.recent(limit=3)] == ["u", "bob", "k3"]
        assert [e.key for e in unit.labels.recent("ann", "s0")] == ["k2", "k0"]
        assert [e.key for e in unit.labels.recent(session="t")] == ["bob"]
        assert unit.labels.rate("ann", 0) == (3, 10.0)
        assert unit.labels.rate(None, clock.now - 1) == (1, 0.0)
        assert unit.labels.rate("nobody", 0) == (0, 0.0)
        assert unit.labels.events_count(clock.now - 14, "ann") == 1


def test_set_hash_is_of_images_and_class_names(store: Store, url: str) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat), label("b", ids[3], dog), label("c", ids[4], dog))
    with store.read() as unit:
        # The audit item ids[4] is not in it.
        assert unit.labels.set_hash() == (
            __import__("hashlib")
            .sha256(f"{0:064x}\tcat\ttrain\n{3:064x}\tdog\tvalid\n".encode())
            .hexdigest()
        )
        before = unit.labels.set_hash()
    record(store, undo("u", "a"))
    record(store, label("again", ids[0], cat), annotator="bob")
    with store.read() as unit:
        assert unit.labels.set_hash() == before


def test_export_names_everything(store: Store, clock: Clock) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    with store.write() as unit:
        started = unit.rounds.start("margin", 1, None, 0, 0)
        unit.queue.replace([NewQueueEntry(ids[1], "margin", 0.5)], started.id)
    record(store, label("a", ids[1], cat))
    with store.read() as unit:
        (row,) = unit.labels.export()
    assert (row.item_id, row.path, row.sha256) == (ids[1], "/images/0000001.jpg", f"{1:064x}")
    assert (row.class_name, row.annotator, row.at) == ("cat", "ann", clock.now)
    assert (row.strategy, row.split, row.source) == ("margin", "train", "page")
    assert (row.round_number, row.group) == (0, f"{1:064x}")


def test_a_correction_remembers_which_strategy_asked(store: Store) -> None:
    ids = fill(store)
    cat, dog = classes(store)
    record(store, label("a", ids[0], cat))
    with store.write() as unit:
        unit.queue.replace([NewQueueEntry(ids[5], "random", None)])
    record(store, label("b", ids[0], dog))
    with store.read() as unit:
        now = unit.labels.current(ids[0])
    assert now is not None
    assert now.strategy == "margin"


def test_renaming_a_class_while_labels_arrive(store: Store) -> None:
    ids = fill(store)
    cat, _ = classes(store)
    record(store, label("a", ids[0], cat))
    with store.write() as unit:
        renamed: ClassRecord = unit.classes.update(cat, name="Felis catus")
    assert renamed.name == "Felis catus"
    record(store, label("b", ids[1], cat))
    assert current_class(store, ids[0]) == current_class(store, ids[1]) == "Felis catus"


def test_new_items_and_labels_in_one_transaction(store: Store) -> None:
    fill(store, items=2)
    cat, _ = classes(store)
    with store.write() as unit:
        added: list[NewItem] = new_items(3, start=100)
        ids = unit.items.add(added)
        events = [
            label(item.sha256, item_id, cat) for item, item_id in zip(added, ids, strict=True)
        ]
        results = unit.labels.record("import", None, "import", events, 1.0)
    assert statuses(results) == ["accepted"] * 3
    assert counts(store) == Counts(5, 2, 3, 0, 0, 3, 0, 0)


def test_histories_are_those_of_each_item(store: Store) -> None:
    ids = fill(store, items=12)
    cat, dog = classes(store)
    record(store, *(label(f"a{i}", i, cat) for i in ids[:4]))
    record(store, undo("u", f"a{ids[1]}"), label("b", ids[0], dog))
    asked = [*ids[:6], *range(10_000, 11_000)]  # more than a statement takes at once
    with store.read() as unit:
        found = unit.labels.histories(asked)
        assert found == {i: unit.labels.history(i) for i in ids[:4]}
    assert [event.key for event in found[ids[1]]] == [f"a{ids[1]}", "u"]
