"""Whether splits have the same classes: scipy's chi-square, exact enumeration, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, hypergeom

from labeller.services.evaluation import ClassBalance
from labeller.services.evaluation_report import check_splits
from labeller.services.split_check import same_classes

NAMES = ("train", "valid")


def test_large_counts_are_the_chi_square_of_scipy() -> None:
    first, second = [120, 80, 60], [30, 35, 20]
    found = same_classes(NAMES, first, second, [1, 2, 3])
    expected = chi2_contingency([first, second], correction=False)
    assert found is not None
    assert found.method == "chi-square"
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_small_counts_are_a_permutation_test_as_exact_enumeration_has_it() -> None:
    first, second = [9, 3], [1, 5]
    found = same_classes(NAMES, first, second, [1, 2], draws=40_000)
    assert found is not None
    assert found.method == "permutation"
    # all tables with these margins, by the cell of the first class in the first split
    expected = np.outer([12, 6], [10, 8]) / 18
    exact = 0.0
    for a in range(4, 11):
        table = np.array([[a, 12 - a], [10 - a, a - 4]])
        if ((table - expected) ** 2 / expected).sum() >= found.statistic - 1e-9:
            exact += float(hypergeom.pmf(a, 18, 10, 12))
    assert found.p_value == pytest.approx(exact, abs=0.005)
    again = same_classes(NAMES, first, second, [1, 2], draws=40_000)
    assert again == found


def test_the_class_that_stands_out_and_the_distance() -> None:
    found = same_classes(NAMES, [50, 50, 0, 0], [50, 0, 50, 0], [4, 5, 6, 7])
    assert found is not None
    assert found.distance == pytest.approx(0.5)
    assert found.class_id in (5, 6)
    assert {found.first_share, found.second_share} == {0.0, 0.5}
    assert (found.n_first, found.n_second) == (100, 100)


@pytest.mark.parametrize(
    ("first", "second"), [([0, 0], [3, 4]), ([3, 4], [0, 0]), ([5, 0], [2, 0]), ([], [])]
)
def test_nothing_to_compare(first: list[int], second: list[int]) -> None:
    assert same_classes(NAMES, first, second, range(len(first))) is None


def balance(*rows: tuple[int, int, int]) -> list[ClassBalance]:
    return [ClassBalance(i, f"c{i}", "#000000", *row) for i, row in enumerate(rows, 1)]


def test_two_tests_share_five_per_cent() -> None:
    alike = check_splits(balance((100, 20, 15), (100, 22, 14)))
    assert [c.differs for c in alike] == [False, False]
    assert [c.test.second for c in alike] == ["valid", "audit"]
    picked = check_splits(balance((160, 20, 15), (100, 12, 60)))
    assert [c.differs for c in picked] == [False, True]
    # p = 0.04 alone would count; beside another test that shows nothing it does not
    single = same_classes(NAMES, [120, 80], [26, 32], [1, 2])
    assert single is not None
    assert 0.025 < single.p_value < 0.05
    judged = check_splits(balance((120, 26, 35), (80, 32, 27)))
    assert judged[0].test.p_value == single.p_value
    assert not any(c.differs for c in judged)
    assert check_splits(balance((5, 0, 0), (5, 0, 0))) == ()
