"""Agreement between annotators: by hand and against scikit-learn."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from labeller.services import agreement as module
from labeller.services.agreement import agreement
from labeller.services.evaluation_scores import wilson


def test_two_annotators_by_hand() -> None:
    items = np.array([1, 1, 2, 2, 3, 3, 4])
    names = ["ann", "bob", "bob", "ann", "ann", "bob", "ann"]
    classes = np.array([7, 7, 8, 8, 7, 8, 7])
    found = agreement(items, names, classes)
    assert found is not None
    assert found.items == 3, "item 4 has one label only"
    assert found.share == pytest.approx(2 / 3)
    assert (found.low, found.high) == wilson(2, 3)
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.n, pair.agreed) == ("ann", "bob", 3, 2)
    # seen 2/3, by chance (2·1 + 1·2)/9 = 4/9
    assert pair.kappa == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))


def test_three_annotators_count_pairs_within_an_item() -> None:
    items = np.array([1, 1, 1, 2, 2])
    names = ["a", "b", "c", "a", "b"]
    found = agreement(items, names, np.array([1, 1, 2, 1, 1]))
    assert found is not None
    assert found.share == pytest.approx((1 / 3 + 1) / 2)
    assert (found.low, found.high) == wilson(4 / 3, 2)
    assert [(p.first, p.second, p.n) for p in found.pairs] == [
        ("a", "b", 2),
        ("a", "c", 1),
        ("b", "c", 1),
    ]


def test_nobody_agrees_with_nobody() -> None:
    assert agreement(np.array([1, 2]), ["a", "b"], np.array([1, 1])) is None
    assert agreement(np.empty(0, np.int64), [], np.empty(0, np.int64)) is None


@pytest.mark.parametrize("seed", range(3))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 100)
    second = np.where(rng.random(100) < 0.8, first, rng.integers(0, 4, 100))
    table = np.zeros((4, 4), np.int64)
    np.add.at(table, (first, second), 1)
    assert module.kappa(table) == pytest.approx(cohen_kappa_score(first, second))
    drawn = []
    for _ in range(300):
        rows = rng.integers(0, 100, 100)
        drawn.append(cohen_kappa_score(first[rows], second[rows]))
    found = module.kappa_interval(table, seed)
    assert found == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.05)


def test_kappa_at_its_ends() -> None:
    one_class = np.array([[9, 0], [0, 0]])
    assert module.kappa(one_class) is None
    assert module.kappa_interval(one_class) == (None, None)
    assert module.kappa(np.zeros((2, 2), np.int64)) is None
    low, high = module.kappa_interval(np.diag([10, 10]))
    assert module.kappa(np.diag([10, 10])) == 1.0
    assert high == 1.0
    # 20 of 20 agree: Wilson's lower bound 0.8389, and chance is one half
    assert low == pytest.approx((wilson(20, 20)[0] - 0.5) / 0.5)
    assert module.kappa(np.array([[0, 5], [5, 0]])) == -1.0


@pytest.mark.parametrize(
    ("table", "agreed", "chance"),
    [
        ([[0, 1], [0, 0]], 0, 0.0),  # one item, two opinions
        ([[0, 5], [0, 0]], 0, 0.0),  # the one says always this, the other always that
        ([[0, 5], [5, 0]], 0, 0.5),
        ([[9, 1], [0, 0]], 9, 0.9),  # the first says always the same
    ],
)
def test_kappa_of_little_evidence_has_a_width(
    table: list[list[int]], agreed: int, chance: float
) -> None:
    counts = np.array(table)
    low, high = module.kappa_interval(counts)
    assert low is not None
    assert high is not None
    least, most = ((share - chance) / (1 - chance) for share in wilson(agreed, counts.sum()))
    assert high >= most - 1e-9
    assert low <= max(-1.0, least) + 1e-9
    assert low <= (module.kappa(counts) or 0.0) < high


def test_kappa_of_many_classes_draws_the_cells_that_there_are() -> None:
    """Of 2,000 classes all cells of all draws were 30 GiB; 3,000 items fill 3,000 of them."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2_000, 3_000)
    second = np.where(rng.random(3_000) < 0.7, first, rng.integers(0, 2_000, 3_000))
    table = np.zeros((2_000, 2_000), np.int64)
    np.add.at(table, (first, second), 1)
    tracemalloc.start()
    low, high = module.kappa_interval(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert low is not None
    assert high is not None
    assert low < (module.kappa(table) or 0.0) < high
    assert peak < 1e9
