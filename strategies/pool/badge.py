"""BADGE: different gradients, large gradients."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.ranking import best
from strategies.registry import pool_strategy
from strategies.vectors import blocks, squared_norms

WAITING = 32  # picks after which all distances are brought up to date, in one matrix product
REFUSED = 64  # draws in a row that may fail before that


@pool_strategy("badge", needs=Needs.PROBS | Needs.EMBEDDINGS, ordered=False)
def badge(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """Draw items whose loss gradients are large and unlike each other.

    The gradient that an item would give the model's last layer, were its prediction right, is long
    when the model is unsure, and points where item and prediction do. The first pick has the
    longest; each further one is drawn in proportion to its squared distance to the nearest pick
    (k-means++). Uncertain and varied without a setting; a good choice for large batches once there
    are tens of labels per class.

    Parameters
    ----------
    pool : Pool
        With `probs` (N, C) and `embeddings` (N, D), the input of the model's last layer.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Draws the items.

    Returns
    -------
    Selection
        Scores are the distances of the gradients to the nearest earlier pick's, for the first its
        length.

    References
    ----------
    Ash, J. T., Zhang, C., Krishnamurthy, A., Langford, J. and Agarwal, A. Deep Batch Active
    Learning by Diverse, Uncertain Gradient Lower Bounds. ICLR 2020.

    Notes
    -----
    A gradient is the outer product of q = p − 1_ŷ and the embedding x, so the inner product of two
    is ⟨qᵢ, qⱼ⟩⟨xᵢ, xⱼ⟩, and the N × (C · D) matrix is never built. Distances to the nearest pick
    only fall: an item is drawn by old ones, measured, and kept with the probability new / old. That
    is an exact draw by the new distances, and most picks need no pass over the pool.
    """
    gradients = Gradients(needed(pool.probs), needed(pool.embeddings))
    rows, squared = draw(gradients, k, rng)
    if len(rows) < k:  # no gradient left that differs from the picks': any other item
        others = np.setdiff1d(np.arange(len(pool)), rows)
        rows = np.append(rows, rng.choice(others, k - len(rows), replace=False))
        squared = np.append(squared, np.zeros(k - len(squared)))
    return Selection(pool.ids[rows], np.sqrt(squared))


def draw(gradients: Gradients, k: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Draw up to k rows by k-means++, fewer when all other gradients equal one of those drawn.

    Returns
    -------
    rows : array of int, shape (k,) or shorter
    squared : array of float, of the same shape
        Squared distances to the nearest earlier row; the first one's squared length.
    """
    rows, squared = np.empty(k, np.int64), np.empty(k)
    rows[0] = best(gradients.norms, rng)
    squared[0] = gradients.norms[rows[0]]
    bounds = np.full(len(gradients.norms), np.inf)
    reckoned = refused = 0  # picks that the bounds reckon with; draws refused since the last one
    taken = 1
    while taken < k:
        if reckoned == 0 or taken - reckoned == WAITING or refused == REFUSED:
            gradients.shorten(bounds, rows[reckoned:taken])
            sums, reckoned, refused = np.cumsum(bounds), taken, 0
            if sums[-1] == 0:
                break
        row = min(int(np.searchsorted(sums, rng.random() * sums[-1], "right")), len(sums) - 1)
        now = min(bounds[row], gradients.nearest(row, rows[reckoned:taken]))
        if rng.random() * bounds[row] < now:
            rows[taken], squared[taken] = row, now
            taken, refused = taken + 1, 0
        else:
            refused += 1
    return rows[:taken], squared[:taken]


class Gradients:
    """Gradients of N items, as the two factors of each: `factors` (N, C) and `vectors` (N, D).

    `norms` (N,) are their squared lengths.
    """

    def __init__(self, probs: FloatArray, vectors: FloatArray) -> None:
        self.factors: FloatArray = probs.copy()
        self.factors[np.arange(len(probs)), probs.argmax(axis=1)] -= 1
        self.vectors = vectors
        self.norms = (squared_norms(self.factors) * squared_norms(vectors)).astype(np.float64)
        self.rounding = 8 * float(np.finfo(vectors.dtype).eps)

    def squared_distances(self, rows: IntArray | slice, centres: IntArray) -> FloatArray:
        """Return the squared distances (r, c) of the gradients at `rows` to those at `centres`."""
        inner = (self.factors[rows] @ self.factors[centres].T).astype(np.float64)
        inner *= self.vectors[rows] @ self.vectors[centres].T
        sums = self.norms[rows][:, None] + self.norms[centres]
        squared: FloatArray = sums - 2 * inner
        squared[squared < self.rounding * sums] = 0  # no more than the rounding of equal gradients
        return squared

    def nearest(self, row: int, centres: IntArray) -> float:
        """Return the squared distance of one gradient to the nearest of some, 0 for one of them."""
        if len(centres) == 0:
            return np.inf
        if row in centres:
            return 0
        return float(self.squared_distances(np.array([row]), centres).min())

    def shorten(self, bounds: FloatArray, centres: IntArray) -> None:
        """Lower the squared distances `bounds` (N,) to those to the nearest of `centres`."""
        for part in blocks(len(bounds), len(centres) + self.vectors.shape[1] // 4):
            squared = self.squared_distances(part, centres).min(axis=1)
            np.minimum(bounds[part], squared, out=bounds[part])
        bounds[centres] = 0
