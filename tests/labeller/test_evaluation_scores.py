"""Scores of a confusion matrix and their intervals: scipy, scikit-learn, brute force."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import binomtest

from labeller.services import evaluation_scores as scores
from labeller.services.evaluation import confusion


@pytest.mark.parametrize(
    ("right", "n"), [(0, 1), (1, 1), (0, 60), (51, 60), (60, 60), (838, 1000), (7, 100_000)]
)
def test_wilson_is_that_of_scipy(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert scores.wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_by_hand() -> None:
    # 8 of 10 with z² = 3.8415: (0.8 + 0.19207) / 1.38415 ± ...
    low, high = scores.wilson(8, 10)
    assert low == pytest.approx(0.4901625, abs=1e-6)
    assert high == pytest.approx(0.9433178, abs=1e-6)
    assert scores.wilson(0, 0) == (0.0, 1.0)
    assert scores.wilson(0, 5)[0] == 0.0
    assert scores.wilson(5, 5)[1] == 1.0
    with pytest.raises(ValueError, match="6 of 5"):
        scores.wilson(6, 5)


def test_wilson_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    counts = rng.binomial(80, 0.85, 2000)
    held = [low <= 0.85 <= high for low, high in (scores.wilson(int(c), 80) for c in counts)]
    assert 0.93 <= np.mean(held) <= 0.98


def predictions(seed: int, n: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and predictions right three times in four."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    return truth, np.where(rng.random(n) < 0.75, truth, rng.integers(0, classes, n))


def test_class_scores_are_those_of_scikit_learn() -> None:
    truth, predicted = predictions(0)
    found = scores.class_scores(confusion(truth, predicted, 4), [7, 8, 9, 10])
    precision, recall, _, support = sklearn.metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(4)
    )
    assert [one.class_id for one in found] == [7, 8, 9, 10]
    assert [one.precision.value for one in found] == pytest.approx(precision)
    assert [one.recall.value for one in found] == pytest.approx(recall)
    assert [one.support for one in found] == support.tolist()
    first = found[0].recall
    assert (first.low, first.high) == scores.wilson(first.right, first.n)


def test_a_class_that_is_not_there_has_no_score() -> None:
    (nothing, _) = scores.class_scores(np.array([[0, 0], [0, 3]]), [1, 2])
    assert (nothing.precision.value, nothing.recall.value) == (None, None)
    assert (nothing.recall.low, nothing.recall.high) == (0.0, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_macro_f1_is_that_of_scikit_learn(seed: int) -> None:
    truth, predicted = predictions(seed)
    table = confusion(truth, predicted, 6)  # two classes more than there are
    expected = sklearn.metrics.f1_score(truth, predicted, average="macro")
    assert scores.macro_f1(table) == pytest.approx(expected)
    assert scores.macro_f1(np.zeros((3, 3), np.int64)) is None


def test_the_bootstrap_is_that_of_drawing_the_items_anew() -> None:
    truth, predicted = predictions(1, n=80)
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(600):
        rows = rng.integers(0, len(truth), len(truth))
        drawn.append(sklearn.metrics.f1_score(truth[rows], predicted[rows], average="macro"))
    expected = np.quantile(drawn, [0.025, 0.975])
    found = scores.macro_f1_interval(confusion(truth, predicted, 4), seed=3, draws=1_500)
    assert found == pytest.approx(expected, abs=0.02)


def test_the_bootstrap_is_seeded_and_holds_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    table = confusion(*predictions(2), 4)
    found = scores.macro_f1_interval(table, seed=1)
    assert found == scores.macro_f1_interval(table, seed=1)
    assert found != scores.macro_f1_interval(table, seed=2)
    score = scores.macro_f1(table)
    assert found is not None
    assert score is not None
    assert found[0] < score < found[1]
    monkeypatch.setattr(scores, "CELLS", 100)  # summed in parts
    parts = scores.macro_f1_interval(table, seed=1)
    assert parts == pytest.approx(found, abs=1e-12)


def test_no_error_is_not_certainty() -> None:
    table = np.diag([5, 15])
    assert scores.macro_f1_interval(table) == (scores.wilson(20, 20)[0], 1.0)
    assert scores.macro_f1_interval(np.zeros((2, 2), np.int64)) is None
    for wrong in ([[0, 1], [0, 0]], [[0, 5], [5, 0]]):
        table = np.array(wrong)
        assert scores.macro_f1_interval(table) == (0.0, scores.wilson(0, table.sum())[1])


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe (1998), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_difference_of_two_shares_is_bounded_as_newcombe_does(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    one, two = ((right / n, *scores.wilson(right, n)) for right, n in (first, second))
    assert scores.apart(one, two) == pytest.approx((low, high), abs=6e-5)
    assert scores.apart(two, one) == pytest.approx((-high, -low), abs=6e-5)
