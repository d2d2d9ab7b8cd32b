"""Interpolate: neighbours and classes against brute force."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from strategies.synthesis import Parents, SynthesisError, blend
from strategies.synthesis.interpolate import interpolate, nearest
from tests.strategies.synthesis.makers import make_parents


def test_partners_are_among_the_nearest_of_the_class() -> None:
    parents = make_parents(m=120)
    vectors = parents.embeddings
    assert vectors is not None
    row_of = {int(item): row for row, item in enumerate(parents.ids)}
    plans = interpolate(parents, 300, np.random.default_rng(0), neighbours=3)
    assert len(plans) == 300
    seen: dict[int, set[int]] = {}
    for plan in plans:
        row, partner = row_of[plan.parent], row_of[int(plan.values["partner"])]
        assert parents.classes[row] == parents.classes[partner]
        seen.setdefault(row, set()).add(partner)
    for row, partners in seen.items():
        own = [r for r in range(120) if parents.classes[r] == parents.classes[row] and r != row]
        own.sort(key=lambda other: float(np.linalg.norm(vectors[other] - vectors[row])))
        assert partners <= set(own[:3])
    assert max(len(partners) for partners in seen.values()) == 3


def test_rarest_class_first_and_no_lonely_one() -> None:
    parents = Parents(
        np.arange(9),
        np.array([0, 1, 1, 2, 2, 2, 2, 2, 2]),
        4,
        embeddings=np.random.default_rng(0).normal(size=(9, 3)),
    )
    plans = interpolate(parents, 6, np.random.default_rng(0))
    given = Counter(int(parents.classes[plan.parent]) for plan in plans)
    assert given.keys() <= {1, 2}
    assert given[1] in (4, 5)  # up to six, then either
    assert [plan.score for plan in plans] == [-2, -3, -4, -5, -6, -6]


def test_nothing_to_interpolate() -> None:
    lonely = Parents(np.arange(3), np.arange(3), 3, embeddings=np.eye(3))
    assert interpolate(lonely, 5, np.random.default_rng(0)) == ()


def test_points_lie_between_by_a_uniform_gap() -> None:
    line = Parents(
        np.array([5, 6]), np.array([1, 1]), 2, embeddings=np.array([[0.0, 0.0], [2.0, 4.0]])
    )
    plans = interpolate(line, 2000, np.random.default_rng(0))
    vectors, targets = blend(plans, line)
    np.testing.assert_allclose(vectors[:, 1], 2 * vectors[:, 0], atol=1e-6)
    assert vectors[:, 0].min() >= 0
    assert vectors[:, 0].max() <= 2
    # from both ends alike, and the gap uniform: so are the points
    histogram = np.histogram(vectors[:, 0], bins=10, range=(0, 2))[0]
    assert histogram.min() > 150
    np.testing.assert_array_equal(targets, np.tile([0, 1], (2000, 1)))


@pytest.mark.parametrize("count", [1, 5, 39, 500])
def test_nearest_against_sorting(count: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 4))
    found = nearest(vectors, np.array([3, 0, 17]), count)
    for place in (0, 3, 17):
        others = [p for p in range(40) if p != place]
        others.sort(key=lambda p: float(np.linalg.norm(vectors[p] - vectors[place])))
        assert set(found[place].tolist()) == set(others[:count])


def test_duplicates_are_neighbours_but_nobody_is_their_own() -> None:
    found = nearest(np.zeros((4, 2)), np.arange(4), 3)
    assert all(place not in around for place, around in found.items())


def test_refuses_no_neighbours() -> None:
    with pytest.raises(SynthesisError, match="neighbours must be at least 1"):
        interpolate(make_parents(), 5, np.random.default_rng(0), neighbours=0)
