"""Items: one per image, listed by page, counted without looking at rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from store.records import Counts, NewEvent
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, new_items, record


def test_the_hash_is_the_identity(store: Store, clock: Clock) -> None:
    first = new_items(3)
    moved = replace(first[1], path="/elsewhere.jpg", split="audit")
    with store.write() as unit:
        ids = unit.items.add([*first, first[0], moved])
        assert ids == [ids[0], ids[1], ids[2], ids[0], ids[1]]
        assert unit.items.add(first) == ids[:3]
        item = unit.items.get(ids[1])
        assert item is not None
        assert (item.path, item.split, item.added_at) == (first[1].path, "train", clock.now)
        assert (item.group, item.bytes, item.state) == (first[1].group, 1001, "unlabelled")
        assert unit.items.count() == Counts(3, 3, 0, 0, 0, 0, 0, 0)
        assert unit.items.known([first[2].sha256, "f" * 64]) == {first[2].sha256: ids[2]}
        assert unit.items.by_hash(first[0].sha256) == unit.items.get(ids[0])
        assert unit.items.by_hash("f" * 64) is None
        assert unit.items.by_path(first[2].path) == unit.items.get(ids[2])
        assert unit.items.by_path("/nowhere") is None
        assert unit.items.get(10_000) is None


def test_the_newest_item_of_a_path(store: Store) -> None:
    first, second = new_items(2)
    with store.write() as unit:
        ids = unit.items.add([first, replace(second, path=first.path)])
        found = unit.items.by_path(first.path)
        unit.items.relocate(ids[0], "images/a.jpg", True)
        moved = unit.items.get(ids[0])
    assert found is not None
    assert found.id == ids[1]
    assert moved is not None
    assert (moved.path, moved.copied) == ("images/a.jpg", True)


def test_more_items_than_parameters_in_a_statement(store: Store) -> None:
    items = new_items(3_000)
    unknown = [f"{number:064x}" for number in range(3_000, 70_000)]
    with store.write() as unit:
        ids = unit.items.add(items)
        assert ids == sorted(set(ids))
        assert len(unit.items.known([item.sha256 for item in items] + unknown)) == 3_000
        many = unit.items.many([*ids, *range(10**9, 10**9 + 67_000)])
        assert list(many) == ids
        assert many[ids[777]].sha256 == items[777].sha256
        assert unit.items.max_id() == ids[-1]
        parts = list(unit.items.stream(batch=1_700, after_id=ids[4]))
        assert [len(part) for part in parts] == [1_700, 1_295]
        assert [item.id for part in parts for item in part] == ids[5:]


def test_ids(store: Store) -> None:
    ids = fill(store, items=20)
    cat = class_id(store, "cat")
    record(store, label("a", ids[3], cat), NewEvent("b", "flag", ids[4]))
    with store.write() as unit:
        unit.queue.claim("ann", "s", 1, 60, 1.0)
    with store.read() as unit:
        everything = unit.items.ids()
        assert everything.dtype == np.int64
        assert everything.tolist() == ids
        assert unit.items.ids("labelled").tolist() == [ids[3]]
        assert unit.items.ids(["labelled", "flagged"]).tolist() == ids[3:5]
        assert unit.items.ids(split="audit").tolist() == ids[4::5]
        assert unit.items.ids("unlabelled", {"valid", "audit"}).tolist() == sorted(
            set(ids[3::5] + ids[4::5]) - set(ids[3:5])
        )
        # Done places are no reason to leave an item out; waiting ones are.
        assert unit.items.ids(exclude_queue=True).tolist() == ids[3:5]


@pytest.mark.parametrize("order", ["newest", "oldest", "path"])
def test_pages_by_offset_and_by_mark_agree(store: Store, order: str) -> None:
    fill(store, items=25)
    with store.read() as unit:
        by_offset = [
            unit.items.page(order=order, offset=offset, limit=10)  # type: ignore[arg-type]
            for offset in (0, 10, 20, 30)
        ]
        assert [len(page) for page in by_offset] == [10, 10, 5, 0]
        listed = [item for page in by_offset for item in page]
        key = (lambda item: item.path) if order == "path" else (lambda item: item.id)
        assert listed == sorted(listed, key=key, reverse=order == "newest")
        by_mark, after = [], None
        while part := unit.items.page(order=order, after=after, limit=10):  # type: ignore[arg-type]
            by_mark.extend(part)
            after = part[-1].id
        assert by_mark == listed
        assert unit.items.page_count() == 25


def test_pages_are_filtered(store: Store) -> None:
    ids = fill(store, items=30)
    cat, dog = class_id(store, "cat"), class_id(store, "dog")
    record(store, *[label(f"k{i}", item_id, cat) for i, item_id in enumerate(ids[:8])])
    record(store, label("d", ids[8], dog), NewEvent("s", "skip", ids[9]))

    def listed(**filters: object) -> list[int]:
        with store.read() as unit:
            found = [item.id for item in unit.items.page(order="oldest", **filters)]  # type: ignore[arg-type]
            assert unit.items.page_count(**filters) == len(found)  # type: ignore[arg-type]
        return found

    assert listed(class_id=cat) == ids[:8]
    assert listed(class_id=cat, split="audit") == [ids[4]]
    assert listed(class_id=dog, state="labelled") == [ids[8]]
    assert listed(class_id=cat, text="7.jpg") == [ids[7]]
    assert listed(state="skipped") == [ids[9]]
    assert listed(state="unlabelled", split="valid") == ids[13::5]
    assert listed(text="/000002") == ids[20:30]
    assert listed(text="IMAGES/0000003.J") == [ids[3]]
    assert listed(text="0_0000") == listed(text="%") == []


def test_counts_follow_states(store: Store) -> None:
    ids = fill(store, items=10)
    cat = class_id(store, "cat")
    record(store, *[label(f"k{i}", i, cat) for i in ids[:5]], NewEvent("s", "skip", ids[5]))
    record(store, NewEvent("f", "flag", ids[6]), NewEvent("c", "clear", ids[0]))
    with store.read() as unit:
        assert unit.items.count() == Counts(10, 4, 4, 1, 1, 2, 1, 1)
