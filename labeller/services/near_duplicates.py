"""Find images that look alike among very many. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from labeller.perceptual_hash import BITS

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

AXES = 32  # principal axes on which pairs are looked for before they are measured
SAMPLE = 10_000  # vectors that the axes are computed from
BLOCK = 2_048  # vectors compared at once with as many others
MEASURED = 65_536  # pairs measured at once
ROUNDING = 1e-3  # added to a distance wherever pairs are only looked for


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of rows, `first` after `second`, each once, with their distance; closest first."""

    first: Ints
    second: Ints
    distance: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many."""
        return len(self.first)


def close_hashes(words: Words, queries: Words, most: int = BITS) -> Iterator[tuple[Ints, Bits]]:
    """Yield which hashes differ in few bits from each query.

    Parameters
    ----------
    words : array of uint64, shape (n, 4)
    queries : array of uint64, shape (q, 4)
    most : int
        Bits that may differ.

    Yields
    ------
    array of int64, shape (m,)
        Rows of the hashes close to the next query, closest first.
    array of uint8, shape (m,)
        Their bits.
    """
    columns = np.ascontiguousarray(words.T)
    for query in queries:
        # A first word alone rules nearly all out, and is a quarter of the memory to look through.
        near = np.flatnonzero(np.bitwise_count(columns[0] ^ query[0]) <= most)
        bits = np.bitwise_count(words[near] ^ query).sum(axis=1, dtype=np.uint16)
        kept = np.flatnonzero(bits <= most)
        few = bits[kept].astype(np.uint8)
        order = np.argsort(few, kind="stable")
        yield near[kept[order]], few[order]


def close_pairs(
    read: Callable[[Ints], Floats],
    total: int,
    distance: float,
    new: NDArray[np.bool_] | None = None,
    tick: Callable[[float], None] = lambda _: None,
) -> Pairs:
    """Return a minimum spanning forest of the pairs of vectors that are close.

    Of pairs that closer ones connect already none is returned, so that a thousand copies of one
    image make a thousand pairs and not half a million. Every vector is projected onto the principal
    axes, where no two are further apart than they are; what is close there is measured. Vectors are
    sorted along the first axis, so that most blocks need not be compared at all.

    Parameters
    ----------
    read : callable
        Returns the vectors (n, D) of rows (n,): so many may not fit into memory.
    total : int
        N, how many vectors there are.
    distance : float
        Greatest distance of a pair.
    new : array of bool, shape (N,), optional
        Pairs of two rows that are not new are known and left out; all are new when not given.
    tick : callable
        Told what share is done; may raise to stop.

    Returns
    -------
    Pairs
    """
    fresh = np.ones(total, bool) if new is None else new
    forest = _Forest(total)
    if total < 2 or not fresh.any():
        return forest.pairs()
    lows = _projected(read, total)
    order = np.argsort(lows[:, 0], kind="stable")
    for first, second in _candidates(lows[order], fresh[order], distance + ROUNDING, tick):
        one, other = order[first], order[second]
        far = _measured(read, one, other)
        kept = far <= distance
        forest.add(one[kept], other[kept], far[kept])
    return forest.pairs()


class _Forest:
    """Pairs seen so far, thinned to a minimum spanning forest when they become many."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._parts: list[tuple[Ints, Ints, NDArray[np.float64]]] = []
        self._held = 0

    def add(self, one: Ints, other: Ints, far: NDArray[np.float64]) -> None:
        """Take pairs, each of which comes once."""
        self._parts.append((np.maximum(one, other), np.minimum(one, other), far))
        self._held += len(far)
        if self._held > 2 * (self._total + MEASURED):
            self._thin()

    def pairs(self) -> Pairs:
        """Return the forest, closest first."""
        if not self._held:
            return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        self._thin()
        ((first, second, far),) = self._parts
        order = np.lexsort((second, first, far))
        return Pairs(first[order], second[order], far[order])

    def _thin(self) -> None:
        first, second, far = (np.concatenate([part[i] for part in self._parts]) for i in range(3))
        rows, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        ends = places[: len(first)], places[len(first) :]
        # To the library a distance of 0 is no edge at all.
        graph = coo_array((far + ROUNDING, ends), (len(rows), len(rows))).tocsr()
        found = minimum_spanning_tree(graph).tocoo()
        self._parts = [(rows[found.row], rows[found.col], found.data - ROUNDING)]
        self._held = len(found.data)


