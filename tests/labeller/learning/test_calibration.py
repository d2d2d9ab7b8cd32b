"""Temperatures against a grid, their prior, and when one is fitted at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from labeller.learning.calibration import choose_temperature, fit_temperature, probabilities
from labeller.services import training_words


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


@pytest.mark.parametrize("n", [0, 1, 7, 19])
def test_fewer_than_twenty_labels_leave_the_temperature_at_one(n: int) -> None:
    logits, truth = sharpened(n, 5.0)
    found = choose_temperature(logits, truth)
    assert (found.value, found.n, found.gain, found.fitted) == (1.0, n, None, False)


def test_a_temperature_that_helps_is_the_one_fitted_on_all_labels() -> None:
    logits, truth = sharpened(200, 3.0)
    found = choose_temperature(logits, truth)
    assert found.fitted
    assert found.value == fit_temperature(logits, truth)
    assert found.gain is not None
    assert found.error is not None
    assert found.gain > found.error > 0


def test_the_gain_is_that_of_labels_held_out_of_the_fit() -> None:
    logits, truth = sharpened(20, 2.0)  # two labels in each of ten folds
    fold = np.random.default_rng(0).permutation(20) % 10
    gains = []
    for number in range(10):
        rest, held = fold != number, fold == number
        t = fit_temperature(logits[rest], truth[rest])
        rows = np.arange(2)
        after = log_softmax(logits[held] / t, axis=1)[rows, truth[held]]
        gains += (after - log_softmax(logits[held], axis=1)[rows, truth[held]]).tolist()
    found = choose_temperature(logits, truth)
    assert found.gain == pytest.approx(np.mean(gains))
    assert found.error == pytest.approx(np.std(gains, ddof=1) / np.sqrt(20))


def test_honest_logits_are_mostly_left_alone_and_never_spoilt() -> None:
    fits = [choose_temperature(*sharpened(40, 1.0, seed)) for seed in range(30)]
    assert sum(one.fitted for one in fits) <= 10
    assert all(0.5 < one.value < 1.8 for one in fits)


def test_a_burst_is_held_out_as_one() -> None:
    logits, truth = sharpened(30, 4.0)
    burst = np.zeros(30, np.int64)  # nothing is left to fit on
    assert choose_temperature(logits, truth, burst).gain is None
    pairs = np.repeat(np.arange(15), 2)
    twice = np.repeat(logits[:15], 2, axis=0), np.repeat(truth[:15], 2)
    # each image twice: held out together, the second tells nothing of the first
    assert choose_temperature(*twice, pairs).gain != choose_temperature(*twice).gain


def test_the_words_say_why_a_temperature_is_what_it_is() -> None:
    assert training_words.temperature({"temperature": 1.25}) == "1.25"
    few = {"temperature": 1.0, "calibrated_n": 7, "calibration_gain": None}
    assert training_words.temperature(few) == (
        "1.00: 7 validation labels, too few to fit another (at least 20)"
    )
    kept = {"temperature": 1.0, "calibrated_n": 1_063, "calibration_gain": -0.01}
    assert training_words.temperature(kept | {"calibrated_on": "nothing"}) == (
        "1.00: no other made 1,063 validation labels likelier when they were held out of its fit"
    )
    good = {"temperature": 1.31, "calibrated_n": 212, "calibration_gain": 0.1}
    assert training_words.temperature(good | {"calibrated_on": "validation"}) == (
        "1.31, fitted on 212 validation labels"
    )
