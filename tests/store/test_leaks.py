"""Hashes, links and regroupings: what moves, what is unused, and the way back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from store.errors import NotFound
from store.records import Counts, NewEvent, NewQueueEntry, Split
from store.records_leaks import GroupFacts, Joined, LinkRecord
from store.store import Store, Unit
from tests.store.build import Clock, class_id, fill, label, new_items, record


def splits(unit: Unit, ids: list[int]) -> list[Split]:
    found = unit.items.many(ids)
    return [found[i].split for i in ids]


def check_tallies(store: Store) -> None:
    """Compare the kept numbers with the rows."""
    with store.read() as unit:
        items = unit.items.page(limit=10_000)
        counts = unit.items.count()
        label_ids, class_ids, label_splits = unit.labels.arrays()
        by_split: dict[Split, dict[int, int]] = {
            split: unit.labels.counts_by_class(split)
            for split in ("train", "valid", "audit", "unused")
        }
        for split in ("train", "valid", "audit", "unused"):
            assert unit.items.page_count(split=split) == sum(i.split == split for i in items)
    labelled = [i for i in items if i.state == "labelled"]
    assert counts.labelled == len(labelled) == len(label_ids)
    for split, numbers in by_split.items():
        wanted: dict[int, int] = {}
        for class_id_, of in zip(class_ids.tolist(), label_splits, strict=True):
            if of == split:
                wanted[class_id_] = wanted.get(class_id_, 0) + 1
        assert numbers == wanted


def facts_of(unit: Unit, item: int) -> GroupFacts:
    return unit.leaks.groups([item])[item]


def join(unit: Unit, into: int, *others: int, run: int | None = None) -> int:
    """Put the groups of items into that of another; returns the regrouping."""
    number = unit.regroupings.start(0.25) if run is None else run
    keys = [facts_of(unit, other).key for other in others]
    unit.regroupings.join(number, [(facts_of(unit, into), keys)])
    return number


def undo(unit: Unit, run: int) -> int:
    """Take all of a regrouping back that can be; returns how many items."""
    return unit.regroupings.undo(run, list(unit.regroupings.standing(run)))


def test_hashes(store: Store) -> None:
    ids = fill(store, items=5)
    hashes = [bytes(range(n, n + 32)) for n in range(3)]
    with store.write() as unit:
        assert unit.leaks.unhashed().tolist() == ids
        unit.leaks.add_hashes([*zip(ids, hashes, strict=False), (ids[3], None)])
        found, words = unit.leaks.hashes()
        assert found.tolist() == ids[:3]
        assert words.shape == (3, 4)
        assert words.astype("<u8").tobytes() == b"".join(hashes)
        later, some = unit.leaks.hashes(after=ids[1])
        assert later.tolist() == [ids[2]]
        assert np.array_equal(some, words[2:])
        none, empty = unit.leaks.hashes(after=ids[2])
        assert (len(none), empty.shape) == (0, (0, 4))
        assert unit.leaks.looks(ids) == dict(zip(ids, hashes, strict=False))
        assert unit.leaks.unhashed().tolist() == ids[4:], "no contrast needs no second look"


def test_links_between_groups_wait_until_they_are_settled(store: Store) -> None:
    ids = fill(store, items=4)  # three of train, one of valid
    first = LinkRecord(ids[1], ids[0], "hash", 3.0)
    second = LinkRecord(ids[3], ids[2], "embedding", 0.1)
    third = LinkRecord(ids[2], ids[0], "mirror", 9.0)
    with store.write() as unit:
        unit.leaks.link([first, first, third], checked=False)
        unit.leaks.link([second], checked=True)
        assert unit.leaks.unchecked() == [first, third]
        # a pair that is known stays as it is
        unit.leaks.link([replace(first, distance=1.0)], checked=True)
        assert unit.leaks.unchecked() == [first, third]
        assert unit.leaks.count_links() == ({"hash": 1, "mirror": 1}, 1)
        assert unit.leaks.links_of([ids[0], ids[3]]) == [second, first, third]
        unit.leaks.settle([first])
        assert unit.leaks.unchecked() == [third]
        join(unit, ids[0], ids[3])
        wanted = {"hash": 1, "mirror": 1, "embedding": 1}
        assert unit.leaks.count_links() == (wanted, 0)


def test_what_is_in_no_split_leaks_nothing(store: Store) -> None:
    ids = fill(store, items=6)  # train train train valid audit train
    links = [LinkRecord(ids[4], ids[0], "hash", 1.0), LinkRecord(ids[5], ids[4], "hash", 1.0)]
    with store.write() as unit:
        unit.leaks.link(links, checked=False)
        assert unit.leaks.count_links() == ({}, 2)
        join(unit, ids[4], ids[5])
        assert splits(unit, [ids[5]]) == ["unused"]
        assert unit.leaks.count_links() == ({"hash": 1}, 1)


def test_links_within_a_group_need_no_look(store: Store) -> None:
    with store.write() as unit:
        one, other = new_items(2)
        ids = unit.items.add([one, replace(other, group=one.group)])
        unit.leaks.link([LinkRecord(ids[1], ids[0], "hash", 0.0)], checked=False)
        assert unit.leaks.unchecked() == []


def test_facts_of_groups(store: Store) -> None:
    made = [
        replace(item, group="burst" if n < 3 else item.group) for n, item in enumerate(new_items(5))
    ]
    made[0] = replace(made[0], split="unused")
    made[1] = replace(made[1], split="audit")
    made[2] = replace(made[2], split="audit")
    with store.write() as unit:
        ids = unit.items.add(made)
        found = unit.leaks.groups([ids[2], ids[4]])
        assert found[ids[2]] == GroupFacts("burst", ids[0], 3, "audit")
        assert found[ids[4]].size == 1
        assert unit.items.group_splits(["burst"]) == {"burst": "audit"}


def test_numbers_of_groups(store: Store) -> None:
    ids = fill(store, items=5)
    with store.write() as unit:
        join(unit, ids[0], ids[3])
        numbers = unit.leaks.group_numbers([ids[3], *ids]).tolist()
        assert numbers[0] == numbers[1] == numbers[4]
        assert len(set(numbers)) == 4
        assert min(numbers) >= 0
        assert unit.leaks.group_numbers([]).tolist() == []


def test_joining_moves_items_and_counts_what_it_did(store: Store, clock: Clock) -> None:
    ids = fill(store, items=10)  # splits by turn: 0-2 train, 3 valid, 4 audit, 5-7 train ...
    cat = class_id(store, "cat")
    record(store, label("a", ids[5], cat), label("b", ids[9], cat), label("c", ids[1], cat))
    with store.write() as unit:
        number = join(unit, ids[4], ids[5], ids[6])  # near an audit item: seen or not, unused
        join(unit, ids[0], ids[9], ids[1], run=number)  # an audit label becomes a training label
        wanted = "train train train valid audit unused unused train valid train"
        assert splits(unit, ids) == wanted.split()
        run = unit.regroupings.run(number)
        assert (run.joined, run.moved, run.unused, run.undone) == (4, 1, 2, 0)
        assert (run.at, run.distance) == (clock.now, 0.25)
        changes = unit.regroupings.changes(number)
        assert [one.item_id for one in changes] == [ids[5], ids[6], ids[9], ids[1]]
        assert [one.anchor_id for one in changes] == [ids[4], ids[4], ids[0], ids[0]]
        assert unit.labels.arrays(("train", "valid"))[0].tolist() == [ids[1], ids[9]]
        found = unit.items.ids(split=("train", "valid")).tolist()
        assert found == [ids[n] for n in (0, 1, 2, 3, 7, 8, 9)]
    check_tallies(store)


def test_what_becomes_unused_leaves_the_queue_unless_somebody_has_it(store: Store) -> None:
    ids = fill(store, items=10)
    with store.write() as unit:
        unit.queue.replace([NewQueueEntry(i, "margin", 0.5) for i in (ids[5], ids[6], ids[7])])
        unit.queue.claim("tab", "ann", 1, 60.0, 1.0)
    with store.write() as unit:
        join(unit, ids[4], ids[5], ids[6])
        assert [e.item_id for e in unit.queue.entries(10)] == [ids[5], ids[7]]
    # what somebody has is taken as ever, and counts for nothing
    record(store, label("x", ids[5], class_id(store, "cat")))
    with store.read() as unit:
        assert unit.items.count().labelled == 1
        assert unit.labels.arrays(("train", "valid", "audit"))[0].tolist() == []
        assert unit.items.count().askable == 8
    check_tallies(store)


def test_an_unused_item_trains_again_when_its_group_does(store: Store) -> None:
    ids = fill(store, items=6)
    record(store, label("a", ids[5], class_id(store, "cat")))
    with store.write() as unit:
        join(unit, ids[4], ids[5])
        assert splits(unit, ids[5:]) == ["unused"]
        join(unit, ids[0], ids[4])
        assert splits(unit, ids) == ["train", "train", "train", "valid", "train", "train"]
    check_tallies(store)


def test_taking_back(store: Store, clock: Clock) -> None:
    ids = fill(store, items=10)
    cat = class_id(store, "cat")
    record(store, label("a", ids[5], cat))
    with store.write() as unit:
        unit.queue.replace([])
        before = unit.items.many(ids)
        number = join(unit, ids[4], ids[5], ids[6])
        join(unit, ids[0], ids[1], ids[9], run=number)
        clock.now += 5
        assert unit.regroupings.standing(number) == {ids[0]: 2, ids[4]: 2}
        assert unit.regroupings.undo(number, [ids[4]]) == 2
        after = unit.items.many(ids)
        assert after[ids[5]] == before[ids[5]]
        assert after[ids[6]] == before[ids[6]]
        assert unit.regroupings.run(number).undone == 2
        assert unit.regroupings.undo(number, [ids[4]]) == 0
        assert unit.regroupings.standing(number) == {ids[0]: 2}
        groups = {item: facts_of(unit, item).key for item in ids}
        parted = set(unit.regroupings.partings())
        assert parted == {frozenset(groups[item] for item in ids[4:7])}
        with pytest.raises(NotFound, match="no regrouping with number 99"):
            unit.regroupings.standing(99)
    check_tallies(store)


def test_what_was_put_elsewhere_since_is_taken_back_when_that_is(store: Store) -> None:
    ids = fill(store, items=10)
    with store.write() as unit:
        unit.queue.replace([])
        before = unit.items.many(ids)
        first = join(unit, ids[3], ids[4], ids[9])
        join(unit, ids[2], ids[8], run=first)
        assert unit.regroupings.holder(first) is None
        second = join(unit, ids[0], ids[3])
        together = unit.items.many(ids)
        assert unit.regroupings.undo(first, [ids[3]]) == 0
        assert unit.items.many(ids) == together
        assert unit.regroupings.holder(first) == second
        assert unit.regroupings.holder(first, ids[2]) is None
        assert undo(unit, first) == 1, "the other group is in nobody's hands"
        assert unit.regroupings.run(first).undone == 1
        assert unit.regroupings.standing(first, ids[3]) == {ids[3]: 2}
        assert undo(unit, second) == 3
        assert unit.regroupings.holder(first) is None
        assert undo(unit, first) == 2
        assert unit.items.many(ids) == before
    check_tallies(store)


def test_an_audit_item_seen_in_training_in_between_never_measures_again(store: Store) -> None:
    ids = fill(store, items=10)
    with store.write() as unit:
        unit.queue.replace([])
        first = join(unit, ids[4], ids[9])  # of audit both
        second = join(unit, ids[0], ids[4])
    record(store, label("a", ids[9], class_id(store, "cat")))
    with store.write() as unit:
        assert undo(unit, second) == 2
        assert splits(unit, [ids[4], ids[9]]) == ["unused", "train"]
        assert undo(unit, first) == 1
        assert splits(unit, [ids[4], ids[9]]) == ["unused", "train"]
        assert facts_of(unit, ids[9]).size == 1
    check_tallies(store)


@pytest.mark.parametrize("how", ["labelled", "labelled and undone", "skipped", "queued"])
def test_what_left_the_audit_set_and_was_seen_never_measures_again(store: Store, how: str) -> None:
    made = [
        replace(one, group="patient", split="audit") if n in (2, 3) else one
        for n, one in enumerate(new_items(4))
    ]
    with store.write() as unit:
        unit.classes.add("cat", "1", "#336699", 0)
        ids = unit.items.add(made)
        number = join(unit, ids[0], ids[2])
        assert splits(unit, ids) == ["train"] * 4
        unit.queue.replace([NewQueueEntry(ids[2], "margin", 0.5)] if how == "queued" else [])
    if how.startswith("labelled"):
        record(store, label("a", ids[2], class_id(store, "cat")))
    if how.endswith("undone"):
        record(store, NewEvent("u", "undo", undoes="a"))
    if how == "skipped":
        record(store, NewEvent("s", "skip", ids[2]))
    with store.write() as unit:
        assert undo(unit, number) == 2
        found = unit.items.many(ids)
        assert {found[i].group for i in ids[2:]} == {"patient"}
        # the other of its patient measures no more either: no group lies in two splits
        assert [found[i].split for i in ids[2:]] == ["train", "unused"]
        assert unit.items.group_splits(["patient"]) == {"patient": "train"}
    check_tallies(store)


def test_what_an_import_joined_can_be_taken_back(store: Store) -> None:
    one, other = new_items(2)
    with store.write() as unit:
        ids = unit.items.add([one, replace(other, group=one.group, split="train")])
        number = unit.regroupings.start(0.25)
        unit.regroupings.joined(
            number, [Joined(ids[1], ids[0], other.group, one.group, "audit", "train")]
        )
        run = unit.regroupings.run(number)
        assert (run.job_id, run.joined, run.moved, run.unused) == (None, 1, 1, 0)
        assert undo(unit, number) == 1
        found = unit.items.many(ids)[ids[1]]
        assert (found.group, found.split) == (other.group, "audit")
    check_tallies(store)


def test_names_of_groups_are_followed(store: Store) -> None:
    ids = fill(store, items=4)
    with store.write() as unit:
        names = [unit.items.many([i])[i].group for i in ids]
        join(unit, ids[1], ids[2])
        two = join(unit, ids[0], ids[1])
        assert unit.leaks.renamed(names) == {names[1]: names[0], names[2]: names[0]}
        undo(unit, two)
        assert unit.leaks.renamed(names) == {names[2]: names[1]}
        assert len(unit.regroupings.runs()) == 2


def test_many_items_at_once(store: Store) -> None:
    ids = fill(store, items=1_300)
    with store.write() as unit:
        unit.queue.replace([])
        number = join(unit, ids[3], *ids[4:])
        joined = unit.regroupings.run(number)
        assert joined.joined == 1_296
        assert joined.moved > 1_000
        links = [LinkRecord(b, a, "hash", 1.0) for a, b in pairwise(ids)]
        unit.leaks.link(links, checked=True)
        assert len(unit.leaks.links_of(ids)) == 1_299
        unit.leaks.settle(links)
        assert len(unit.regroupings.changes(number, offset=1_290)) == 6
        assert undo(unit, number) == 1_296
    check_tallies(store)
    with store.read() as unit:
        assert unit.items.count() == Counts(1_300, 1_300, 0, 0, 0, 0, 0, 0)


def test_links_say_how_their_items_are_placed(store: Store) -> None:
    with store.write() as unit:
        one, two, three, four = unit.items.add(new_items(4))
        join(unit, one, two)
        links = [
            LinkRecord(two, one, "hash", 1),
            LinkRecord(three, one, "mirror", 2),
            LinkRecord(four, three, "embedding", 0.1),
        ]
        unit.leaks.link(links, checked=False)
        pairs, together, apart = unit.leaks.kinship()
        split = {i: unit.items.many([i])[i].split for i in (one, three, four)}
        placed = dict(
            zip(map(tuple, pairs.tolist()), zip(together, apart, strict=True), strict=True)
        )
        assert placed == {
            (two, one): (True, False),
            (three, one): (False, split[three] != split[one]),
            (four, three): (False, split[four] != split[three]),
        }
        assert sorted(unit.leaks.pairs().tolist()) == sorted(pairs.tolist())
        alike = [(item, others) for item, _, others in unit.leaks.alike()]
        assert alike == [(one, []), (two, [one]), (three, [one])]
        assert [item for item, _, _ in unit.leaks.alike(two)] == [one, three]
