"""`bald` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skactiveml.pool import batch_bald

from strategies.base import Pool
from strategies.pool.bald import bald, mutual_information


def test_by_hand() -> None:
    blurred = [[0.5, 0.5], [0.5, 0.5]]  # both samples unsure: nothing to learn about the model
    disputed = [[1.0, 0.0], [0.0, 1.0]]  # each certain of another class: log 2
    agreed = [[1.0, 0.0], [1.0, 0.0]]
    samples = np.array([blurred, disputed, agreed]).transpose(1, 0, 2)
    selection = bald(Pool(np.array([7, 8, 9]), mc_probs=samples), 1, np.random.default_rng(0))
    assert selection.ids.tolist() == [8]
    assert selection.scores[0] == pytest.approx(math.log(2))
    np.testing.assert_allclose(mutual_information(samples), [0, math.log(2), 0], atol=1e-15)


def test_as_computed_one_by_one() -> None:
    samples = np.random.default_rng(0).dirichlet(np.ones(4), size=(6, 50))

    def entropy(row: np.ndarray) -> float:
        return -sum(float(p) * math.log(p) for p in row)

    expected = [
        entropy(samples[:, item].mean(axis=0)) - sum(entropy(s) for s in samples[:, item]) / 6
        for item in range(50)
    ]
    np.testing.assert_allclose(mutual_information(samples), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 100, 3), (20, 100, 10), (5, 30, 100)])
def test_as_scikit_activeml(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    samples = rng.dirichlet(np.full(shape[2], 0.5), size=shape[:2])
    samples = (samples + 1e-6) / (1 + shape[2] * 1e-6)  # theirs clips at 1e-7
    theirs = batch_bald(samples.copy(), 1)[0]
    pool = Pool(np.arange(shape[1]), mc_probs=samples)
    selection = bald(pool, shape[1], np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=1e-9)
    single = Pool(np.arange(shape[1]), mc_probs=samples.astype(np.float32))
    selection = bald(single, shape[1], np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, theirs[selection.ids], atol=2e-6)


def test_one_sample_disagrees_with_nobody() -> None:
    samples = np.random.default_rng(0).dirichlet(np.ones(4), size=(1, 50))
    np.testing.assert_allclose(mutual_information(samples), 0, atol=1e-15)
