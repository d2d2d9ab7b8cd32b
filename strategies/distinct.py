"""A batch without near-duplicates, whatever strategy picks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from strategies.base import BoolArray, FloatArray, IntArray, Pool, PoolError, Selection, needed
from strategies.nearest import positions
from strategies.registry import PoolStrategy
from strategies.vectors import blocks, unit

TOGETHER = 512  # items held against those before them in one matrix product
AT_ONCE = 8_192  # items embedded at a time


def distinct(
    strategy: PoolStrategy, pool: Pool, k: int, rng: np.random.Generator, *, distance: float
) -> Selection:
    """Have a strategy pick a batch in which no two items are closer than a set distance.

    Parameters
    ----------
    strategy : PoolStrategy
        What picks.
    pool : Pool
        With `embeddings` (N, D), compared by direction only, beside what the strategy needs.
    k : int
        How many to pick; cut to N.
    rng : numpy.random.Generator
        For the strategy.
    distance : float
        Between vectors of length one: 0 for the same direction, √2 for a right angle. Items closer
        than this to one that is picked, or asked for already, are passed over, and come last when
        nothing else is left.

    Returns
    -------
    Selection
        In the order picked; scores and parts are the strategy's own. Items passed over and taken
        after all are at the end.

    Raises
    ------
    PoolError
        When the pool has no embeddings.
    """
    if pool.embeddings is None:
        raise PoolError("To tell near-duplicates apart, the pool needs embeddings.")
    vectors, k = pool.embeddings, min(k, len(pool))
    passed_over = np.zeros(len(pool), bool)
    if pool.pending_embeddings is not None:
        passed_over = _near(vectors, pool.pending_embeddings, distance)
    rows = np.empty(0, np.int64)
    selections: list[Selection] = []
    while len(rows) < k:
        free = ~np.isin(np.arange(len(pool)), rows)
        nothing_else = not (free & ~passed_over).any()
        left = np.flatnonzero(free if nothing_else else free & ~passed_over)
        selection = strategy(_rest(pool, left, rows), k - len(rows), rng)
        found = positions(selection.ids, pool.ids)
        if not nothing_else:
            keep = _spread(unit(vectors[found]), distance, vectors[:0])
            selection, found = _only(selection, keep), found[keep]
            passed_over |= _near(vectors, vectors[found], distance)
        selections.append(selection)
        rows = np.append(rows, found)
    return _joined(selections, k)


def distinct_by(
    strategy: PoolStrategy,
    pool: Pool,
    k: int,
    rng: np.random.Generator,
    *,
    distance: float,
    embed: Callable[[IntArray], FloatArray],
    asked: FloatArray,
) -> Selection:
    """Do as `distinct` for a strategy that reads no embeddings, with those of few items only.

    Embedded are the items that the strategy picks, and as many more as near-duplicates make
    necessary; so a pool of a million items is no more work than its probabilities.

    Parameters
    ----------
    strategy : PoolStrategy
        What picks; not by embeddings.
    pool : Pool
        With what the strategy needs.
    k : int
        How many to pick; cut to N.
    rng : numpy.random.Generator
        For the strategy.
    distance : float
        As in `distinct`.
    embed : callable
        Returns the embeddings (n, D) of some items (n,).
    asked : array of float, shape (Q, D)
        Those of items that are asked for already.

    Returns
    -------
    Selection
        As `distinct` returns it.
    """
    k, near = min(k, len(pool)), unit(asked)
    kept: list[Selection] = []
    passed: list[Selection] = []
    found, looked, rest = 0, 0, pool
    while found < k and len(rest):
        # near-duplicates come in crowds: look at twice as many each time
        selection = strategy(rest, max(k - found, looked), rng)
        looked += len(selection)
        for start in range(0, len(selection), AT_ONCE):
            part = _only(selection, np.arange(start, min(start + AT_ONCE, len(selection))))
            directions = unit(embed(part.ids))
            keep = _spread(directions, distance, near)[: k - found]
            kept.append(_only(part, keep))
            passed.append(_only(part, np.setdiff1d(np.arange(len(part)), keep)))
            near = np.concatenate([near, directions[keep]])
            found += len(keep)
            if found == k:
                break
        else:
            rest = rest.take(np.flatnonzero(~np.isin(rest.ids, selection.ids)))
    return _joined([*kept, *passed], k)


def _rest(pool: Pool, left: IntArray, rows: IntArray) -> Pool:
    """Return the pool of what is left, where the items at `rows` count as asked for."""
    if len(left) == len(pool):
        return pool
    asked = needed(pool.embeddings)[rows]
    if pool.pending_embeddings is not None:
        asked = np.concatenate([pool.pending_embeddings, asked])
    return dataclasses.replace(pool.take(left), pending_embeddings=asked)


def _only(selection: Selection, keep: IntArray) -> Selection:
    """Return some of a selection."""
    parts = tuple(selection.parts[place] for place in keep) if selection.parts else ()
    return Selection(selection.ids[keep], selection.scores[keep], parts)


def _near(vectors: FloatArray, others: FloatArray, distance: float) -> BoolArray:
    """Say which of `vectors` (N, D) are closer than `distance` to one of `others` (n, D)."""
    near = np.zeros(len(vectors), bool)
    directions = unit(others.astype(vectors.dtype))
    for part in blocks(len(vectors), len(others) + vectors.shape[1]):
        cosines = unit(vectors[part]) @ directions.T
        near[part] = cosines.max(axis=1, initial=-1) > 1 - distance**2 / 2
    return near


def _spread(directions: FloatArray, distance: float, near: FloatArray) -> IntArray:
    """Return the rows of `directions` (n, D), in order, that are close to none before them.

    Nor are they close to one of `near` (m, D). All are of length one.
    """
    limit = 1 - distance**2 / 2
    keep: list[int] = []
    for start in range(0, len(directions), TOGETHER):
        part = directions[start : start + TOGETHER]
        before = np.concatenate([near, directions[keep]])
        close = (part @ before.T).max(axis=1, initial=-1) > limit
        pairs = part @ part.T > limit
        for row in range(len(part)):
            if not close[row]:
                keep.append(start + row)
                close |= pairs[row]
    return np.array(keep, np.int64)


def _joined(selections: list[Selection], k: int) -> Selection:
    """Return the first k of some selections, one after the other."""
    ids = np.concatenate([np.empty(0, np.int64), *(selection.ids for selection in selections)])
    scores = np.concatenate([np.empty(0), *(selection.scores for selection in selections)])
    parts = tuple(part for selection in selections for part in selection.parts)
    return Selection(ids[:k], scores[:k], parts[:k])
