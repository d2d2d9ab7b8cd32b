"""Second opinions and the time that labels took."""

from __future__ import annotations

import dataclasses
import hashlib

from store.evidence import LONGEST_MS
from store.records import NewEvent
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, new_items, record, undo


def opinions(store: Store, seen: str | None = None) -> list[tuple[int, str, int]]:
    with store.read() as unit:
        items, names, classes = unit.evidence.second_opinions(seen)
    return sorted(zip(items.tolist(), names, classes.tolist(), strict=True))


def test_items_that_two_labelled_are_told_with_what_each_said_first(store: Store) -> None:
    ids = fill(store)
    cat, dog = class_id(store, "cat"), class_id(store, "dog")
    assert opinions(store) == []
    record(store, *(label(f"a{i}", i, cat) for i in ids[:4]))
    record(store, label("b0", ids[0], dog), label("b1", ids[1], cat), annotator="bob")
    # bob takes one back; ann changes her mind later: what counts is what she said unasked
    record(store, label("b2", ids[2], dog), undo("u2", "b2"), annotator="bob")
    record(store, label("a0b", ids[0], dog))
    assert opinions(store) == [
        (ids[0], "ann", cat),
        (ids[0], "bob", dog),
        (ids[1], "ann", cat),
        (ids[1], "bob", cat),
    ]


def test_a_correction_is_no_second_opinion(store: Store) -> None:
    ids = fill(store)
    cat, dog = class_id(store, "cat"), class_id(store, "dog")
    record(store, label("a", ids[0], cat))
    record(store, NewEvent("c", "clear", ids[0]), annotator="bob")
    record(store, label("b", ids[0], dog), annotator="bob")
    assert opinions(store) == []


def test_labels_of_those_who_saw_the_first_one_do_not_count(store: Store) -> None:
    ids = fill(store)
    cat, dog = class_id(store, "cat"), class_id(store, "dog")
    record(store, label("a0", ids[0], cat), label("a1", ids[1], cat))
    record(store, label("b1", ids[1], dog), annotator="bob")
    kept = [NewEvent(f"c{i}", "label", i, cat, reason="review: keep") for i in ids[:2]]
    record(store, *kept, annotator="carl")
    assert len(opinions(store)) == 5
    assert opinions(store, "review: ") == [(ids[1], "ann", cat), (ids[1], "bob", dog)]
    assert len(opinions(store, "100%_")) == 5, "the reason begins with these very letters"


def test_a_random_share_is_labelled_once_and_not_by_who_would_be_asked(store: Store) -> None:
    with store.write() as unit:
        unit.classes.add("cat", "1", "#336699", 0)
        items = [
            dataclasses.replace(one, sha256=hashlib.sha256(one.sha256.encode()).hexdigest())
            for one in new_items(2_000)
        ]
        ids = unit.items.add(items)
    cat = class_id(store, "cat")
    record(store, *(label(f"a{i}", i, cat) for i in ids[:1_900]))
    with store.write() as unit:
        unit.labels.record("file", None, "import", [label("i", ids[1_950], cat)], 0.0)

        def due(name: str, share: float, limit: int = 5_000) -> list[int]:
            return unit.evidence.labelled_once(name, share, limit)

        assert due("ann", 1.0) == []
        assert due("bob", 0.0) == []
        assert sorted(due("bob", 1.0)) == ids[:1_900]
        tenth, fifth = due("bob", 0.1), due("bob", 0.2)
        assert 150 < len(tenth) < 230
        assert set(tenth) < set(fifth)
        assert due("bob", 0.1, 3) == tenth[:3]
        unit.annotators.ensure("bob")
        assert due("bob", 0.1) == tenth
        assert due("carl", 0.1) != due("bob", 0.1), "each begins elsewhere"
        assert set(due("carl", 0.1)) == set(tenth)


def test_who_was_asked_a_second_time_is_not_asked_again(store: Store) -> None:
    ids = fill(store, items=5)
    cat = class_id(store, "cat")
    record(store, *(label(f"a{i}", i, cat) for i in ids))
    record(store, label("b0", ids[0], cat), label("b1", ids[1], cat), annotator="bob")
    record(store, undo("u", "b1"), NewEvent("s", "skip", ids[2]), annotator="bob")
    kept = NewEvent("k", "label", ids[3], cat, reason="review: keep")
    record(store, kept, annotator="carl")
    with store.read() as unit:
        due = unit.evidence.labelled_once
        assert sorted(due("bob", 1.0, 9, seen="review: ")) == [ids[1], ids[3], ids[4]]
        assert sorted(due("carl", 1.0, 9, seen="review: ")) == [ids[1], ids[2], ids[4]]
        assert sorted(due("dora", 1.0, 9, seen="review: ")) == [*ids[1:]]


def test_merged_classes_agree(store: Store) -> None:
    ids = fill(store, classes=("cat", "kitten", "dog"))
    cat, kitten = class_id(store, "cat"), class_id(store, "kitten")
    record(store, label("a", ids[0], cat))
    record(store, label("b", ids[0], kitten), annotator="bob")
    with store.write() as unit:
        unit.classes.update(kitten, archived=True, key=None, merged_into=cat)
    assert opinions(store) == [(ids[0], "ann", cat), (ids[0], "bob", cat)]


def test_time_is_summed_between_two_moments_and_breaks_are_cut(store: Store, clock: Clock) -> None:
    ids = fill(store)
    cat = class_id(store, "cat")
    start = clock.now
    for place, took in enumerate((1_500, 10 * LONGEST_MS, None, 700)):
        clock.now = start + place
        record(store, NewEvent(f"k{place}", "label", ids[place], cat, duration_ms=took))
    record(store, undo("u", "k3"))
    with store.write() as unit:
        imported = [NewEvent("i", "label", ids[5], cat, duration_ms=9)]
        unit.labels.record("file", None, "import", imported, 0.0)
        unit.labels.record("file", None, "cli", [label("f", ids[6], cat)], 1.0)
        script = NewEvent("s", "label", ids[7], cat)
        person = NewEvent("p", "label", ids[8], cat, duration_ms=400)
        unit.labels.record("bob", None, "api", [script], 1.0)
        assert unit.evidence.labelling_time(start - 1, clock.now) == (3, 2, 61.5)
        assert unit.evidence.labelling_time(start, clock.now) == (2, 1, 60.0)
        assert unit.evidence.labelling_time(clock.now, clock.now + 9) == (0, 0, 0.0)
        unit.labels.record("bob", None, "api", [person], 1.0)
        assert unit.evidence.labelling_time(start, clock.now) == (3, 2, 60.4)


def test_the_newest_event_tells_whether_anything_happened(store: Store) -> None:
    ids = fill(store)
    with store.read() as unit:
        assert unit.evidence.last_event() == 0
    record(store, label("a", ids[0], class_id(store, "cat")))
    with store.read() as unit:
        assert unit.evidence.last_event() > 0
