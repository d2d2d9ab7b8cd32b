"""Reliability bins by hand, and probabilities as they were before temperature scaling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve

from labeller.services import evaluation_calibration as calibration
from labeller.services.evaluation import calibration_error
from labeller.services.evaluation_scores import wilson


def test_reliability_by_hand() -> None:
    probs = np.array([[0.95, 0.05], [0.1, 0.9], [0.62, 0.38], [0.7, 0.3]])
    first, second, third = calibration.reliability(probs, np.array([0, 1, 1, 0]))
    assert (first.start, first.end, first.n, first.accuracy) == (0.6, 0.7, 2, 0.5)
    assert first.confidence == pytest.approx(0.66)
    assert (first.low, first.high) == wilson(1, 2)
    # 0.9 closes its bin above
    assert (second.start, second.n, third.start, third.n) == (0.8, 1, 0.9, 1)
    assert calibration.reliability(np.empty((0, 2)), np.empty(0, np.int64)) == ()


def test_bins_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 400)
    probs = np.stack([sure, 1 - sure], axis=1)
    truth = (rng.random(400) > sure).astype(np.int64)
    found = calibration.reliability(probs, truth)
    accuracy, confidence = calibration_curve(truth == 0, sure, n_bins=10)
    assert [one.accuracy for one in found] == pytest.approx(accuracy)
    assert [one.confidence for one in found] == pytest.approx(confidence)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_temperature_is_taken_back(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (50, 5))
    after = softmax(logits / temperature, axis=1).astype(np.float32)
    before = calibration.untempered(after, temperature)
    np.testing.assert_allclose(before, softmax(logits, axis=1), atol=2e-6)
    assert calibration.untempered(after[:0], temperature).shape == (0, 5)


def test_what_is_impossible_stays_impossible() -> None:
    before = calibration.untempered(np.array([[1.0, 0.0], [0.5, 0.5]]), 2.0)
    assert before.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_calibration_measures_both_sides() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (300, 3))
    truth = np.array([rng.choice(3, p=row) for row in softmax(logits / 2, axis=1)])
    before, after = softmax(logits, axis=1), softmax(logits / 2, axis=1)
    found = calibration.calibration(before, after, truth, 2.0)
    assert found.ece_before == calibration_error(before, truth)
    assert found.ece_after == calibration_error(after, truth)
    assert found.ece_after < found.ece_before
    assert sum(one.n for one in found.before) == sum(one.n for one in found.after) == 300
