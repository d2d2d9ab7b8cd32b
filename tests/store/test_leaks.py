"""Hashes, links and regroupings: what moves, what is unused, and the way back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from store.errors import Conflict, NotFound
from store.records import Counts, NewEvent, Split
from store.records_leaks import GroupFacts, LinkRecord, Regroup
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


def test_hashes(store: Store) -> None:
    ids = fill(store, items=4)
    hashes = [bytes(range(n, n + 32)) for n in range(3)]
    with store.write() as unit:
        unit.leaks.add_hashes(list(zip(ids, hashes, strict=False)))
        found, words = unit.leaks.hashes()
        assert found.tolist() == ids[:3]
        assert words.shape == (3, 4)
        assert words.astype("<u8").tobytes() == b"".join(hashes)
        later, some = unit.leaks.hashes(after=ids[1])
        assert later.tolist() == [ids[2]]
        assert np.array_equal(some, words[2:])
        none, empty = unit.leaks.hashes(after=ids[3])
        assert (len(none), empty.shape) == (0, (0, 4))


def test_links_between_groups_are_seen_once(store: Store) -> None:
    ids = fill(store, items=4)
    first = LinkRecord(ids[1], ids[0], "hash", 3.0)
    second = LinkRecord(ids[3], ids[2], "embedding", 0.1)
    with store.write() as unit:
        unit.leaks.link([first, first], checked=False)
        unit.leaks.link([second], checked=True)
        assert unit.leaks.unchecked() == [first]
        # a pair that is known stays as it is
        unit.leaks.link([replace(first, distance=1.0)], checked=True)
        assert unit.leaks.unchecked() == [first]
        assert unit.leaks.count_links() == {"hash": 1, "embedding": 1}
        assert unit.leaks.links_of([ids[0], ids[3]]) == [second, first]
        unit.leaks.check_all()
        assert unit.leaks.unchecked() == []


def test_links_within_a_group_need_no_check(store: Store) -> None:
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
        assert unit.leaks.members(["burst"]) == {"burst": ids[:3]}
        assert unit.items.group_splits(["burst"]) == {"burst": "audit"}


def test_regrouping_moves_items_and_counts_what_it_did(store: Store, clock: Clock) -> None:
    ids = fill(store, items=10)  # splits by turn: 0-2 train, 3 valid, 4 audit, 5-7 train ...
    cat = class_id(store, "cat")
    record(store, label("a", ids[0], cat), label("b", ids[4], cat), label("c", ids[1], cat))
    with store.write() as unit:
        unit.queue.replace([])
        number = unit.regroupings.start(0.25, 2)
        unit.regroupings.regroup(
            number,
            [
                Regroup(ids[0], "g", "audit"),  # labelled: seen, so unused
                Regroup(ids[2], "g", "audit"),  # nobody looked at it
                Regroup(ids[4], "h", "train"),  # an audit label becomes a training label
                Regroup(ids[1], "h", "train"),  # joins, in the same split
            ],
        )
        assert splits(unit, ids[:5]) == ["unused", "train", "audit", "valid", "train"]
        run = unit.regroupings.run(number)
        assert (run.joined, run.moved, run.unused, run.apart) == (4, 2, 1, 2)
        assert (run.at, run.distance, run.undone_at) == (clock.now, 0.25, None)
        # the same once more changes nothing
        unit.regroupings.regroup(number, [Regroup(ids[2], "g", "audit")])
        assert unit.regroupings.run(number) == run
        assert [one.item_id for one in unit.regroupings.changes(number)] == [
            ids[0],
            ids[2],
            ids[4],
            ids[1],
        ]
        assert unit.labels.arrays(("train", "valid"))[0].tolist() == [ids[1], ids[4]]
        assert unit.items.ids(split=("train", "valid")).tolist() == [
            i for i in ids if i not in (ids[0], ids[2], ids[9])
        ]
    check_tallies(store)


def test_what_waits_in_the_queue_or_was_skipped_is_seen(store: Store) -> None:
    ids = fill(store, items=5)
    record(store, NewEvent("s", "skip", ids[1]))
    with store.write() as unit:
        number = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(number, [Regroup(i, "g", "audit") for i in ids])
        assert splits(unit, ids) == ["unused"] * 4 + ["audit"]
    check_tallies(store)


def test_an_unused_item_trains_again_when_its_group_does(store: Store) -> None:
    ids = fill(store, items=2)
    record(store, label("a", ids[0], class_id(store, "cat")))
    with store.write() as unit:
        number = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(number, [Regroup(ids[0], "g", "audit")])
        later = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(later, [Regroup(ids[0], "h", "train")])
        assert splits(unit, ids[:1]) == ["train"]
    check_tallies(store)


def test_taking_back(store: Store, clock: Clock) -> None:
    ids = fill(store, items=10)
    cat = class_id(store, "cat")
    record(store, label("a", ids[0], cat), label("b", ids[4], cat))
    with store.write() as unit:
        unit.queue.replace([])
        before = unit.items.many(ids)
        number = unit.regroupings.start(0.25, 0)
        changes = [Regroup(ids[0], "g", "audit"), Regroup(ids[1], "g", "audit")]
        changes += [Regroup(ids[4], "h", "train"), Regroup(ids[9], "h", "train")]
        unit.regroupings.regroup(number, changes)
        # somebody regroups one of them again
        later = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(later, [Regroup(ids[9], "i", "valid")])
        clock.now += 5
        assert unit.regroupings.undo(number) == 3
        after = unit.items.many(ids)
        assert after[ids[0]] == before[ids[0]]
        assert after[ids[1]] == before[ids[1]]
        # its label may have been trained on: it keeps its split, not its group
        assert (after[ids[4]].split, after[ids[4]].group) == ("train", before[ids[4]].group)
        assert (after[ids[9]].split, after[ids[9]].group) == ("valid", "i")
        assert unit.regroupings.run(number).undone_at == clock.now
        assert set(unit.regroupings.declined()) == {number}
        assert unit.regroupings.declined()[number][ids[0]] == "g"
        with pytest.raises(Conflict, match="taken back already"):
            unit.regroupings.undo(number)
        with pytest.raises(NotFound, match="no regrouping with number 99"):
            unit.regroupings.undo(99)
    check_tallies(store)


def test_names_of_groups_are_followed(store: Store) -> None:
    ids = fill(store, items=4)
    with store.write() as unit:
        names = [unit.items.many([i])[i].group for i in ids]
        one = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(one, [Regroup(ids[1], names[0], "train")])
        two = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(two, [Regroup(i, "z", "train") for i in ids[:2]])
        assert unit.leaks.renamed(names) == {names[0]: "z", names[1]: "z"}
        unit.regroupings.undo(two)
        assert unit.leaks.renamed(names) == {names[1]: names[0]}
        assert [run.id for run in unit.regroupings.runs()] == [two, one]


def test_many_items_at_once(store: Store) -> None:
    ids = fill(store, items=1_300)
    with store.write() as unit:
        unit.queue.replace([])
        number = unit.regroupings.start(0.25, 0)
        unit.regroupings.regroup(number, [Regroup(i, "all", "valid") for i in ids])
        assert unit.regroupings.run(number).joined == 1_300
        unit.leaks.link(
            [LinkRecord(b, a, "hash", 1.0) for a, b in pairwise(ids)],
            checked=True,
        )
        assert len(unit.leaks.links_of(ids)) == 1_299
        assert len(unit.regroupings.changes(number, offset=1_290)) == 10
        assert unit.regroupings.undo(number) == 1_300
    check_tallies(store)
    with store.read() as unit:
        assert unit.items.count() == Counts(1_300, 1_300, 0, 0, 0, 0, 0, 0)
