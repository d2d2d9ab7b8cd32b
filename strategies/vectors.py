"""Arithmetic on many vectors in blocks, so that no temporary is as large as the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from strategies.base import FloatArray

BLOCK_VALUES = 4_000_000  # 16 MB of float32: large enough for BLAS, small enough for any machine
CACHED_VALUES = 160_000  # stays in a core's cache between two passes over it


def blocks(n: int, width: int) -> Iterator[slice]:
    """Yield slices of `n` rows whose temporaries of `width` values a row stay small."""
    rows = max(1, BLOCK_VALUES // max(1, width))
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def rowwise(score: Callable[[FloatArray], FloatArray], rows: FloatArray) -> FloatArray:
    """Return `score` of all of `rows` (N, C), shape (N,), called for some rows at a time."""
    scores = np.empty(len(rows), rows.dtype)
    step = max(1, CACHED_VALUES // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        scores[start : start + step] = score(rows[start : start + step])
    return scores


def samplewise(score: Callable[[FloatArray], FloatArray], samples: FloatArray) -> FloatArray:
    """Return `score` of all of `samples` (S, N, C), shape (N,), called for some items at a time."""
    scores = np.empty(samples.shape[1], samples.dtype)
    step = max(1, CACHED_VALUES // max(1, samples.shape[0] * samples.shape[2]))
    for start in range(0, len(scores), step):
        scores[start : start + step] = score(samples[:, start : start + step])
    return scores


def squared_norms(vectors: FloatArray) -> FloatArray:
    """Return the squared lengths (N,) of `vectors` (N, D)."""
    norms: FloatArray = np.einsum("nd,nd->n", vectors, vectors)
    return norms


def unit(*parts: FloatArray) -> FloatArray:
    """Return the rows of `parts` (n, D), one under the other, scaled to length one.

    Zero vectors stay zero. The type is that of the first part.
    """
    total, dimension = sum(len(part) for part in parts), parts[0].shape[1]
    scaled = np.empty((total, dimension), parts[0].dtype)
    end = 0
    for part in parts:
        start, end = end, end + len(part)
        lengths = np.sqrt(squared_norms(part))
        scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        np.multiply(part, scale[:, None], out=scaled[start:end], casting="same_kind")
    return scaled


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the squared Euclidean distances (A, B) between `a` (A, D) and `b` (B, D)."""
    squared: FloatArray = a @ b.T
    squared *= -2
    squared += squared_norms(a)[:, None]
    squared += squared_norms(b)
    return np.maximum(squared, 0, out=squared)
