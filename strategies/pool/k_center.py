"""k-center: the item farthest from everything labelled, again and again (greedy core-set)."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, PoolError, Selection, needed
from strategies.nearest import Nearest, measure, positions
from strategies.ranking import best, top
from strategies.registry import pool_strategy
from strategies.vectors import squared_distances, squared_norms

WINDOW = 512  # items looked at closely: those whose bounds are highest
MANY = 500  # centres; of so many every fifth bounds the distances at first
REFRESHED = 64  # items brought up to date at a time: enough for one efficient matrix product
ROUNDING = 4e-6  # of the squared lengths: what a squared distance in float32 may be off by


@pool_strategy("k_center", needs=Needs.EMBEDDINGS | Needs.LABELLED)
def k_center(
    pool: Pool, k: int, rng: np.random.Generator, *, known: Nearest | None = None
) -> Selection:
    """Pick the item farthest from all labelled and picked ones, k times over.

    Covers the pool so that no item is far from a label, whatever the model thinks. It loves
    outliers: among photographs those are often the broken ones. Prefer `max_herding` or
    `prob_cover` unless the corners of the pool are what matters.

    Parameters
    ----------
    pool : Pool
        With `embeddings` (N, D) and the labelled items, if any.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties; draws the first item when nothing is labelled.
    known : Nearest, optional
        What `strategies.nearest.nearest` returned for this very pool. Most of the time goes into
        the distances to the labelled items; with this they are not measured again.

    Returns
    -------
    Selection
        Scores are distances to the nearest labelled or earlier picked item. An item drawn because
        nothing was labelled gets the distance of the item that is then farthest from it.

    References
    ----------
    Sener, O. and Savarese, S. Active Learning for Convolutional Neural Networks: A Core-Set
    Approach. ICLR 2018.

    Notes
    -----
    Distances to the nearest centre only ever fall, so an old one is an upper bound, and so is the
    distance to the nearest of some centres. Only items whose bound exceeds all others are measured
    again, to all centres and in double precision: the picks are those of the plain algorithm, for
    some hundred distances a pick in place of N.
    """
    vectors, centres = needed(pool.embeddings), pool.covered
    rows, scores = np.empty(k, np.int64), np.empty(k)
    blind = int(len(centres) == 0)
    if blind:
        rows[0] = rng.integers(len(pool))
        centres = vectors[rows[:1]]
    if known is None or blind:
        squared, which = measure(vectors, centres[:: _stride(len(centres))])
        farthest = _Farthest(vectors, centres, squared, which, k, _stride(len(centres)) > 1)
    else:
        farthest = _Farthest(vectors, centres, *_recalled(pool, known), k)
    if blind:
        farthest.take(rows[0])
        scores[0] = farthest.find(rng)[1] if len(pool) > 1 else 0
    for turn in range(blind, k):
        rows[turn], scores[turn] = farthest.find(rng)
        farthest.take(rows[turn])
    return Selection(pool.ids[rows], np.sqrt(scores))


def _stride(centres: int) -> int:
    """Return which centres bound the distances at first: every so many-th."""
    return 5 if centres >= MANY else 1


class _Farthest:
    """Finds the farthest item; measures only those that may be it.

    `upper` (N,) are upper bounds of the squared distances to the nearest centre. `seen` (N,) says
    with how many of the picks they reckon; −1 is the bound in the vectors' own precision, which
    has not been measured again. What is outside the window is at most `outside`. `rough` bounds
    reckon with some centres only: `which` is then found when an item may be the farthest.
    """

    def __init__(
        self,
        vectors: FloatArray,
        centres: FloatArray,
        squared: FloatArray,
        which: IntArray,
        k: int,
        rough: bool = False,
    ) -> None:
        self.rough, self.refreshed = rough, WINDOW if rough else REFRESHED
        self.vectors, self.centres, self.which = vectors, centres, which
        longest = squared_norms(vectors).max() + squared_norms(centres).max(initial=0)
        self.upper = squared.astype(np.float64) + ROUNDING * float(longest)
        self.seen = np.full(len(vectors), -1)
        self.picked = np.empty((k, vectors.shape[1]))
        self.picks = 0
        self.window = np.empty(0, np.int64)
        self.outside = np.inf

    def find(self, rng: np.random.Generator) -> tuple[int, float]:
        """Return the farthest item's row and its squared distance."""
        while True:
            bounds = self.upper[self.window]
            if bounds.max(initial=-np.inf) < self.outside:
                self._look_further(rng)
                continue
            place = best(bounds, rng)
            row = int(self.window[place])
            if self.seen[row] == self.picks:
                return row, float(bounds[place])
            stale = np.flatnonzero(self.seen[self.window] < self.picks)
            first = top(bounds[stale], min(self.refreshed, len(stale)), rng)
            self._refresh(self.window[stale[first]])

    def take(self, row: int) -> None:
        """Make an item a centre."""
        self.picked[self.picks] = self.vectors[row]
        self.picks += 1
        self.upper[row] = -np.inf
        self.seen[row] = len(self.picked)  # never stale again

    def _look_further(self, rng: np.random.Generator) -> None:
        """Move the window to the items with the highest bounds."""
        rows = top(self.upper, min(WINDOW + 1, len(self.upper)), rng)
        self.window = rows[:WINDOW]
        self.outside = float(self.upper[rows[WINDOW]]) if len(rows) > WINDOW else -np.inf

    def _refresh(self, rows: IntArray) -> None:
        """Bring some items' distances up to date."""
        own = self.vectors[rows].astype(np.float64)
        unmeasured = self.seen[rows] < 0
        if self.rough and unmeasured.any():
            fresh = rows[unmeasured]
            self.which[fresh] = measure(self.vectors[fresh], self.centres)[1]
        apart = own[unmeasured] - self.centres[self.which[rows[unmeasured]]]
        self.upper[rows[unmeasured]] = squared_norms(apart)
        since = max(0, int(self.seen[rows].min()))
        if since < self.picks:
            distances = squared_distances(own, self.picked[since : self.picks])
            self.upper[rows] = np.minimum(self.upper[rows], distances.min(axis=1))
        self.seen[rows] = self.picks


def _recalled(pool: Pool, known: Nearest) -> tuple[FloatArray, IntArray]:
    """Return the kept distances to what is labelled, shortened by what is asked for already."""
    if not np.array_equal(known.ids, pool.ids) or pool.labelled_ids is None:
        raise PoolError("These distances are of another pool: bring them up to date by `nearest`.")
    squared, which = known.squared, positions(known.nearest_ids, pool.labelled_ids)
    if pool.pending_embeddings is None:
        return squared, which
    distance, position = measure(needed(pool.embeddings), pool.pending_embeddings)
    closer = distance < squared
    return np.where(closer, distance, squared), np.where(
        closer, position + len(pool.labelled_ids), which
    )
