from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

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


def forest(n: int, pairs: dict[tuple[int, int], float]) -> tuple[float, NDArray[np.int32]]:
    """Return the weight of a minimum spanning forest, and which rows hang together."""
    ends = np.array(list(pairs), int).reshape(-1, 2).T
    weights = np.array(list(pairs.values())) + 1e-9
    graph = coo_array((weights, tuple(ends)), (n, n)).tocsr()
    return float(minimum_spanning_tree(graph).sum()), connected_components(graph, False)[1]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
@pytest.mark.parametrize("measured", [7, 65_536])
def test_close_pairs_against_brute_force(
    seed: int, share: float, measured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "BLOCK", 16)
    monkeypatch.setattr(near_duplicates, "MEASURED", measured)
    rng = np.random.default_rng(seed)
    vectors = units(rng, 150, 48)
    new = rng.random(150) < share
    wanted = brute(vectors, 0.3, new)
    found = close_pairs(lambda rows: vectors[rows], 150, 0.3, new)
    rows = zip(found.first.tolist(), found.second.tolist(), strict=True)
    pairs = dict(zip(rows, found.distance.tolist(), strict=True))
    assert len(pairs) == len(found)
    assert set(pairs) <= set(wanted)
    assert found.distance.tolist() == sorted(found.distance.tolist())
    for pair, far in pairs.items():
        assert far == pytest.approx(wanted[pair], abs=1e-6)
    (weight, together), (least, groups) = forest(150, pairs), forest(150, wanted)
    assert np.array_equal(together, groups)
    assert weight == pytest.approx(least, abs=1e-5)
    assert len(pairs) == 150 - len(set(groups.tolist()))


def test_an_image_near_a_crowd_belongs_to_it() -> None:
    """Each of forty copies has nearer ones than the image beside them."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        vectors = units(rng, 200, 32)
        crowd = rng.permutation(200)[:41]
        vectors[crowd[:40]] = vectors[crowd[0]] + rng.normal(0, 1e-4, (40, 32))
        vectors[crowd[40]] = vectors[crowd[0]] + 0.28 * np.eye(32)[0]
        found = close_pairs(vectors.__getitem__, 200, 0.3)
        ends = set(found.first.tolist()) | set(found.second.tolist())
        assert set(crowd.tolist()) <= ends


def test_a_crowd_costs_a_pair_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "BLOCK", 64)
    monkeypatch.setattr(near_duplicates, "MEASURED", 512)
    vectors = np.ones((700, 8), np.float32) / np.sqrt(np.float32(8))
    found = close_pairs(lambda rows: vectors[rows], 700, 0.1)
    assert len(found) == 699
    assert found.distance.max() < 1e-3


def test_what_was_compared_is_not_compared_again() -> None:
    vectors = units(np.random.default_rng(0), 60, 8)
    assert len(close_pairs(lambda rows: vectors[rows], 60, 2.0, np.zeros(60, bool))) == 0
    assert len(close_pairs(lambda rows: vectors[rows], 1, 2.0)) == 0
    assert len(close_pairs(lambda rows: vectors[rows], 0, 2.0)) == 0


def test_vectors_narrower_than_the_axes() -> None:
    vectors = units(np.random.default_rng(1), 40, 3)
    found = close_pairs(lambda rows: vectors[rows], 40, 0.2)
    _, groups = forest(40, brute(vectors, 0.2, np.ones(40, bool)))
    assert len(found) == 40 - len(set(groups.tolist()))


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
    left = {frozenset(home[groups[i].key] for i in (one.item_id, one.other_id)) for one in apart}
    assert len(left) == len(apart), "two groups are left apart once"
    for one in links:
        homes = frozenset(home[groups[i].key] for i in (one.item_id, one.other_id))
        assert len(homes) == 1 or homes in left


def test_most_together() -> None:
    assert most_together(100) == LARGE
    assert most_together(1_000_000) == 20_000
