"""Distances to the nearest label: right, and right again after anything has changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import nearest as module
from strategies.base import Pool, PoolError
from strategies.nearest import measure, nearest, positions
from tests.strategies.pools import make_pool

VECTORS = np.random.default_rng(0).normal(size=(60, 3))


def pool_of(ids: list[int], labelled: list[int], vectors: np.ndarray = VECTORS) -> Pool:
    return Pool(
        np.array(ids, np.int64),
        embeddings=vectors[ids],
        labelled_embeddings=vectors[labelled],
        labelled_classes=np.zeros(len(labelled), np.int64),
        labelled_ids=np.array(labelled, np.int64),
    )


def check(found: module.Nearest, ids: list[int], labelled: list[int], vectors: np.ndarray) -> None:
    """Compare with all pairs of distances."""
    assert found.ids.tolist() == ids
    assert found.labelled_ids.tolist() == labelled
    if not labelled:
        assert np.isinf(found.squared).all()
        assert (found.nearest_ids == -1).all()
        return
    apart = ((vectors[ids][:, None] - vectors[labelled][None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(found.squared, apart.min(axis=1), atol=1e-9)
    np.testing.assert_array_equal(found.nearest_ids, np.array(labelled)[apart.argmin(axis=1)])


item_lists = st.lists(st.integers(0, 59), unique=True, max_size=20)


@settings(max_examples=200, deadline=None)
@given(item_lists, item_lists, item_lists, item_lists)
def test_right_after_any_change_of_items_and_labels(
    ids: list[int], labelled: list[int], later_ids: list[int], later_labelled: list[int]
) -> None:
    first = nearest(pool_of(ids, labelled))
    check(first, ids, labelled, VECTORS)
    check(nearest(pool_of(later_ids, later_labelled), first), later_ids, later_labelled, VECTORS)


def test_other_embeddings_are_noticed() -> None:
    ids, labelled = list(range(40)), list(range(40, 60))
    moved = VECTORS[:, [1, 2, 0]] * [1, -1, 2]
    first = nearest(pool_of(ids, labelled))
    check(nearest(pool_of(ids, labelled, moved), first), ids, labelled, moved)


def test_only_what_is_new_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def counting(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        measured.append(len(vectors) * len(centres))
        return measure(vectors, centres)

    monkeypatch.setattr(module, "measure", counting)
    ids, labelled = list(range(40)), list(range(40, 60))
    first = nearest(pool_of(ids, labelled))
    assert sum(measured) == 40 * 20
    measured.clear()
    nearest(pool_of(ids, labelled), first)
    assert sum(measured) == 0
    nearest(pool_of(ids[2:], [*labelled, 0, 1]), first)
    assert sum(measured) == 38 * 2


def test_without_ids_of_the_labelled_nothing_can_be_kept() -> None:
    with pytest.raises(PoolError, match="only when the pool has labelled_ids"):
        nearest(dataclasses.replace(make_pool(), labelled_ids=None))


def test_positions() -> None:
    ids = np.array([5, 3, 9])
    assert positions(np.array([9, 4, 5, 99]), ids).tolist() == [2, -1, 0, -1]
    assert positions(np.array([9]), ids[:0]).tolist() == [-1]
    assert positions(ids[:0], ids).tolist() == []


def test_measure_is_the_brute_force_in_blocks() -> None:
    rng = np.random.default_rng(0)
    vectors, centres = rng.normal(size=(3000, 4)), rng.normal(size=(2000, 4))
    squared, which = measure(vectors, centres)
    apart = ((vectors[:50, None] - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared[:50], apart.min(axis=1), atol=1e-12)
    np.testing.assert_array_equal(which[:50], apart.argmin(axis=1))
