"""A batch has no near-duplicates unless nothing else is left."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import registry
from strategies.base import IntArray, Needs, Pool, PoolError, Selection, needed
from strategies.distinct import distinct, distinct_by
from strategies.nearest import positions
from strategies.pool.margin import margin
from strategies.pool.mixture import mixture
from strategies.vectors import unit
from tests.strategies.pools import make_pool

POOL_STRATEGIES = [pytest.param(info, id=info.name) for info in registry.all("pool")]


def bursts(bursts: int = 12, of: int = 5, seed: int = 0) -> Pool:
    """A pool in which every image has four near-copies."""
    pool = make_pool(n=bursts * of, classes=3, dimension=6, seed=seed)
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(bursts), of)
    noise = 1 + 1e-3 * rng.normal(size=(bursts * of, 6))
    return dataclasses.replace(pool, embeddings=needed(pool.embeddings)[place * of] * noise)


@pytest.mark.parametrize("info", POOL_STRATEGIES)
def test_one_of_each_burst_first(info: registry.StrategyInfo) -> None:
    pool = bursts()
    burst = {item: row // 5 for row, item in enumerate(pool.ids.tolist())}
    selection = distinct(info.function, pool, 20, np.random.default_rng(0), distance=0.05)
    assert len(selection) == 20
    first = [burst[item] for item in selection.ids.tolist()[:12]]
    assert sorted(first) == list(range(12))


def test_by_hand() -> None:
    pool = Pool(
        np.array([10, 11, 12, 13]),
        probs=np.array([[0.5, 0.5], [0.51, 0.49], [0.6, 0.4], [0.9, 0.1]]),
        embeddings=np.array([[1.0, 0], [2, 0.01], [0, 1], [-1, 0]]),
    )
    rng = np.random.default_rng(0)
    assert margin(pool, 2, rng).ids.tolist() == [10, 11]
    assert distinct(margin, pool, 2, rng, distance=0.1).ids.tolist() == [10, 12]
    everything = distinct(margin, pool, 9, rng, distance=0.1)
    assert everything.ids.tolist() == [10, 12, 13, 11]
    np.testing.assert_allclose(everything.scores, [1, 0.8, 0.2, 0.98])
    # one that looks like 12 was asked for already
    asked = dataclasses.replace(pool, pending_embeddings=np.array([[0, 5.0]]))
    assert distinct(margin, asked, 4, rng, distance=0.1).ids.tolist() == [10, 13, 11, 12]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 50), st.floats(0, 2), st.integers(0, 9))
def test_no_two_closer_unless_nothing_else_is_left(
    n: int, k: int, distance: float, seed: int
) -> None:
    pool = make_pool(n=n, dimension=2, seed=seed)
    selection = distinct(margin, pool, k, np.random.default_rng(0), distance=distance)
    assert len(selection) == min(n, k)
    vectors = unit(needed(pool.embeddings))
    rows = [int(np.flatnonzero(pool.ids == item)[0]) for item in selection.ids]
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    for turn, row in enumerate(rows):
        before = rows[:turn]
        if before and apart[row, before].min() < distance - 1e-6:
            others = [r for r in range(n) if r not in before]
            assert all(apart[other, before].min() < distance + 1e-6 for other in others)


def test_far_apart_items_are_picked_as_without_it() -> None:
    pool = make_pool(n=200)
    plain = margin(pool, 20, np.random.default_rng(0))
    checked = distinct(margin, pool, 20, np.random.default_rng(0), distance=0)
    assert checked.ids.tolist() == plain.ids.tolist()


def test_parts_are_kept() -> None:
    selection = distinct(mixture, bursts(), 30, np.random.default_rng(0), distance=0.05)
    assert len(selection.parts) == 30
    assert set(selection.parts) == {"margin", "typiclust", "random"}


def test_embeddings_are_needed() -> None:
    pool = Pool(np.arange(3), probs=np.full((3, 2), 0.5))
    with pytest.raises(PoolError, match="the pool needs embeddings"):
        distinct(margin, pool, 2, np.random.default_rng(0), distance=0.1)


def by_few(
    info: registry.StrategyInfo, pool: Pool, k: int, distance: float
) -> tuple[Selection, list[int]]:
    """Pick without the embeddings in the pool; returns how many were embedded at a time, too."""
    embedded: list[int] = []

    def embed(ids: IntArray) -> np.ndarray:
        embedded.append(len(ids))
        return needed(pool.embeddings)[positions(ids, pool.ids)]

    pending = pool.pending_embeddings
    asked = needed(pool.embeddings)[:0] if pending is None else pending
    bare = pool.only(info.needs)
    assert bare.embeddings is None
    rng = np.random.default_rng(0)
    picked = distinct_by(info.function, bare, k, rng, distance=distance, embed=embed, asked=asked)
    return picked, embedded


WITHOUT = [one for one in registry.all("pool") if Needs.EMBEDDINGS not in one.needs]


@pytest.mark.parametrize("info", [pytest.param(one, id=one.name) for one in WITHOUT])
def test_a_strategy_without_embeddings_takes_one_of_each_burst_first(
    info: registry.StrategyInfo,
) -> None:
    pool = bursts()
    burst = {item: row // 5 for row, item in enumerate(pool.ids.tolist())}
    selection, _ = by_few(info, pool, 20, distance=0.05)
    assert len(selection) == 20
    assert sorted(burst[item] for item in selection.ids.tolist()[:12]) == list(range(12))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 50), st.floats(0.01, 2), st.integers(0, 9))
def test_a_ranking_comes_out_the_same_with_few_embeddings(
    n: int, k: int, distance: float, seed: int
) -> None:
    asked = make_pool(n=2, dimension=2, seed=seed + 1).embeddings
    pool = dataclasses.replace(make_pool(n=n, dimension=2, seed=seed), pending_embeddings=asked)
    selection, _ = by_few(registry.get("margin"), pool, k, distance)
    assert len(selection) == min(n, k)
    order = margin(pool, n, np.random.default_rng(0)).ids
    vectors = unit(needed(pool.embeddings))[positions(order, pool.ids)]
    near, kept = [*unit(needed(asked))], []
    for item, vector in zip(order.tolist(), vectors, strict=True):
        if all(np.linalg.norm(vector - other) >= distance for other in near):
            kept.append(item)
            near.append(vector)
    others = [item for item in order.tolist() if item not in kept]
    assert selection.ids.tolist() == [*kept, *others][:k]


def test_only_what_is_picked_is_embedded() -> None:
    pool = make_pool(n=2000, dimension=20)
    _, embedded = by_few(registry.get("margin"), pool, 50, distance=0.01)
    assert embedded == [50]
    crowded = bursts(bursts=4, of=200)
    selection, embedded = by_few(registry.get("margin"), crowded, 4, distance=0.05)
    assert len(selection) == 4
    assert len(embedded) < 12  # twice as many each time, not one copy after the other
