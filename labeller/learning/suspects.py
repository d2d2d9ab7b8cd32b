"""Labels that may be wrong, from predictions of models that did not see them. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray

from labeller.learning.images import Ints
from labeller.perceptual_hash import BITS, mirrored
from labeller.services.import_twins import as_words

Floats = NDArray[np.floating[Any]]

TWINS = 5  # near-duplicates with another label that are told of each image
CELLS = 16_000_000  # distances held at once
CHECKED = 256  # hashes compared with all others between two looks at whether to stop


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
    embeddings: Floats,
    columns: Ints,
    distance: float,
    looks: Sequence[bytes | None] = (),
    check: Callable[[], None] = lambda: None,
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
    check : callable
        Called now and then; may raise to stop.

    Returns
    -------
    list of (int, int)
        Rows i < j, each pair once, closest first. Of those that are close to a row and labelled
        otherwise the five closest count, by hash and by embedding: a thousand copies of one image
        make a few thousand pairs and not half a million.
    """
    by_looks = _together(_alike(looks, columns, check))
    by_distance = _together(_close(embeddings, columns, distance, check))
    ends = np.sort(np.concatenate([by_looks[0], by_distance[0]]), axis=1)
    gaps = np.concatenate([by_looks[1], by_distance[1]])
    measured = np.repeat([0, 1], [len(by_looks[1]), len(by_distance[1])])
    order = np.lexsort((ends[:, 1], ends[:, 0], gaps, measured))
    _, first = np.unique(ends[order], axis=0, return_index=True)
    return [(one, other) for one, other in ends[order[np.sort(first)]].tolist()]


def _together(parts: Iterable[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    """Join pairs (m, 2) with what lies between them (m,)."""
    found = [(np.empty((0, 2), np.int64), np.empty(0)), *parts]
    return np.concatenate([one for one, _ in found]), np.concatenate([gap for _, gap in found])


def _close(
    embeddings: Floats, columns: Ints, distance: float, check: Callable[[], None]
) -> Iterator[tuple[Ints, Floats]]:
    """Yield rows with the nearest others that are close and labelled otherwise."""
    squared = np.einsum("nd,nd->n", embeddings, embeddings)
    few, step = min(TWINS, len(columns)), max(1, CELLS // max(1, len(columns)))
    for start in range(0, len(columns), step):
        check()
        rows = np.arange(start, min(start + step, len(columns)))
        far = squared[rows, None] + squared - 2 * embeddings[rows] @ embeddings.T
        far[columns[rows, None] == columns] = np.inf
        near = np.argpartition(far, few - 1, axis=1)[:, :few]
        pairs = np.stack([np.repeat(rows, few), near.ravel()], axis=1)
        pairs = pairs[columns[pairs[:, 0]] != columns[pairs[:, 1]]]
        # The squares lose digits where two are near: those that are left are measured anew.
        gaps = np.linalg.norm(embeddings[pairs[:, 0]] - embeddings[pairs[:, 1]], axis=1)
        yield pairs[gaps <= distance], gaps[gaps <= distance]


def _alike(
    looks: Sequence[bytes | None], columns: Ints, check: Callable[[], None]
) -> Iterator[tuple[Ints, Floats]]:
    """Yield rows with those whose hashes are closest, mirrored or not, and labelled otherwise."""
    rows = np.array([row for row, bits in enumerate(looks) if bits is not None], np.int64)
    hashes = [bits for bits in looks if bits is not None]
    labels, words = columns[rows], np.ascontiguousarray(as_words(hashes).T)
    for queries in (as_words(hashes), as_words(map(mirrored, hashes))):
        for place, query in enumerate(queries):
            if place % CHECKED == 0:
                check()
            # The first word rules nearly all out, and is a quarter of the memory to look through.
            near = np.flatnonzero(np.bitwise_count(words[0] ^ query[0]) <= BITS)
            near = near[labels[near] != labels[place]]
            bits = np.bitwise_count(words[:, near] ^ query[:, None]).sum(axis=0, dtype=np.int64)
            order = np.argsort(bits, kind="stable")[:TWINS]
            kept = order[bits[order] <= BITS]
            pairs = np.stack([np.full(len(kept), rows[place]), rows[near[kept]]], axis=1)
            yield pairs, bits[kept].astype(np.float64)
