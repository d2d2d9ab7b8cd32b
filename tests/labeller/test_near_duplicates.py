from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labeller.services import near_duplicates
from labeller.services.near_duplicates import (
    LARGE,
    close_hashes,
    close_pairs,
    merged,
    most_together,
)
from store.records_leaks import GroupFacts, LinkRecord


def units(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float32]:
    """Draw vectors of length one, every third close to another."""
    made = rng.normal(size=(n, d))
    for row in range(2, n, 3):
        made[row] = made[rng.integers(row)] + rng.normal(0, 0.02, d)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def brute(
    vectors: NDArray[np.float32], distance: float, new: NDArray[np.bool_]
) -> dict[tuple[int, int], float]:
    exact = vectors.astype(np.float64)
    return {
        (i, j): far
        for i in range(len(exact))
        for j in range(i)
        if (new[i] or new[j]) and (far := float(np.linalg.norm(exact[i] - exact[j]))) <= distance
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
def test_close_pairs_against_brute_force(
    seed: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "BLOCK", 16)
    monkeypatch.setattr(near_duplicates, "MEASURED", 7)
    rng = np.random.default_rng(seed)
    vectors = units(rng, 150, 48)
    new = rng.random(150) < share
    wanted = brute(vectors, 0.3, new)
    found = close_pairs(lambda rows: vectors[rows], 150, 0.3, new)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == set(wanted)
    assert found.distance.tolist() == sorted(found.distance.tolist())
    assert found.distance == pytest.approx([wanted[pair] for pair in pairs], abs=1e-6)


def test_what_was_compared_is_not_compared_again() -> None:
    vectors = units(np.random.default_rng(0), 60, 8)
    assert len(close_pairs(lambda rows: vectors[rows], 60, 2.0, np.zeros(60, bool))) == 0
    assert len(close_pairs(lambda rows: vectors[rows], 1, 2.0)) == 0
    assert len(close_pairs(lambda rows: vectors[rows], 0, 2.0)) == 0


def test_vectors_narrower_than_the_axes() -> None:
    vectors = units(np.random.default_rng(1), 40, 3)
    found = close_pairs(lambda rows: vectors[rows], 40, 0.2)
    assert len(found) == len(brute(vectors, 0.2, np.ones(40, bool)))


def test_many_copies_stay_joined_though_not_all_pairs_are_kept() -> None:
    rng = np.random.default_rng(2)
    vectors = units(rng, 300, 16)
    vectors[100:250] = vectors[0]
    found = close_pairs(lambda rows: vectors[rows], 300, 0.01)
    assert len(found) < 150 * 150 / 2
    links = [
        LinkRecord(int(i) + 1, int(j) + 1, "embedding", float(d))
        for i, j, d in zip(found.first, found.second, found.distance, strict=True)
    ]
    groups = {i: GroupFacts(f"g{i}", i, 1, "train") for i in range(1, 301)}
    (merger,) = [m for m in merged(links, groups, 300).mergers if m.into.oldest == 1]
    assert {one.oldest for one in merger.others} >= set(range(101, 251))


def test_progress_and_stopping() -> None:
    vectors = units(np.random.default_rng(3), 50, 8)
    told: list[float] = []
    close_pairs(lambda rows: vectors[rows], 50, 0.1, tick=told.append)
    assert told == [0.0]

    def stop(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        close_pairs(lambda rows: vectors[rows], 50, 0.1, tick=stop)


def test_close_hashes_against_brute_force() -> None:
    rng = np.random.default_rng(4)
    words = rng.integers(0, 2**64, (200, 4), dtype=np.uint64)
    queries = words[[3, 50, 199]].copy()
    queries[0, 0] ^= np.uint64(0b1011)
    queries[1, 3] ^= np.uint64(2**25 - 1)
    words[7] = words[3]
    words[7, 1] ^= np.uint64(1)
    found = close_hashes(words, queries)
    bits = np.bitwise_count(queries[:, None] ^ words[None]).sum(axis=2, dtype=int)
    wanted = sorted((q, int(bits[q, r]), r) for q, r in zip(*np.nonzero(bits <= 24), strict=True))
    assert [(q, b, r) for q, r, b in found] == wanted
    assert found == [(0, 3, 3), (0, 7, 4), (2, 199, 0)]
    assert close_hashes(words[:0], queries) == []


def link(item: int, other: int, distance: float = 0.1) -> LinkRecord:
    return LinkRecord(max(item, other), min(item, other), "embedding", distance)


def test_the_oldest_group_takes_up_the_others() -> None:
    a = GroupFacts("a", 5, 2, "audit")
    b = GroupFacts("b", 3, 1, "train")
    c = GroupFacts("c", 9, 4, "valid")
    d = GroupFacts("d", 1, 1, "train")
    groups = {5: a, 6: a, 3: b, 9: c, 1: d}
    found = merged([link(6, 9), link(5, 3), link(9, 3)], groups, 50)
    (merger,) = found.mergers
    assert merger.into == b
    assert merger.others == (a, c)
    assert merger.links == (link(6, 9), link(5, 3))
    assert found.apart == ()


def test_a_group_that_would_grow_too_large_is_left_apart() -> None:
    groups = {i: GroupFacts(f"g{i}", i, 4, "train") for i in range(1, 5)}
    found = merged([link(2, 1), link(3, 2), link(4, 3)], groups, 8)
    assert [(m.into.key, [o.key for o in m.others]) for m in found.mergers] == [
        ("g1", ["g2"]),
        ("g3", ["g4"]),
    ]
    assert found.apart == (link(3, 2),)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=12),
    pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30),
    most=st.integers(1, 20),
)
def test_mergers_hold_their_promises(
    sizes: list[int], pairs: list[tuple[int, int]], most: int
) -> None:
    n = len(sizes)
    groups = {i + 1: GroupFacts(f"g{i}", i + 1, size, "train") for i, size in enumerate(sizes)}
    links = [link(i % n + 1, j % n + 1) for i, j in pairs if i % n != j % n]
    found = merged(links, groups, most)
    home = {key: key for key in (g.key for g in groups.values())}
    for merger in found.mergers:
        assert merger.into.size + sum(o.size for o in merger.others) <= most
        assert merger.into.oldest < min(o.oldest for o in merger.others)
        assert len(merger.links) == len(merger.others)
        for other in merger.others:
            assert home[other.key] == other.key, "a group goes into one other"
            home[other.key] = merger.into.key
    apart = set(found.apart)
    for one in links:
        together = home[groups[one.item_id].key] == home[groups[one.other_id].key]
        assert together or one in apart


def test_most_together() -> None:
    assert most_together(100) == LARGE
    assert most_together(1_000_000) == 10_000
