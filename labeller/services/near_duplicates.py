"""Find images that look alike among very many, and join them to groups. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.records_leaks import GroupFacts, LinkRecord

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Floats = NDArray[np.floating[Any]]

BITS = 24  # of 256 that hashes of the same picture may differ in
AXES = 32  # principal axes on which pairs are looked for before they are measured
SAMPLE = 10_000  # vectors that the axes are computed from
BLOCK = 2_048  # vectors compared at once with as many others
NEAREST = 32  # pairs of one vector that are kept: more say nothing new of who belongs together
MEASURED = 65_536  # pairs measured at once
ROUNDING = 1e-3  # added to a distance wherever pairs are only looked for
LARGE = 50  # items that a joined group may hold in any project
SHARE = 0.01  # of all items that it may hold in a large one


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of rows, `first` after `second`, each once, with their distance; closest first."""

    first: Ints
    second: Ints
    distance: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many."""
        return len(self.first)


def close_hashes(words: Words, queries: Words, most: int = BITS) -> list[tuple[int, int, int]]:
    """Return which hashes differ in few bits from each query.

    Parameters
    ----------
    words : array of uint64, shape (n, 4)
    queries : array of uint64, shape (q, 4)
    most : int
        Bits that may differ.

    Returns
    -------
    list of (int, int, int)
        Row of the query, row of the hash, and bits, by query and then closest first.
    """
    found: list[tuple[int, int, int]] = []
    columns = np.ascontiguousarray(words.T)
    for row, query in enumerate(queries):
        # A first word alone rules nearly all out, and is a quarter of the memory to look through.
        near = np.flatnonzero(np.bitwise_count(columns[0] ^ query[0]) <= most)
        bits = np.bitwise_count(words[near] ^ query).sum(axis=1, dtype=np.int64)
        kept = np.flatnonzero(bits <= most)
        order = kept[np.argsort(bits[kept], kind="stable")]
        found += [(row, int(near[i]), int(bits[i])) for i in order]
    return found


def close_pairs(
    read: Callable[[Ints], Floats],
    total: int,
    distance: float,
    new: NDArray[np.bool_] | None = None,
    tick: Callable[[float], None] = lambda _: None,
) -> Pairs:
    """Return all pairs of vectors that are close, at least one of each pair new.

    Every vector is projected onto the principal axes, where no two are further apart than they
    are; what is close there is measured. Vectors are sorted along the first axis, so that most
    blocks need not be compared at all. Of more than 32 close to one vector the nearest count.

    Parameters
    ----------
    read : callable
        Returns the vectors (n, D) of rows (n,): so many may not fit into memory.
    total : int
        N, how many vectors there are.
    distance : float
        Greatest distance of a pair.
    new : array of bool, shape (N,), optional
        Pairs of two rows that are not new are known; all are new when left out.
    tick : callable
        Told what share is done; may raise to stop.

    Returns
    -------
    Pairs
    """
    fresh = np.ones(total, bool) if new is None else new
    if total < 2 or not fresh.any():
        return _pairs([])
    lows = _projected(read, total)
    order = np.argsort(lows[:, 0], kind="stable")
    lows, fresh = lows[order], fresh[order]
    parts = []
    for first, second in _candidates(lows, fresh, distance + ROUNDING, tick):
        for start in range(0, len(first), MEASURED):
            one, other = (order[rows[start : start + MEASURED]] for rows in (first, second))
            rows, places = np.unique(np.concatenate([one, other]), return_inverse=True)
            vectors = read(rows)
            gaps = vectors[places[: len(one)]] - vectors[places[len(one) :]]
            far = np.sqrt(np.einsum("nd,nd->n", gaps, gaps, dtype=np.float64))
            kept = far <= distance
            parts.append((one[kept], other[kept], far[kept]))
    return _pairs(parts)


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
    """Yield pairs of rows that may be close; `lows` ascend along the first axis."""
    norms = np.einsum("nd,nd->n", lows, lows)[:, None]
    one = np.ones_like(norms)
    # One product of these gives squared distances.
    left, right = np.hstack([-2 * lows, norms, one]), np.hstack([lows, one, norms])
    for start in range(0, len(lows), BLOCK):
        tick(start / len(lows))
        rows = np.arange(start, min(start + BLOCK, len(lows)))
        end = int(np.searchsorted(lows[:, 0], lows[rows[-1], 0] + distance, side="right"))
        for behind in range(start, end, BLOCK):
            others = np.arange(behind, min(behind + BLOCK, end))
            new, old = rows[fresh[rows]], rows[~fresh[rows]]
            if behind == start:
                first, second = _nearest(left, right, new, others, distance)
                once = (second > first) | ~fresh[second]
                yield first[once], second[once]
            else:
                yield _nearest(left, right, new, others, distance)
                yield _nearest(left, right, old, others[fresh[others]], distance)


def _nearest(
    left: Floats, right: Floats, queries: Ints, others: Ints, distance: float
) -> tuple[Ints, Ints]:
    """Return pairs that are close, of each query at most the nearest 32."""
    if not (len(queries) and len(others)):
        return queries[:0], others[:0]
    squared = left[queries] @ right[others].T
    first, second = np.divmod(np.flatnonzero(squared <= distance**2), len(others))
    crowded = np.flatnonzero(np.bincount(first, minlength=1) > NEAREST)
    if len(crowded):
        few = ~np.isin(first, crowded)
        best = np.argpartition(squared[crowded], NEAREST, axis=1)[:, :NEAREST]
        first = np.concatenate([first[few], crowded.repeat(NEAREST)])
        second = np.concatenate([second[few], best.ravel()])
    return queries[first], others[second]


def _pairs(parts: Sequence[tuple[Ints, Ints, NDArray[np.float64]]]) -> Pairs:
    """Join pairs, the higher row first, closest first."""
    if not parts:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    one, other, far = (np.concatenate([part[i] for part in parts]) for i in range(3))
    first, second = np.maximum(one, other), np.minimum(one, other)
    order = np.lexsort((second, first, far))
    return Pairs(first[order], second[order], far[order])


def most_together(items: int) -> int:
    """Return how many of a project's items a joined group may hold."""
    return max(LARGE, int(SHARE * items))


