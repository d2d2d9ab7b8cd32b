"""What every registered pool strategy must do, whatever it is."""

from __future__ import annotations

import dataclasses
import random as python_random

import numpy as np
import pytest

from strategies import registry
from strategies.base import Needs, Pool, PoolError, Selection, needed
from tests.strategies.pools import make_pool

POOL_STRATEGIES = [pytest.param(info, id=info.name) for info in registry.all("pool")]
every_strategy = pytest.mark.parametrize("info", POOL_STRATEGIES)


def pick(info: registry.StrategyInfo, pool: Pool, k: int, seed: int = 0) -> Selection:
    """Pick from a pool that holds what the strategy says it needs, and nothing more."""
    return info.function(pool.only(info.needs), k, np.random.default_rng(seed))


def check(info: registry.StrategyInfo, pool: Pool, k: int, seed: int = 0) -> Selection:
    """Pick, and check what holds of every selection."""
    selection = pick(info, pool, k, seed)
    assert len(selection) == min(k, len(pool))
    assert selection.ids.dtype == np.int64
    assert set(selection.ids.tolist()) <= set(pool.ids.tolist())
    assert len(set(selection.ids.tolist())) == len(selection)
    assert selection.scores.shape == selection.ids.shape
    assert selection.scores.dtype.kind == "f"
    assert np.isfinite(selection.scores).all()
    if info.ordered:
        assert (np.diff(selection.scores) <= 1e-9).all()
    return selection


def same(a: Selection, b: Selection) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.scores, b.scores)


@every_strategy
@pytest.mark.parametrize("k", [0, 1, 7, 59, 60, 61, 500])
def test_picks_k_items_or_all(info: registry.StrategyInfo, k: int) -> None:
    check(info, make_pool(), k)


@every_strategy
@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_tiny_pools(info: registry.StrategyInfo, n: int, k: int) -> None:
    check(info, make_pool(n=n), k)


@every_strategy
@pytest.mark.parametrize("classes", [1, 2, 300])
def test_one_two_and_many_classes(info: registry.StrategyInfo, classes: int) -> None:
    check(info, make_pool(n=40, classes=classes), 6)


@every_strategy
@pytest.mark.parametrize("labelled", [0, 1, 2])
def test_few_or_no_labels(info: registry.StrategyInfo, labelled: int) -> None:
    check(info, make_pool(labelled=labelled), 6)


@every_strategy
@pytest.mark.parametrize("dimension", [1, 2])
def test_few_dimensions(info: registry.StrategyInfo, dimension: int) -> None:
    check(info, make_pool(dimension=dimension), 6)


@every_strategy
def test_one_dropout_pass(info: registry.StrategyInfo) -> None:
    check(info, make_pool(samples=1), 6)


@every_strategy
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_precisions(info: registry.StrategyInfo, dtype: type) -> None:
    check(info, make_pool(dtype=dtype), 10)


@every_strategy
def test_same_seed_same_picks(info: registry.StrategyInfo) -> None:
    assert same(pick(info, make_pool(), 10, seed=3), pick(info, make_pool(), 10, seed=3))


@every_strategy
def test_leaves_its_input_as_it_was(info: registry.StrategyInfo) -> None:
    pool, untouched = make_pool(), make_pool()
    pick(info, pool, 10)
    for field in dataclasses.fields(Pool):
        np.testing.assert_array_equal(getattr(pool, field.name), getattr(untouched, field.name))


@every_strategy
def test_neither_reads_nor_moves_global_random_state(info: registry.StrategyInfo) -> None:
    pool = make_pool()
    first = pick(info, pool, 10)
    np.random.seed(7)  # noqa: NPY002
    python_random.seed(7)
    numpy_next = np.random.RandomState(7).random()
    python_next = python_random.Random(7).random()
    assert same(first, pick(info, pool, 10))
    assert np.random.random() == numpy_next  # noqa: NPY002
    assert python_random.random() == python_next


def identical_items(n: int = 40, labelled: int = 3) -> Pool:
    """A pool in which no item differs from any other."""
    one = make_pool(n=1, labelled=labelled)
    return dataclasses.replace(
        one,
        ids=np.arange(n),
        probs=np.repeat(needed(one.probs), n, axis=0),
        logits=np.repeat(needed(one.logits), n, axis=0),
        mc_probs=np.repeat(needed(one.mc_probs), n, axis=1),
        embeddings=np.repeat(needed(one.embeddings), n, axis=0),
    )


@every_strategy
@pytest.mark.parametrize("labelled", [0, 3])
def test_ties_are_broken_by_the_generator_not_by_position(
    info: registry.StrategyInfo, labelled: int
) -> None:
    pool = identical_items(labelled=labelled)
    picked = [check(info, pool, 4, seed).ids for seed in range(60)]
    counts = np.bincount(np.concatenate(picked), minlength=40)
    # 240 fair draws from 40 items: 6 each; by position, four items would have 60
    assert counts.max() <= 20
    assert np.count_nonzero(counts) >= 30
    firsts = np.bincount([ids[0] for ids in picked], minlength=40)
    assert firsts.max() <= 10


@every_strategy
def test_zero_and_repeated_embeddings(info: registry.StrategyInfo) -> None:
    pool = make_pool(n=30)
    vectors = np.array(needed(pool.embeddings))
    vectors[:10] = 0
    vectors[10:20] = vectors[20]
    check(info, dataclasses.replace(pool, embeddings=vectors), 25)
    nothing = dataclasses.replace(
        pool,
        embeddings=np.zeros_like(vectors),
        labelled_embeddings=np.zeros_like(needed(pool.labelled_embeddings)),
    )
    check(info, nothing, 25)


@every_strategy
def test_certain_probabilities(info: registry.StrategyInfo) -> None:
    pool = make_pool(n=30)
    certain = np.eye(4)[np.arange(30) % 4]
    check(
        info,
        dataclasses.replace(
            pool,
            probs=certain,
            logits=1000 * certain,
            mc_probs=np.repeat(certain[None], 5, axis=0),
            labelled_probs=np.eye(4)[np.arange(12) % 4],
        ),
        25,
    )


@every_strategy
def test_items_that_wait_for_their_label_are_no_trouble(info: registry.StrategyInfo) -> None:
    for labelled in (0, 12):
        pending = dataclasses.replace(
            make_pool(labelled=labelled), pending_embeddings=make_pool(n=5, seed=9).embeddings
        )
        check(info, pending, 10)


@every_strategy
def test_refuses_a_pool_without_what_it_needs(info: registry.StrategyInfo) -> None:
    for need in info.needs:
        with pytest.raises(PoolError, match=f"{info.name} needs .*, which the pool does not have"):
            info.function(make_pool().only(info.needs & ~need), 3, np.random.default_rng(0))


@every_strategy
def test_refuses_a_negative_number_of_picks(info: registry.StrategyInfo) -> None:
    with pytest.raises(PoolError, match="cannot pick -1"):
        pick(info, make_pool(), -1)


@every_strategy
def test_says_what_it_is(info: registry.StrategyInfo) -> None:
    assert info.family == "pool"
    assert isinstance(info.needs, Needs)
    assert info.summary.endswith(".")
    assert len(info.reference) > 10


@pytest.mark.slow
@every_strategy
@pytest.mark.timeout(120)
def test_a_hundred_thousand_items(info: registry.StrategyInfo) -> None:
    pool = make_pool(n=100_000, classes=10, labelled=50, dimension=16, dtype=np.float32)
    check(info, pool, 20)
