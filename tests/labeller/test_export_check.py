"""When an exported file is kept, warned about or refused, whatever the number of images."""

from __future__ import annotations

import numpy as np
import pytest

from labeller.errors import ExportError
from labeller.services.export_check import (
    EXACT,
    ROUNDED,
    Check,
    Columns,
    Limits,
    Probs,
    compare,
    interval,
    judge,
    warning,
)

SIZES = (20, 200, 2_000)


def model_of(n: int, seed: int = 0) -> tuple[Probs, Columns]:
    """Return probabilities of three classes, and true classes: nine in ten are the likeliest."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet((1, 1, 1), n).astype(np.float32)
    columns = np.where(rng.random(n) < 0.9, truth.argmax(1), (truth.argmax(1) + 1) % 3)
    return truth, columns


def kept(found: Probs, truth: Probs, columns: Columns, limits: Limits) -> Check:
    check = compare("model.onnx", 9, found, truth, columns)
    judge("model.onnx", found, truth, check, limits)
    return check


def swapped(truth: Probs, share: float) -> Probs:
    """Give another class to every so-manieth image."""
    found = truth.copy()
    rows = np.arange(0, len(truth), round(1 / share))
    found[rows] = np.roll(truth[rows], 1, axis=1)
    return found


@pytest.mark.parametrize("n", SIZES)
def test_the_same_is_kept(n: int) -> None:
    truth, columns = model_of(n)
    check = kept(truth + np.float32(1e-6), truth, columns, EXACT)
    assert (check.agree, check.compared) == (1.0, n)
    assert check.accuracy == check.model_accuracy
    assert check.typical is not None
    assert check.far is not None
    assert 0 < check.typical <= check.far <= check.largest < 1e-5
    assert warning(check) == ""


@pytest.mark.parametrize("n", [200, 2_000])
def test_one_image_in_many_that_is_a_little_off_is_no_reason(n: int) -> None:
    """As one edge that counted for another orientation was, which refused every export."""
    truth, columns = model_of(n)
    found = truth.copy()
    found[7] += np.array([0.004, -0.002, -0.002], np.float32)
    assert kept(found, truth, columns, EXACT).largest == pytest.approx(0.004, abs=1e-5)


@pytest.mark.parametrize("n", SIZES)
def test_another_class_for_a_fifth_is_refused_for_every_format(n: int) -> None:
    truth, columns = model_of(n)
    for limits in (EXACT, ROUNDED):
        if n == 20 and limits is ROUNDED:
            continue  # 4 of 20 may be chance where one in ten is allowed
        with pytest.raises(ExportError, match=r"another class for \d+ of [\d,]+ images"):
            kept(swapped(truth, 0.2), truth, columns, limits)


@pytest.mark.parametrize("n", SIZES)
def test_a_systematic_difference_is_refused_though_no_class_changes(n: int) -> None:
    truth, columns = model_of(n)
    flat = truth * np.float32(0.9) + np.float32(0.1 / 3)
    with pytest.raises(ExportError, match=r"off by more than 0\.001 on"):
        kept(flat, truth, columns, EXACT)
    assert kept(flat, truth, columns, ROUNDED).agree == 1.0


def test_one_image_that_is_far_off_is_refused_where_nothing_is_rounded() -> None:
    truth, columns = model_of(2_000)
    found = truth.copy()
    found[3] = np.roll(found[3], 1)
    with pytest.raises(ExportError, match=r"a probability is off by 0\.\d+\)"):
        kept(found, truth, columns, EXACT)
    assert kept(found, truth, columns, ROUNDED).agree == pytest.approx(1 - 1 / 2_000)


@pytest.mark.parametrize("limits", [EXACT, ROUNDED])
def test_no_number_is_refused(limits: Limits) -> None:
    truth, columns = model_of(200)
    with pytest.raises(ExportError):
        kept(np.full_like(truth, np.nan), truth, columns, limits)


def test_a_sure_loss_is_warned_about_and_a_large_one_refused() -> None:
    truth, columns = model_of(1_000)
    columns = truth.argmax(1)
    columns[:100] = (columns[:100] + 1) % 3  # the model is right on 900 of 1,000
    some = truth.copy()
    some[200:230] = np.roll(some[200:230], 1, axis=1)  # 30 of them it loses
    check = kept(some, truth, columns, ROUNDED)
    # Agresti and Min: (0 − 30) / 1002 ± 1.96 √((31 / 1002 − 0.0299²) / 1002)
    assert interval(check) == "−3.0 (−4.1 to −1.9)"
    assert warning(check).startswith("model.onnx loses accuracy: −3.0 (−4.1 to −1.9) points")
    assert "chance" not in warning(check)
    many = truth.copy()
    many[200:280] = np.roll(many[200:280], 1, axis=1)
    with pytest.raises(ExportError, match=r"its accuracy is lower by −8\.0 \(−9\.7 to −6\.3\)"):
        kept(many, truth, columns, ROUNDED)


def test_a_loss_that_may_be_chance_says_so() -> None:
    truth, _ = model_of(60)
    columns = truth.argmax(1)
    found = swapped(truth, 1 / 60)
    said = warning(kept(found, truth, columns, ROUNDED))
    # (0 − 1) / 62 ± 1.96 √((2 / 62 − 0.0161²) / 62)
    assert "−1.7 (−6.1 to +2.8) points against the model, which may be chance" in said


def test_images_without_a_label_measure_no_accuracy() -> None:
    truth, columns = model_of(200)
    found = truth.copy()
    found[100:105] = np.roll(found[100:105], 1, axis=1)
    columns[100:] = -1
    check = kept(found, truth, columns, ROUNDED)
    assert check.accuracy == check.model_accuracy
    assert check.agree == 0.975
