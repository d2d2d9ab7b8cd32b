"""Paths: what each was last seen to hold, and the names of an item."""

from __future__ import annotations

from dataclasses import replace

from store.records import KnownPath, Stamp
from store.store import Store
from tests.store.build import fill, new_items

STAMP = Stamp(1_000, 1_700_000_000_123_456_789, 1_700_000_001_000_000_001)


def test_a_path_holds_what_was_seen_last(store: Store) -> None:
    first, second, third = fill(store, items=3)
    with store.write() as unit:
        unit.paths.note([KnownPath("/a", first, STAMP), KnownPath("/b", first, None)])
        unit.paths.note([KnownPath("/a", second, STAMP), KnownPath("/a", third, STAMP)])
    with store.read() as unit:
        assert unit.paths.many(["/a", "/b", "/none"]) == {
            "/a": KnownPath("/a", third, STAMP),
            "/b": KnownPath("/b", first, None),
        }
        assert unit.paths.of_items([first, second, third]) == {
            first: [KnownPath("/b", first, None)],
            third: [KnownPath("/a", third, STAMP)],
        }


def test_an_item_is_found_by_what_its_path_holds_now(store: Store) -> None:
    kept, lost = new_items(2)
    with store.write() as unit:
        ids = unit.items.add([kept, lost])
        assert unit.paths.holders([kept.path, lost.path, "/x"]) == {
            kept.path: ids[0],
            lost.path: ids[1],
        }
        unit.paths.note([KnownPath(lost.path, ids[0], STAMP), KnownPath("/second", ids[0], STAMP)])
    with store.read() as unit:
        found = unit.items.by_path(lost.path)
        assert found is not None
        assert found.id == ids[0]
        wanted = [kept.path, lost.path, "/second"]
        assert unit.paths.holders(wanted) == dict.fromkeys(wanted, ids[0])
        assert unit.paths.owners(wanted) == {ids[0]: kept.path, ids[1]: lost.path}


def test_a_path_may_hold_bytes_that_were_never_imported(store: Store) -> None:
    item = new_items(1)[0]
    with store.write() as unit:
        unit.items.add([item])
        unit.paths.note([KnownPath(item.path, None, STAMP)])
    with store.read() as unit:
        assert unit.items.by_path(item.path) is None
        assert unit.paths.holders([item.path]) == {}
        assert list(unit.paths.stream()) == []


def test_every_name_of_every_item(store: Store) -> None:
    old, seen, twice = new_items(3)
    with store.write() as unit:
        ids = unit.items.add([old, seen, replace(twice, path=old.path)])
        unit.paths.note([KnownPath(seen.path, ids[1], STAMP), KnownPath("/more", ids[1], None)])
    with store.read() as unit:
        names = [pair for part in unit.paths.stream(batch=2) for pair in part]
    assert sorted(names[:2]) == sorted([(seen.path, ids[1]), ("/more", ids[1])])
    assert names[2:] == [(old.path, ids[0]), (old.path, ids[2])]  # the newest comes last


def test_more_paths_than_parameters_in_a_statement(store: Store) -> None:
    ids = fill(store, items=2)
    paths = [KnownPath(f"/{number}", ids[number % 2], STAMP) for number in range(3_000)]
    with store.write() as unit:
        unit.paths.note(paths)
        unit.paths.note(paths[:1_000])
    with store.read() as unit:
        assert len(unit.paths.many([one.path for one in paths])) == 3_000
        assert sum(map(len, unit.paths.stream(batch=700))) == 3_000 + 2  # and what items have