@dataclass(frozen=True, slots=True)
class Merger:
    """Groups that become one: `into` takes up the others. `links` are why."""

    into: GroupFacts
    others: tuple[GroupFacts, ...]
    links: tuple[LinkRecord, ...]


@dataclass(frozen=True, slots=True)
class Mergers:
    """What links do to groups; `apart` links were left, whose group would have become too large."""

    mergers: tuple[Merger, ...]
    apart: tuple[LinkRecord, ...]


def merged(links: Sequence[LinkRecord], groups: Mapping[int, GroupFacts], most: int) -> Mergers:
    """Join the groups of items that look alike, closest first, as long as they stay small.

    A chain of links may join images that look nothing alike; with `most` no chain swallows a
    split. The group with the oldest item gives name and split: which that is depends on no label
    and no strategy, so the audit set stays a random sample of groups.

    Parameters
    ----------
    links : sequence of LinkRecord
        In the order in which they are to count.
    groups : mapping of int to GroupFacts
        By item.
    most : int
        Items that a joined group may hold.

    Returns
    -------
    Mergers
    """
    root: dict[str, str] = {}
    facts = {one.key: one for one in groups.values()}
    size = {key: one.size for key, one in facts.items()}
    why: dict[str, list[LinkRecord]] = {}
    apart = []

    def find(key: str) -> str:
        while (above := root.get(key, key)) != key:
            root[key] = root.get(above, above)
            key = above
        return key

    for link in links:
        one, other = find(groups[link.item_id].key), find(groups[link.other_id].key)
        if one == other:
            continue
        if size[one] + size[other] > most:
            apart.append(link)
            continue
        into, gone = sorted((one, other), key=lambda key: facts[key].oldest)
        root[gone] = into
        size[into] += size[gone]
        why[into] = [*why.get(into, []), *why.pop(gone, []), link]
    members: dict[str, list[GroupFacts]] = {}
    for key, one_facts in facts.items():
        if find(key) != key:
            members.setdefault(find(key), []).append(one_facts)
    return Mergers(
        tuple(
            Merger(facts[key], tuple(sorted(gone, key=lambda g: g.oldest)), tuple(why[key]))
            for key, gone in sorted(members.items(), key=lambda entry: facts[entry[0]].oldest)
        ),
        tuple(apart),
    )
