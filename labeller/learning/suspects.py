"""Labels that may be wrong, from predictions of models that did not see them. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from labeller.learning.images import Ints
from labeller.services.import_twins import as_words, look_alikes

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


def contradictions(
    embeddings: Floats, columns: Ints, distance: float, looks: Sequence[bytes | None] = ()
) -> list[tuple[int, int]]:
    """Return pairs of near-duplicates whose labels differ: those that look the same first.

    Parameters
    ----------
    embeddings : array of float, shape (n, D)
        Of length one.
    columns : array of int, shape (n,)
        Labels.
    distance : float
        Embeddings further apart are no near-duplicates.
    looks : sequence of bytes, length n, optional
        Perceptual hashes, None where there is none.

    Returns
    -------
    list of (int, int)
        Rows i < j, each pair once, closest first; of more than five close embeddings the five
        nearest count.
    """
    pairs: dict[tuple[int, int], tuple[bool, float]] = {}
    for one, other, gap in _close(embeddings):
        if gap <= distance and columns[one] != columns[other]:
            pairs[min(one, other), max(one, other)] = True, gap
    for one, other, bits in _alike(looks):
        if columns[one] != columns[other]:
            pairs[min(one, other), max(one, other)] = False, bits
    return sorted(pairs, key=lambda pair: (pairs[pair], pair))


def _close(embeddings: Floats) -> Iterator[tuple[int, int, float]]:
    """Yield each row with its nearest others."""
    if len(embeddings) < 2:
        return
    index = NearestNeighbors(n_neighbors=min(TWINS + 1, len(embeddings))).fit(embeddings)
    far, near = index.kneighbors(embeddings)
    for row, (gaps, others) in enumerate(zip(far.tolist(), near.tolist(), strict=True)):
        yield from (
            (row, other, gap) for gap, other in zip(gaps, others, strict=True) if other != row
        )


def _alike(looks: Sequence[bytes | None]) -> Iterator[tuple[int, int, float]]:
    """Yield the rows whose hashes are close, mirrored or not."""
    known = [(row, bits) for row, bits in enumerate(looks) if bits is not None]
    hashes = [bits for _, bits in known]
    rows = np.array([row for row, _ in known], np.int64)
    for row, found in zip(rows.tolist(), look_alikes(hashes, rows, as_words(hashes)), strict=True):
        yield from ((row, one.other, float(one.bits)) for one in found if one.other != row)
