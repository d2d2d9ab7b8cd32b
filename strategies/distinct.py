"""A batch without near-duplicates, whatever strategy picks it."""

from __future__ import annotations

import dataclasses

import numpy as np

from strategies.base import BoolArray, FloatArray, IntArray, Pool, PoolError, Selection, needed
from strategies.nearest import positions
from strategies.registry import PoolStrategy
from strategies.vectors import blocks, unit


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
            keep = _spread(vectors[found], distance)
            selection, found = _only(selection, keep), found[keep]
            passed_over |= _near(vectors, vectors[found], distance)
        selections.append(selection)
        rows = np.append(rows, found)
    scores = np.concatenate([np.empty(0), *(selection.scores for selection in selections)])
    parts = tuple(part for selection in selections for part in selection.parts)
    return Selection(pool.ids[rows], scores, parts)


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


def _spread(vectors: FloatArray, distance: float) -> IntArray:
    """Return the rows of `vectors` (n, D), in order, that are not close to one returned before."""
    directions = unit(vectors)
    near = np.zeros(len(vectors), bool)
    keep = []
    for row, direction in enumerate(directions):
        if not near[row]:
            keep.append(row)
            near |= directions @ direction > 1 - distance**2 / 2
    return np.array(keep, np.int64)