def _measured(read: Callable[[Ints], Floats], one: Ints, other: Ints) -> NDArray[np.float64]:
    """Return the distances (n,) of pairs of vectors."""
    found = np.empty(len(one))
    if len(one) > MEASURED:  # of a crowd each vector is read once, not once for each pair
        firsts, first = np.unique(one, return_inverse=True)
        seconds, second = np.unique(other, return_inverse=True)
        if len(firsts) * len(seconds) <= 2 * BLOCK**2:
            a, b = (read(rows).astype(np.float64) for rows in (firsts, seconds))
            squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
            return np.asarray(np.sqrt(np.maximum(squared[first, second], 0)), np.float64)
    for start in range(0, len(one), MEASURED):
        part = slice(start, start + MEASURED)
        rows, places = np.unique(np.concatenate([one[part], other[part]]), return_inverse=True)
        vectors, half = read(rows), len(one[part])
        gaps = vectors[places[:half]] - vectors[places[half:]]
        found[part] = np.sqrt(np.einsum("nd,nd->n", gaps, gaps, dtype=np.float64))
    return found


def hanging_together(pairs: Ints) -> tuple[Ints, Ints]:
    """Return what pairs (n, 2) of items connect: the items (m,), and the number of each one's lot.

    Of two items of one number there is a way from one to the other, from pair to pair.
    """
    ids, places = np.unique(pairs, return_inverse=True)
    first, second = places.reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (first, second)), (len(ids), len(ids)))
    return ids, connected_components(graph, directed=False)[1].astype(np.int64)


def _projected(read: Callable[[Ints], Floats], total: int) -> NDArray[np.float32]:
    """Return the coordinates (N, axes) of all vectors on the principal axes, the first foremost."""
    sample = read(np.arange(0, total, -(-total // SAMPLE)))
    centre = sample.mean(axis=0)
    spread = np.asarray((sample - centre).T @ (sample - centre), np.float64)
    axes = np.linalg.eigh(spread)[1][:, ::-1][:, :AXES].astype(np.float32)
    lows = np.empty((total, axes.shape[1]), np.float32)
    for start in range(0, total, BLOCK):
        rows = np.arange(start, min(start + BLOCK, total))
        lows[rows] = (read(rows) - centre) @ axes
    return lows


def _candidates(
    lows: NDArray[np.float32],
    fresh: NDArray[np.bool_],
    distance: float,
    tick: Callable[[float], None],
) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs of rows that may be close, each once; `lows` ascend along the first axis."""
    norms = np.einsum("nd,nd->n", lows, lows)[:, None]
    one = np.ones_like(norms)
    # One product of these gives squared distances.
    left, right = np.hstack([-2 * lows, norms, one]), np.hstack([lows, one, norms])

    def near(queries: Ints, others: Ints) -> tuple[Ints, Ints]:
        if not (len(queries) and len(others)):
            return queries[:0], others[:0]
        close = np.flatnonzero(left[queries] @ right[others].T <= distance**2)
        first, second = np.divmod(close, len(others))
        return queries[first], others[second]

    for start in range(0, len(lows), BLOCK):
        tick(start / len(lows))
        rows = np.arange(start, min(start + BLOCK, len(lows)))
        end = int(np.searchsorted(lows[:, 0], lows[rows[-1], 0] + distance, side="right"))
        for behind in range(start, end, BLOCK):
            others = np.arange(behind, min(behind + BLOCK, end))
            new, old = rows[fresh[rows]], rows[~fresh[rows]]
            if behind == start:
                first, second = near(new, others)
                once = (second > first) | ~fresh[second]
                yield first[once], second[once]
            else:
                yield near(new, others)
                yield near(old, others[fresh[others]])
