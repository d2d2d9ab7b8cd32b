"""Temperatures against a grid, and their prior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from labeller.learning.calibration import fit_temperature, probabilities


def sharpened(n: int, factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are `factor` times too sure, and truths drawn from the honest ones."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (n, 5))
    shares = np.exp(log_softmax(honest, axis=1))
    truth = np.array([rng.choice(5, p=row) for row in shares])
    return honest * factor, truth


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_finds_how_much_too_sure_the_logits_are(factor: float) -> None:
    logits, truth = sharpened(4000, factor)
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(factor, rel=0.06)


def test_agrees_with_a_grid_search() -> None:
    logits, truth = sharpened(300, 2.0)
    grid = np.exp(np.linspace(-1, 2, 3001))
    rows = np.arange(300)
    losses = [
        -log_softmax(logits / t, axis=1)[rows, truth].sum() + 2 * np.log(t) ** 2 for t in grid
    ]
    assert fit_temperature(logits, truth) == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)


def test_without_items_the_temperature_is_one() -> None:
    assert fit_temperature(np.empty((0, 3)), np.empty(0, np.int64)) == 1.0


def test_a_handful_that_is_all_right_does_not_ask_for_boundless_confidence() -> None:
    logits = np.eye(4) * 3
    found = fit_temperature(logits, np.arange(4))
    assert 0.4 < found < 1.0


def test_one_item_that_is_wrong_does_not_flatten_everything() -> None:
    assert 1.0 < fit_temperature(np.array([[8.0, 0.0]]), np.array([1])) < 4.0


def test_probabilities_sum_to_one_and_bear_huge_logits() -> None:
    probs = probabilities(np.array([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]]), 2.0)
    assert probs.dtype == np.float32
    assert probs[0].tolist() == [1, 0, 0]
    assert probs[1].tolist() == pytest.approx([1 / 3] * 3)
