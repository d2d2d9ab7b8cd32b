"""Features with fewer columns, kept in memory, so that thousands of heads can be trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labeller.learning.features import Features, Floats, Scaling
from labeller.learning.heads import CLAMP
from labeller.learning.images import Ints
from labeller.learning.replay_ground import Ground

COLUMNS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced(Features):
    """Features of some items: `rows` (n, d) in place of their own, and their own `vectors` (n, e).

    `ids` (n,) rise.
    """

    ids: Ints
    rows: Floats
    vectors: Floats

    @property
    def width(self) -> int:
        """Length d of a row."""
        return int(self.rows.shape[1])

    def read(self, ids: Ints) -> Floats:
        """Return rows (m, d) of items."""
        return self.rows[np.searchsorted(self.ids, ids)]

    def embeddings(self, ids: Ints, _scaling: Scaling) -> Floats:
        """Return the vectors of length one (m, e) that the features themselves give."""
        return self.vectors[np.searchsorted(self.ids, ids)]


def reduced(ground: Ground, columns: int = COLUMNS) -> tuple[Ground, float]:
    """Give a ground features that are principal components of its own, and say what is kept.

    Parameters
    ----------
    ground : Ground
    columns : int
        How many components, found on the images to pick from.

    Returns
    -------
    ground : Ground
    kept : float
        Share of the variance that the components have.

    Notes
    -----
    The components are turned at random among themselves, so that columns are alike again as those
    of the features are: Adam takes steps of one size in all columns, and would else make as much of
    the last component as of the first.
    """
    own, scaling = ground.features, ground.scaling
    ids = np.union1d(ground.pool.ids, ground.test.ids)
    scaled = np.clip((own.read(ids) - scaling.mean) / scaling.spread, -CLAMP, CLAMP)
    pool = scaled[np.searchsorted(ids, ground.pool.ids)]
    centre = pool.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((pool - centre).T))
    axes = axes[:, -columns:]
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(axes.shape[1],) * 2))
    rows = ((scaled - centre) @ (axes @ turn)).astype(np.float32)
    vectors = own.embeddings(ids, scaling)
    found = Reduced(own.backbone, own.recipe, own.file, ids=ids, rows=rows, vectors=vectors)
    of_pool = rows[np.searchsorted(ids, ground.pool.ids)]
    units = Scaling(np.zeros(rows.shape[1], np.float32), of_pool.std(axis=0))
    kept = float(values[-columns:].sum() / values.sum())
    return replace(ground, features=found, scaling=units), kept
