from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from labeller.services import near_duplicates
from labeller.services.near_duplicates import (
    close_hashes,
    close_pairs,
)


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
    found = [
        (query, row, bits)
        for query, close in enumerate(close_hashes(words, queries))
        for row, bits in zip(*(one.tolist() for one in close), strict=True)
    ]
    bits = np.bitwise_count(queries[:, None] ^ words[None]).sum(axis=2, dtype=int)
    wanted = sorted((q, int(bits[q, r]), r) for q, r in zip(*np.nonzero(bits <= 24), strict=True))
    assert [(q, b, r) for q, r, b in found] == wanted
    assert found == [(0, 3, 3), (0, 7, 4), (2, 199, 0)]
    assert [len(rows) for rows, _ in close_hashes(words[:0], queries)] == [0, 0, 0]
