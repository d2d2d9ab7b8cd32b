"""Lazy greedy picks what plain greedy picks."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.greedy import lazy_greedy


@pytest.mark.parametrize("seed", range(10))
def test_same_picks_as_measuring_all_every_time(seed: int) -> None:
    """On set cover with weights, whose gains fall as sets are taken."""
    data = np.random.default_rng(seed)
    sets, worth = data.random((80, 200)) < 0.06, data.random(200)
    left = worth.copy()
    measured = []

    def measure(rows: np.ndarray) -> np.ndarray:
        measured.append(len(rows))
        gains: np.ndarray = sets[rows] @ left
        return gains

    def take(row: int) -> None:
        left[sets[row]] = 0

    rows, gains = lazy_greedy(sets @ worth, measure, take, 25, np.random.default_rng(0))
    rest = worth.copy()
    for turn in range(25):
        all_gains = sets @ rest
        all_gains[rows[:turn]] = -1
        assert rows[turn] == all_gains.argmax()
        assert gains[turn] == pytest.approx(all_gains.max())
        rest[sets[rows[turn]]] = 0
    assert sum(measured) < 25 * 80 / 2


def test_takes_all_when_asked_to() -> None:
    rows, gains = lazy_greedy(
        np.zeros(9), lambda rows: np.zeros(len(rows)), lambda row: None, 9, np.random.default_rng(0)
    )
    assert sorted(rows.tolist()) == list(range(9))
    assert gains.tolist() == [0] * 9
