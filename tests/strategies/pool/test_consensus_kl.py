"""`consensus_kl` by hand, by brute force, against scikit-activeml, and against `bald`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skactiveml.pool import average_kl_divergence

from strategies.base import Pool
from strategies.pool.bald import mutual_information
from strategies.pool.consensus_kl import consensus_kl, divergence


def test_by_hand() -> None:
    agreed = [[0.6, 0.4], [0.6, 0.4]]
    opposite = [[1.0, 0.0], [0.0, 1.0]]
    samples = np.array([agreed, opposite]).transpose(1, 0, 2)
    selection = consensus_kl(Pool(np.array([7, 8]), mc_probs=samples), 2, np.random.default_rng(0))
    assert selection.ids.tolist() == [8, 7]
    np.testing.assert_allclose(selection.scores, [math.log(2), 0], atol=1e-15)


def test_as_computed_one_by_one() -> None:
    samples = np.random.default_rng(0).dirichlet(np.ones(4), size=(6, 50))
    expected = []
    for item in range(50):
        mean = samples[:, item].mean(axis=0)
        each = [
            sum(p * math.log(p / q) for p, q in zip(row, mean, strict=True))
            for row in samples[:, item]
        ]
        expected.append(sum(each) / 6)
    np.testing.assert_allclose(divergence(samples), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_as_scikit_activeml_and_as_bald(classes: int) -> None:
    samples = np.random.default_rng(0).dirichlet(np.full(classes, 0.5), size=(9, 200))
    samples = (samples + 1e-6) / (1 + classes * 1e-6)  # theirs clips at 1e-7
    np.testing.assert_allclose(
        divergence(samples), average_kl_divergence(samples.copy()), atol=1e-9
    )
    np.testing.assert_allclose(divergence(samples), mutual_information(samples), atol=1e-12)
