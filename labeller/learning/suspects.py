"""Labels that may be wrong, from predictions of models that did not see them. Pure arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from labeller.learning.images import Ints

Floats = NDArray[np.floating[Any]]

TWINS = 5  # neighbours looked at for a near-duplicate with another label


def label_errors(columns: Ints, probs: Floats) -> Ints:
    """Return the rows whose label is likely wrong, by confident learning, likeliest first.

    Parameters
    ----------
    columns : array of int, shape (n,)
        Labels, from 0.
    probs : array of float, shape (n, C)
        Out of fold: of each row by a model that was not trained on it.

    Returns
    -------
    ndarray of int, shape (m,)
        Rows, those first whose label the model believes least.

    References
    ----------
    Northcutt, C., Jiang, L. and Chuang, I. Confident Learning: Estimating Uncertainty in Dataset
    Labels. JAIR 2021.
    """
    present, compact = np.unique(columns, return_inverse=True)
    if len(present) < 2:
        return np.empty(0, np.int64)
    kept = probs[:, present].astype(np.float64) + 1e-12
    found = find_label_issues(
        compact,
        kept / kept.sum(axis=1, keepdims=True),
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    return np.asarray(found, np.int64)


def losses(columns: Ints, probs: Floats) -> NDArray[np.float64]:
    """Return the log loss (n,) in nats of each label (n,) under probabilities (n, C)."""
    own = probs[np.arange(len(columns)), columns].astype(np.float64)
    return -np.log(np.maximum(own, 1e-12))


def contradictions(embeddings: Floats, columns: Ints, distance: float) -> list[tuple[int, int]]:
    """Return pairs of near-duplicates whose labels differ, closest first.

    Parameters
    ----------
    embeddings : array of float, shape (n, D)
        Of length one.
    columns : array of int, shape (n,)
        Labels.
    distance : float
        Pairs further apart are no near-duplicates.

    Returns
    -------
    list of (int, int)
        Rows i < j, each pair once; of more than five close neighbours the five nearest count.
    """
    if len(columns) < 2:
        return []
    index = NearestNeighbors(n_neighbors=min(TWINS + 1, len(columns))).fit(embeddings)
    far, near = index.kneighbors(embeddings)
    pairs: dict[tuple[int, int], float] = {}
    for row, (gaps, others) in enumerate(zip(far, near, strict=True)):
        for gap, other in zip(gaps.tolist(), others.tolist(), strict=True):
            if other != row and gap <= distance and columns[row] != columns[other]:
                pairs[min(row, other), max(row, other)] = gap
    return sorted(pairs, key=lambda pair: (pairs[pair], pair))
