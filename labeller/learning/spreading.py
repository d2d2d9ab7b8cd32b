"""Label spreading over embeddings: labels flow along a graph of nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

from labeller.learning.calibration import Floats, fit_temperature, probabilities
from labeller.learning.images import Ints
from labeller.learning.snapshot import Labels

NODES = 10_000  # of the graph; items beyond get what their nearest nodes have
NEIGHBOURS = 10
ALPHA = 0.8  # how much a node takes from its neighbours, beside its own label
ITERATIONS = 500
TOLERANCE = 1e-4
FLOOR = 1e-3  # share of a class below which differences mean nothing

Embed = Callable[[Ints], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Labels spread over a graph.

    Attributes
    ----------
    nodes : array of int, shape (n,)
        Items of the graph, rising.
    shares : array of float, shape (n, C)
        Of every class at each node; rows sum to one, or are zero where no label came.
    near : NearestNeighbors
        Over the nodes' embeddings.
    temperature : float
        Of the calibration on `valid_n` validation items.
    valid_n : int
    valid_accuracy : float or None
        Of them, their labels withheld from the graph.
    """

    nodes: Ints
    shares: Floats
    near: NearestNeighbors
    temperature: float
    valid_n: int
    valid_accuracy: float | None

    def probs(self, ids: Ints, embed: Embed) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, C) of items, whether or not they are nodes."""
        return calibrated(self.raw(ids, embed), self.temperature)

    def raw(self, ids: Ints, embed: Embed) -> Floats:
        """Return shares (n, C) of items: a node's own, or the mean of the nearest nodes'."""
        place = np.searchsorted(self.nodes, ids).clip(max=len(self.nodes) - 1)
        found: Floats = self.shares[place]
        others = np.flatnonzero(self.nodes[place] != ids)
        if len(others):
            nearest = self.near.kneighbors(embed(ids[others]), return_distance=False)
            found[others] = self.shares[nearest].mean(axis=1)
        return found


def spread(
    train: Labels, valid: Labels, pool: Ints, classes: int, embed: Embed, rng: np.random.Generator
) -> Spread:
    """Spread the training labels over the pool, and calibrate on the validation labels.

    The graph holds 10,000 items at most: labelled ones first, at most half of them, then others
    drawn at random. So memory and time stay the same for any pool.

    Parameters
    ----------
    train : Labels
        What is spread; of at least two classes.
    valid : Labels
        Nodes without a label: what comes to them calibrates the rest. May be empty.
    pool : array of int, shape (N,)
        Items without a label, rising.
    classes : int
        C.
    embed : callable
        Returns embeddings (n, e) of length one for items (n,).
    rng : numpy.random.Generator
        Draws the nodes when there are too many.

    Returns
    -------
    Spread

    References
    ----------
    Zhou, D. et al. Learning with Local and Global Consistency. NeurIPS 2004.
    """
    train, valid = _some(train, NODES // 2, rng), _some(valid, NODES // 10, rng)
    room = max(0, NODES - len(train) - len(valid))
    others = pool if len(pool) <= room else rng.choice(pool, room, replace=False)
    nodes = np.sort(np.concatenate([train.ids, valid.ids, others]))
    columns = np.full(len(nodes), -1, np.int64)
    columns[np.searchsorted(nodes, train.ids)] = train.columns
    vectors = embed(nodes)
    shares = spread_over(vectors, columns, classes)
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(nodes))).fit(vectors)
    known = valid.columns[np.isin(valid.columns, train.columns)]
    own = shares[np.searchsorted(nodes, valid.ids[np.isin(valid.columns, train.columns)])]
    accuracy = float((own.argmax(axis=1) == known).mean()) if len(known) else None
    return Spread(nodes, shares, near, fit_temperature(_logits(own), known), len(known), accuracy)


def spread_over(vectors: Floats, columns: Ints, classes: int) -> Floats:
    """Return the shares (n, C) of every class at the nodes of a graph.

    Parameters
    ----------
    vectors : array of float, shape (n, e)
    columns : array of int, shape (n,)
        Classes of the labelled nodes, −1 of the others.
    classes : int
        C.

    Returns
    -------
    ndarray of float, shape (n, C)
        Rows sum to one; zero where no label can come.

    References
    ----------
    Zhou, D. et al. Learning with Local and Global Consistency. NeurIPS 2004.
    """
    model = LabelSpreading(
        kernel="knn",
        n_neighbors=min(NEIGHBOURS, len(vectors)),
        alpha=ALPHA,
        max_iter=ITERATIONS,
        tol=TOLERANCE,
    )
    model.fit(vectors, columns)
    shares = np.zeros((len(vectors), classes))
    shares[:, model.classes_] = model.label_distributions_
    return shares


def calibrated(shares: Floats, temperature: float) -> NDArray[np.float32]:
    """Return probabilities (n, C) from shares; a row that no label came to is sure of nothing."""
    return probabilities(_logits(shares), temperature)


def _logits(shares: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(shares, FLOOR))
    return logs


def _some(labels: Labels, most: int, rng: np.random.Generator) -> Labels:
    """Return at most so many labels, drawn at random."""
    if len(labels) <= most:
        return labels
    kept = np.sort(rng.choice(len(labels), most, replace=False))
    return Labels(labels.ids[kept], labels.columns[kept])
