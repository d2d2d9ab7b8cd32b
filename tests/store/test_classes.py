"""Classes: unique names and keys, and merges that can be taken back."""

from __future__ import annotations

import pytest

from store.errors import Conflict, NotFound, StoreError
from store.store import Store


def test_add_and_list(store: Store) -> None:
    with store.write() as unit:
        dog = unit.classes.add("dog", "2", "#222222", 1)
        cat = unit.classes.add("cat", "1", "#111111", 0)
        old = unit.classes.add("old", None, "#333333", 2)
        unit.classes.update(old.id, archived=True)
    with store.read() as unit:
        assert unit.classes.all() == [cat, dog]
        assert [one.name for one in unit.classes.all(archived=True)] == ["cat", "dog", "old"]
        assert unit.classes.get(old.id).archived
        assert unit.classes.by_name("dog") == dog
        assert unit.classes.by_name("old") is None
        with pytest.raises(NotFound, match="no class with number 99"):
            unit.classes.get(99)
        with pytest.raises(NotFound):
            unit.classes.resolve(99)


def test_names_and_keys_are_unique_among_the_unarchived(store: Store) -> None:
    with store.write() as unit:
        cat = unit.classes.add("cat", "1", "#111111", 0)
        dog = unit.classes.add("dog", "2", "#222222", 1)
        assert unit.classes.add("Cat", None, "#111111", 2).name == "Cat"
        assert unit.classes.add("bird", None, "#111111", 3).key is None
        with pytest.raises(Conflict, match="There is a class cat already"):
            unit.classes.add("cat", "3", "#111111", 4)
        with pytest.raises(Conflict, match="key 1 is taken by class cat"):
            unit.classes.add("fox", "1", "#111111", 4)
        with pytest.raises(Conflict, match="class dog"):
            unit.classes.update(cat.id, name="dog")
        unit.classes.update(dog.id, archived=True)
        assert unit.classes.update(cat.id, name="dog", key="2").key == "2"
        with pytest.raises(Conflict, match="class dog"):
            unit.classes.update(dog.id, archived=False)
        assert unit.classes.update(dog.id, archived=False, name="hound", key=None).name == "hound"


def test_merges_are_followed_and_cannot_go_round(store: Store) -> None:
    with store.write() as unit:
        a, b, c = (unit.classes.add(name, None, "#111111", 0).id for name in "abc")
        unit.classes.update(a, merged_into=b, archived=True)
        unit.classes.update(b, merged_into=c, archived=True)
        assert unit.classes.resolve(a) == unit.classes.resolve(b) == c
        assert unit.classes.targets() == {a: c, b: c, c: c}
        assert sorted(unit.classes.members(c)) == [a, b, c]
        assert unit.classes.members(a) == []
        with pytest.raises(Conflict, match="cannot be merged into itself"):
            unit.classes.update(c, merged_into=a)
        with pytest.raises(Conflict, match="cannot be merged into itself"):
            unit.classes.update(c, merged_into=c)
        with pytest.raises(NotFound):
            unit.classes.update(c, merged_into=99)
        unit.classes.update(b, merged_into=None, archived=False)
        assert unit.classes.targets() == {a: b, b: b, c: c}


def test_unknown_fields_are_refused(store: Store) -> None:
    with store.write() as unit:
        one = unit.classes.add("cat", "1", "#111111", 0)
        with pytest.raises(StoreError, match="A class has no hotkey"):
            unit.classes.update(one.id, hotkey="2")
        assert unit.classes.update(one.id, colour="#abcdef", position=7).position == 7
        assert unit.classes.update(one.id) == unit.classes.get(one.id)


def _add_unchecked(store: Store) -> None:
    with store.write() as unit:
        unit.classes._check_free = lambda *_: None  # type: ignore[method-assign]
        unit.classes.add("cat", "2", "#111111", 0)


def test_the_database_repeats_the_check(store: Store) -> None:
    """On PostgreSQL two transactions can both have looked before one of them adds."""
    with store.write() as unit:
        unit.classes.add("cat", "1", "#111111", 0)
    with pytest.raises(Conflict, match=r"(?i)unique.*Look again at the rows"):
        _add_unchecked(store)
    with store.read() as unit:
        assert [one.key for one in unit.classes.all()] == ["1"]
