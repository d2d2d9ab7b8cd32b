"""Groups and splits that a person says, for whole groups at once."""

from __future__ import annotations

from store.records import Counts, Split
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, record


def test_a_whole_group_gets_another_name_and_split(store: Store, clock: Clock) -> None:
    ids = fill(store, items=5)  # train, train, train, valid, audit; all of them in the queue
    cat = class_id(store, "cat")
    record(store, label("a", ids[0], cat), label("b", ids[4], cat))
    with store.write() as unit:
        items = unit.items.many(ids)
        groups = [items[item_id].group for item_id in ids]
        assert (
            unit.regroupings.assign({groups[1]: ("pair", "train"), groups[2]: ("pair", "train")})
            == 2
        )
        assert [one.id for one in unit.items.of_groups(["pair"])["pair"]] == ids[1:3]
        moves: dict[str, tuple[str, Split]] = {
            groups[0]: (groups[0], "audit"),
            "pair": ("p", "audit"),
            groups[4]: ("q", "train"),
        }
        assert unit.regroupings.assign(moves) == 4
        assert unit.regroupings.assign({groups[3]: (groups[3], "valid")}) == 0
        assert unit.regroupings.assign({"none": ("p", "train")}) == 0
        after = unit.items.many(ids)
    assert [(one.group, one.split) for one in map(after.__getitem__, ids)] == [
        (groups[0], "audit"),
        ("p", "audit"),
        ("p", "audit"),
        (groups[3], "valid"),
        ("q", "train"),
    ]
    with store.read() as unit:
        assert unit.items.splits() == {"train": 1, "valid": 1, "audit": 3}
        assert unit.labels.counts_by_class("audit") == {cat: 1}
        assert unit.labels.counts_by_class("train") == {cat: 1}
        assert unit.items.count() == Counts(5, 3, 2, 0, 0, 1, 0, 1)
        assert unit.labels.times(ids) == dict.fromkeys([ids[0], ids[4]], clock.now)
        waiting = {one.item_id for one in unit.queue.entries(10) if one.state == "waiting"}
    assert waiting == {ids[3]}


def test_who_is_labelling_keeps_the_place(store: Store) -> None:
    ids = fill(store, items=3)
    with store.write() as unit:
        (mine,) = unit.queue.claim("ann", "s", 1, 60.0, 1.0)
        assert unit.queue.held(ids) == {mine.item_id}
        group = unit.items.many(ids)[mine.item_id].group
        unit.regroupings.assign({group: (group, "unused")})
        assert unit.queue.held(ids) == {mine.item_id}
