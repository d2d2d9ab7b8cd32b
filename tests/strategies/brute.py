"""Definitions spelled out, to compare with what is computed cleverly."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.base import Pool, Selection, needed


def check_greedy(selection: Selection, pool: Pool, weights: np.ndarray, width: float) -> None:
    """Compare with the definition: every pick has the highest gain of all, given those before."""
    vectors, covered = needed(pool.embeddings), needed(pool.labelled_embeddings)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = covered / np.linalg.norm(covered, axis=1, keepdims=True)
    kernel = np.exp(-((unit[:, None] - unit[None]) ** 2).sum(axis=2) / width**2)
    cover = np.zeros(len(unit))
    for other in others:
        cover = np.maximum(cover, np.exp(-((unit - other) ** 2).sum(axis=1) / width**2))
    for item, score in zip(selection.ids, selection.scores, strict=True):
        row = int(np.flatnonzero(pool.ids == item)[0])
        gains = np.array([(weights * np.maximum(near - cover, 0)).mean() for near in kernel])
        assert score == pytest.approx(gains[row], abs=1e-12)
        assert score == pytest.approx(gains.max(), abs=1e-12)
        cover = np.maximum(cover, kernel[row])
