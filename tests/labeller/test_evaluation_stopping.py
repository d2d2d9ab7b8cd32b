"""The fitted learning curve: known curves, scipy's least squares, and how often it is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from labeller.services import stopping
from labeller.services.stopping import Forecast, Measured

LABELS = (100, 200, 300, 400, 500, 600)


def law(n: float, a: float = 0.92, b: float = 1.5, c: float = 0.5) -> float:
    return float(a - b * n**-c)


def points(n: int, seed: int | None = None) -> list[Measured]:
    """Return models on the law; with a seed measured on `n` items, else exactly."""
    rng = np.random.default_rng(seed)
    return [Measured(x, law(x) if seed is None else rng.binomial(n, law(x)) / n, n) for x in LABELS]


def test_too_few_points_say_nothing() -> None:
    assert stopping.fit([]) is None
    assert stopping.fit(points(100)[:3]) is None
    same = [Measured(100, 0.8, 50), Measured(100, 0.82, 50)]
    assert stopping.fit([*same, *points(50)[1:3]]) is None, "three numbers of labels"
    nothing = [Measured(0, 0.1, 50), Measured(50, 0.5, 0)]
    assert stopping.fit([*nothing, *points(50)[:3]]) is None
    assert stopping.fit(points(100)[:4]) is not None


def test_an_exact_law_measured_on_very_many_items_is_found() -> None:
    curve = stopping.fit(points(10_000_000))
    assert curve is not None
    assert curve.spread == 1.0
    mean, low, high = curve.at(np.array([100.0, 350.0, 1200.0]))
    expected = [law(100), law(350), law(1200)]
    assert mean == pytest.approx(expected, abs=5e-4)
    assert (low <= mean).all()
    assert (mean <= high).all()
    gain, least, most = curve.gain(600, 200)
    assert gain == pytest.approx(law(800) - law(600), abs=3e-4)
    assert least < gain < most


def test_it_is_the_weighted_least_squares_of_scipy() -> None:
    measured = points(20_000, seed=4)
    curve = stopping.fit(measured)
    assert curve is not None
    y = np.array([p.accuracy for p in measured])
    sigma = np.sqrt(y * (1 - y) / 20_000)
    best, _ = curve_fit(
        lambda n, a, b, c: a - b * n**-c,
        np.array(LABELS, float),
        y,
        p0=(0.9, 1, 0.5),
        sigma=sigma,
        absolute_sigma=True,
    )
    at = np.array([100.0, 300.0, 600.0, 900.0])
    mean, low, high = curve.at(at)
    expected = [law(n, *best) for n in at]
    assert np.all(np.abs(mean - expected) < 0.4 * (high - low))
    assert mean[:3] == pytest.approx(expected[:3], abs=0.003)


def test_the_band_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = law(800) - law(600)
    held = []
    for seed in range(60):
        curve = stopping.fit(points(400, seed))
        assert curve is not None
        _, low, high = curve.gain(600, 200)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.88


def test_more_items_make_the_band_narrower() -> None:
    widths = []
    for n in (60, 600, 60_000):
        curve = stopping.fit([Measured(x, law(x), n) for x in LABELS])
        assert curve is not None
        _, low, high = curve.gain(600, 200)
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


def test_points_that_scatter_more_than_binomially_widen_the_band() -> None:
    exact = [Measured(x, law(x), 10_000) for x in LABELS]
    jumps = (0.03, -0.03, 0.03, -0.03, 0.03, -0.03)
    wild = [Measured(p.labels, p.accuracy + j, p.n) for p, j in zip(exact, jumps, strict=True)]
    calm, stormy = stopping.fit(exact), stopping.fit(wild)
    assert calm is not None
    assert stormy is not None
    assert stormy.spread > 5
    widths = []
    for curve in (calm, stormy):
        _, low, high = curve.at(np.array([300.0]))
        widths.append(float(high[0] - low[0]))
    assert widths[1] > 3 * widths[0]


def test_accuracy_stays_possible_and_seeded() -> None:
    perfect = stopping.fit([Measured(x, 1.0, 40) for x in LABELS])
    assert perfect is not None
    _, _, high = perfect.at(np.array([600.0, 100_000.0]))
    assert high.max() <= 1.0
    again = stopping.fit([Measured(x, 1.0, 40) for x in LABELS])
    assert again is not None
    assert again.gain(600, 100) == perfect.gain(600, 100)


@pytest.mark.parametrize(
    ("gain", "high", "verdict"),
    [(0.02, 0.03, "go_on"), (0.001, 0.004, "stop"), (0.002, 0.02, "unclear")],
)
def test_the_verdict_weighs_gain_and_band(gain: float, high: float, verdict: str) -> None:
    assert stopping.verdict(Forecast(600, 200, gain, -0.01, high, None)) == verdict


def test_a_verdict_on_a_small_batch_looks_as_far_as_on_a_larger_one() -> None:
    """One label brings next to nothing even on a steep curve: that is no reason to stop."""
    curve = stopping.fit(points(10_000))
    assert curve is not None
    assert stopping.verdict(stopping.forecast(curve, 600, 1, None)) == "stop"
    for more in (1, 20, 200):
        judged = stopping.forecast(curve, 600, stopping.horizon(more, 5_000), None)
        assert (judged.more, stopping.verdict(judged)) == (200, "go_on")
    assert stopping.horizon(300, 5_000) == 300
    assert stopping.horizon(1, 30) == stopping.horizon(300, 30) == 30


def test_a_forecast_knows_how_long_it_takes() -> None:
    curve = stopping.fit(points(400))
    assert curve is not None
    expected = stopping.forecast(curve, 600, 200, 1.8)
    assert expected.seconds == pytest.approx(360)
    assert expected.half_width == pytest.approx((expected.high - expected.low) / 2)
    assert stopping.forecast(curve, 600, 200, None).seconds is None
