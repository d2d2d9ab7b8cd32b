"""Arithmetic in blocks gives what it gives in one piece."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.vectors import blocks, rowwise, samplewise, squared_distances, unit


@pytest.mark.parametrize(("n", "width"), [(0, 5), (1, 1), (10, 10**9), (5_000_000, 3), (7, 0)])
def test_blocks_cover_every_row_once(n: int, width: int) -> None:
    parts = list(blocks(n, width))
    assert sum(part.stop - part.start for part in parts) == n
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])][: len(parts)]


def test_rowwise_and_samplewise() -> None:
    data = np.random.default_rng(0).random((3, 70_000, 4))
    rows = rowwise(lambda block: block.sum(axis=1), data[0])
    np.testing.assert_array_equal(rows, data[0].sum(axis=1))
    samples = samplewise(lambda block: block.max(axis=(0, 2)), data)
    np.testing.assert_array_equal(samples, data.max(axis=(0, 2)))


def test_unit_stacks_and_scales() -> None:
    stacked = unit(np.array([[3.0, 4], [0, 0]], np.float32), np.array([[0.0, 2]]))
    assert stacked.dtype == np.float32
    np.testing.assert_allclose(stacked, np.array([[0.6, 0.8], [0, 0], [0, 1]]), rtol=1e-6)


def test_squared_distances() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    expected = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(a, b), expected, atol=1e-12)
    assert (squared_distances(a, a) >= 0).all()
