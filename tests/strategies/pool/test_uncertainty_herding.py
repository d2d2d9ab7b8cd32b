"""`uncertainty_herding` by hand, by brute force, and against `max_herding` and `margin`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from strategies.base import Pool, needed
from strategies.pool.margin import closeness, margin
from strategies.pool.max_herding import max_herding
from strategies.pool.uncertainty_herding import smallest_distance, uncertainty_herding
from tests.strategies.brute import check_greedy
from tests.strategies.pools import make_pool


def test_by_hand() -> None:
    # a crowd of three the model is sure of in the east, one it is unsure of in the north
    pool = Pool(
        np.array([10, 11, 12, 13]),
        probs=np.array([[0.95, 0.05]] * 3 + [[0.5, 0.5]]),
        embeddings=np.array([[1.0, 0], [2, 0], [3, 0], [0, 1]]),
        labelled_embeddings=np.empty((0, 2)),
        labelled_classes=np.empty(0, np.int64),
    )
    selection = uncertainty_herding(pool, 2, np.random.default_rng(0), width=0.1)
    assert selection.ids[0] == 13
    assert selection.ids[1] in (10, 11, 12)
    np.testing.assert_allclose(selection.scores, [1 / 4, 3 * 0.1 / 4], atol=1e-12)
    assert max_herding(pool, 1, np.random.default_rng(0)).ids[0] != 13


@pytest.mark.parametrize("width", [0.3, 1.0, None])
def test_as_the_definition(width: float | None) -> None:
    pool = make_pool(n=70, dimension=2)
    labelled = needed(pool.labelled_embeddings)
    reach = smallest_distance(labelled, np.random.default_rng(0)) if width is None else width
    selection = uncertainty_herding(pool, 20, np.random.default_rng(0), width=width)
    check_greedy(selection, pool, closeness(needed(pool.probs)), reach)


@pytest.mark.parametrize("labelled", [0, 12])
def test_if_all_is_equally_uncertain_it_is_max_herding(labelled: int) -> None:
    pool = make_pool(n=300, classes=2, labelled=labelled)
    pool = dataclasses.replace(pool, probs=np.full((300, 2), 0.5))
    herded = max_herding(pool, 40, np.random.default_rng(0), width=0.7)
    weighed = uncertainty_herding(pool, 40, np.random.default_rng(0), width=0.7)
    assert weighed.ids.tolist() == herded.ids.tolist()
    np.testing.assert_array_equal(weighed.scores, herded.scores)


def test_with_no_reach_at_all_it_is_margin() -> None:
    pool = make_pool(n=200, dimension=3)
    selection = uncertainty_herding(pool, 30, np.random.default_rng(0), width=1e-4)
    closest = margin(pool, 30, np.random.default_rng(0))
    assert selection.ids.tolist() == closest.ids.tolist()
    np.testing.assert_allclose(selection.scores, closest.scores / 200, atol=1e-9)


def test_the_width_is_the_smallest_distance_between_labels() -> None:
    rng = np.random.default_rng(0)
    for labelled in (2, 3, 40):
        vectors = rng.normal(size=(labelled, 5))
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        apart = [np.linalg.norm(a - b) for i, a in enumerate(unit) for b in unit[:i]]
        assert smallest_distance(vectors, rng) == pytest.approx(min(apart))
        # the same image labelled twice says nothing about the width
        twice = np.concatenate([vectors, 2 * vectors[:1]])
        assert smallest_distance(twice, rng) == pytest.approx(min(apart))


def test_the_width_is_one_when_labels_are_too_few_or_all_the_same() -> None:
    rng = np.random.default_rng(0)
    assert smallest_distance(np.empty((0, 3)), rng) == 1
    assert smallest_distance(np.ones((1, 3)), rng) == 1
    assert smallest_distance(np.ones((5, 3)), rng) == 1
