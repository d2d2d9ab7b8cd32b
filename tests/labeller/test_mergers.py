"""Groups become one, unless they grow too large or a person took them apart."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from labeller.services.mergers import LARGE, merged, most_together, split_beside
from store.records import Split
from store.records_leaks import GroupFacts, LinkMethod, LinkRecord

ROOM: dict[Split, int] = {"train": 1000, "valid": 1000, "audit": 1000, "unused": 1000}


def link(item: int, other: int, method: LinkMethod = "embedding") -> LinkRecord:
    return LinkRecord(max(item, other), min(item, other), method, 0.1)


def of(*splits: Split, size: int = 30) -> dict[int, GroupFacts]:
    """Return groups of these splits, the oldest first."""
    return {i: GroupFacts(f"g{i}", i, size, split) for i, split in enumerate(splits, 1)}


def test_the_oldest_group_takes_up_the_others() -> None:
    a = GroupFacts("a", 5, 2, "audit")
    b = GroupFacts("b", 3, 1, "train")
    c = GroupFacts("c", 9, 4, "valid")
    d = GroupFacts("d", 1, 1, "train")
    groups = {5: a, 6: a, 3: b, 9: c, 1: d}
    found = merged([link(6, 9), link(5, 3), link(9, 3)], groups, 50, ROOM)
    (merger,) = found.mergers
    assert merger.into == b
    assert merger.others == (a, c)
    assert merger.links == (link(6, 9), link(5, 3))
    assert found.left == ()


def test_a_group_that_would_grow_too_large_is_left_apart() -> None:
    groups = {i: GroupFacts(f"g{i}", i, 4, "train") for i in range(1, 5)}
    found = merged([link(2, 1), link(3, 2), link(4, 3)], groups, 8, ROOM)
    assert [(m.into.key, [o.key for o in m.others]) for m in found.mergers] == [
        ("g1", ["g2"]),
        ("g3", ["g4"]),
    ]
    assert found.left == (link(3, 2),)


def test_what_a_person_took_apart_is_brought_together_by_no_chain() -> None:
    groups = {i: GroupFacts(f"g{i}", i, 1, "train") for i in range(1, 5)}
    chain = [link(3, 1), link(3, 2), link(4, 2)]
    found = merged([link(2, 1), *chain], groups, 50, ROOM, [{"g1", "g2"}])
    assert [(m.into.key, [o.key for o in m.others]) for m in found.mergers] == [
        ("g1", ["g3"]),
        ("g2", ["g4"]),
    ]
    assert found.left == (link(3, 2),), "the person's own pair is no news"
    (merger,) = merged([*chain, link(4, 1)], groups, 50, ROOM, [{"g1", "g5"}]).mergers
    assert len(merger.others) == 3, "a parting of others says nothing"


def test_what_looks_the_same_without_room_follows_in_the_split() -> None:
    groups = of("valid", "audit", "train", "valid", "unused")
    chain = [link(i + 1, i, "hash") for i in range(1, 5)]
    found = merged(chain, groups, 50, ROOM)
    assert [(m.into.key, m.others, m.follows) for m in found.mergers] == [
        ("g2", (), groups[1]),
        ("g3", (), groups[1]),
    ]
    assert found.left == tuple(chain), "to be looked at again"
    assert found.apart == 0
    for some in ([link(2, 1)], [link(3, 2, "mirror"), link(2, 1)]):
        assert merged(some, groups, 50, ROOM).apart == 1, "chains of embeddings swallow no split"


def test_what_looks_the_same_follows_while_the_split_has_room() -> None:
    groups = of("train", "valid", "audit", "valid")
    chain = [link(i, 1, "hash") for i in range(2, 5)]
    found = merged(chain, groups, 50, {**ROOM, "train": 60})
    assert [m.into.key for m in found.mergers] == ["g2", "g3"], "the oldest first"
    assert found.apart == 1


def test_beside_the_audit_set_there_is_no_split() -> None:
    groups = of("audit", "train")
    found = merged([link(2, 1, "mirror")], groups, 50, ROOM)
    (merger,) = found.mergers
    assert (merger.into, merger.follows) == (groups[2], groups[1])
    assert found.apart == 0
    assert split_beside("audit") == "unused"
    assert split_beside("valid") == "valid"


def test_groups_become_one_and_follow_at_once() -> None:
    groups = of("train", "valid", "audit", size=20)
    groups[4] = GroupFacts("g4", 4, 5, "valid")
    links = [link(3, 2, "hash"), link(4, 3), link(2, 1, "hash")]
    (merger,) = merged(links, groups, 45, ROOM).mergers
    assert (merger.into.key, [one.key for one in merger.others]) == ("g2", ["g3", "g4"])
    assert merger.follows == groups[1]
    assert merger.links == tuple(links[:2]), "a link to what it follows is not settled"


def test_what_a_person_took_apart_does_not_follow() -> None:
    groups = of("train", "valid", "valid")
    found = merged([link(3, 1, "hash"), link(3, 2, "hash")], groups, 50, ROOM, [{"g1", "g2"}])
    assert [(m.into.key, m.follows) for m in found.mergers] == [("g3", groups[1])]
    assert found.apart == 1


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=12),
    pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30),
    most=st.integers(1, 20),
    partings=st.lists(st.sets(st.integers(0, 11), min_size=2, max_size=4), max_size=3),
)
def test_mergers_hold_their_promises(
    sizes: list[int], pairs: list[tuple[int, int]], most: int, partings: list[set[int]]
) -> None:
    n = len(sizes)
    groups = {i + 1: GroupFacts(f"g{i}", i + 1, size, "train") for i, size in enumerate(sizes)}
    links = [link(i % n + 1, j % n + 1) for i, j in pairs if i % n != j % n]
    keys = [{f"g{i}" for i in parting} for parting in partings]
    found = merged(links, groups, most, ROOM, keys)
    home = {key: key for key in (g.key for g in groups.values())}
    for merger in found.mergers:
        assert merger.into.size + sum(o.size for o in merger.others) <= most
        assert merger.into.oldest < min(o.oldest for o in merger.others)
        assert len(merger.links) == len(merger.others)
        for other in merger.others:
            assert home[other.key] == other.key, "a group goes into one other"
            home[other.key] = merger.into.key
    for parting in keys:
        homes = [home[key] for key in parting if key in home]
        assert len(homes) == len(set(homes)), "nobody brings together what a person took apart"
    apart = set(found.left)
    left = {frozenset(home[groups[i].key] for i in (one.item_id, one.other_id)) for one in apart}
    assert len(left) == len(apart), "two groups are left apart once"
    for one in links:
        ends = frozenset(groups[i].key for i in (one.item_id, one.other_id))
        said = any(ends <= parting for parting in keys)
        both = frozenset(home[key] for key in ends)
        assert len(both) == 1 or both in left or said


def test_most_together() -> None:
    assert most_together(100) == LARGE
    assert most_together(1_000_000) == 20_000
