"""How far items are from the nearest labelled one; can be kept while the embeddings stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import FloatArray, IntArray, Pool, PoolError, needed
from strategies.vectors import blocks, squared_norms

TRIED = 32  # items that are measured again to see whether kept distances still hold
TOLERANCE = 1e-3  # relative, when they are compared


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The labelled item nearest to each item, to be kept from one round to the next.

    Parameters
    ----------
    ids : array of int, shape (N,)
        The items.
    squared : array of float, shape (N,)
        Their squared distances to the nearest labelled item; infinity when nothing is labelled.
    nearest_ids : array of int, shape (N,)
        That labelled item; −1 when nothing is labelled.
    labelled_ids : array of int, shape (M,)
        All labelled items that were looked at.
    """

    ids: IntArray
    squared: FloatArray
    nearest_ids: IntArray
    labelled_ids: IntArray


def measure(vectors: FloatArray, centres: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return each vector's squared distance to the nearest centre, and which that is.

    Parameters
    ----------
    vectors : array of float, shape (N, D)
    centres : array of float, shape (M, D)

    Returns
    -------
    squared : array of float, shape (N,)
        Infinity when there are no centres.
    which : array of int, shape (N,)
        Positions in `centres`; −1 when there are none.
    """
    squared = np.full(len(vectors), np.inf, vectors.dtype)
    which = np.full(len(vectors), -1, np.int64)
    if len(centres) == 0:
        return squared, which
    columns = np.ascontiguousarray(centres.T, vectors.dtype)
    halves = squared_norms(centres) / 2
    for part in blocks(len(vectors), len(centres)):
        farness = vectors[part] @ columns
        np.subtract(halves, farness, out=farness)
        which[part] = farness.argmin(axis=1)
        lowest = np.take_along_axis(farness, which[part, None], axis=1)[:, 0]
        squared[part] = squared_norms(vectors[part]) + 2 * lowest
    return np.maximum(squared, 0, out=squared), which


def nearest(pool: Pool, known: Nearest | None = None) -> Nearest:
    """Measure the distances of a pool's items to its labelled ones, using those known already.

    Parameters
    ----------
    pool : Pool
        With `embeddings`, the labelled items and `labelled_ids`.
    known : Nearest, optional
        What this function returned earlier. Only what it lacks is measured: new items, new
        labelled ones, and items whose nearest lost its label. It is not trusted blindly: some
        items are measured again, and when the embeddings have changed, so are all.

    Returns
    -------
    Nearest

    Raises
    ------
    PoolError
        When `labelled_ids` is missing.
    """
    if pool.labelled_ids is None:
        raise PoolError("Distances can be kept only when the pool has labelled_ids.")
    vectors, labelled = needed(pool.embeddings), needed(pool.labelled_embeddings)
    squared = np.full(len(pool), np.inf, vectors.dtype)
    which = np.full(len(pool), -1, np.int64)
    new = np.ones(len(labelled), bool)
    if known is not None and _carry_over(known, pool, squared, which):
        new = ~np.isin(pool.labelled_ids, known.labelled_ids)
    kept, every = which >= 0, np.ones(len(labelled), bool)
    for rows, columns in ((np.flatnonzero(kept), new), (np.flatnonzero(~kept), every)):
        some = vectors if len(rows) == len(vectors) else vectors[rows]
        distance, position = measure(some, labelled[columns])
        closer = distance < squared[rows]
        squared[rows[closer]] = distance[closer]
        which[rows[closer]] = np.flatnonzero(columns)[position[closer]]
    return Nearest(pool.ids, squared, np.append(pool.labelled_ids, -1)[which], pool.labelled_ids)


def positions(wanted: IntArray, ids: IntArray) -> IntArray:
    """Return where each of `wanted` (n,) is in `ids` (N,), −1 for those that are not there."""
    if len(ids) == 0:
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(ids)
    places = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
    return np.where(ids[places] == wanted, places, -1)


def _carry_over(known: Nearest, pool: Pool, squared: FloatArray, which: IntArray) -> bool:
    """Fill in what `known` says of the pool's items, and say whether it still holds."""
    place = positions(pool.ids, known.ids)
    centre = positions(known.nearest_ids, needed(pool.labelled_ids))
    rows = np.flatnonzero(place >= 0)
    rows = rows[centre[place[rows]] >= 0]
    tried = rows[:: max(1, len(rows) // TRIED)]
    vectors, labelled = needed(pool.embeddings), needed(pool.labelled_embeddings)
    own, other = vectors[tried], labelled[centre[place[tried]]]
    scale = squared_norms(own) + squared_norms(other)
    differs = abs(squared_norms(own - other) - known.squared[place[tried]]) > TOLERANCE * scale
    if differs.any():
        return False
    squared[rows], which[rows] = known.squared[place[rows]], centre[place[rows]]
    return True
