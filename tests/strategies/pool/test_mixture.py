"""`mixture` gives each part its share, mixes their turns, and says who picked what."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import registry
from strategies.base import Needs, Pool, PoolError, StrategyError, needed
from strategies.pool.margin import margin
from strategies.pool.max_herding import max_herding
from strategies.pool.mixture import mixture, needs_of, parse, quotas, written
from tests.strategies.pools import make_pool


def test_by_hand() -> None:
    probs = np.array([[0.5, 0.5], [0.6, 0.4], [0.9, 0.1], [0.95, 0.05]])
    vectors = np.array([[1.0, 0], [1, 0], [1, 0], [-1, 0]])
    pool = Pool(
        np.array([10, 11, 12, 13]),
        probs=probs,
        embeddings=vectors,
        labelled_embeddings=np.empty((0, 2)),
        labelled_classes=np.empty(0, np.int64),
    )
    parts = {"margin": 2, "max_herding": 1}
    selection = mixture(pool, 3, np.random.default_rng(0), parts=parts)
    # margin takes 10 and 11; those cover 12 too, so herding goes west; in turns ¼, ½, ¾
    assert selection.ids.tolist() == [10, 13, 11]
    assert selection.parts == ("margin", "max_herding", "margin")
    np.testing.assert_allclose(selection.scores[[0, 2]], [1, 0.8])


def test_the_usual_shares() -> None:
    selection = mixture(make_pool(n=300), 50, np.random.default_rng(0))
    assert Counter(selection.parts) == {"margin": 35, "typiclust": 10, "random": 5}
    for end in (10, 20, 30, 40):  # any beginning is mixed too
        begun = Counter(selection.parts[:end])
        assert abs(begun["margin"] - 0.7 * end) <= 1
        assert abs(begun["typiclust"] - 0.2 * end) <= 1


def test_the_first_part_picks_as_it_does_alone() -> None:
    pool = make_pool(n=300)
    selection = mixture(pool, 50, np.random.default_rng(0))
    mine = [
        item for item, part in zip(selection.ids, selection.parts, strict=True) if part == "margin"
    ]
    assert mine == margin(pool, 35, np.random.default_rng(1)).ids.tolist()


def test_later_parts_take_earlier_picks_for_covered() -> None:
    asked = make_pool(n=5, dimension=2, seed=3).embeddings
    pool = dataclasses.replace(make_pool(n=200, dimension=2), pending_embeddings=asked)
    parts = {"margin": 0.5, "max_herding": 0.5}
    selection = mixture(pool, 20, np.random.default_rng(0), parts=parts)
    names = np.array(selection.parts)
    first = np.flatnonzero(np.isin(pool.ids, selection.ids[names == "margin"]))
    pending = np.concatenate([needed(asked), needed(pool.embeddings)[first]])
    rest = pool.take(np.setdiff1d(np.arange(200), first))
    rest = dataclasses.replace(rest, pending_embeddings=pending)
    alone = max_herding(rest, 10, np.random.default_rng(0))
    herded = selection.scores[names == "max_herding"]
    np.testing.assert_allclose(np.sort(herded), np.sort(alone.scores), atol=1e-12)


@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=6),
    st.integers(0, 200),
)
def test_quotas_are_shares_rounded(shares: list[float], k: int) -> None:
    counts = quotas(shares, k)
    assert sum(counts) == k
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - k * share / sum(shares)) < 1 + 1e-6


def test_one_item_goes_to_the_largest_share() -> None:
    assert mixture(make_pool(), 1, np.random.default_rng(0)).parts == ("margin",)


def test_what_is_no_mixture_is_refused() -> None:
    pool, rng = make_pool(), np.random.default_rng(0)
    with pytest.raises(registry.UnknownStrategy, match="Did you mean 'margin'"):
        mixture(pool, 3, rng, parts={"margn": 1})
    with pytest.raises(PoolError, match="cannot be a part of a mixture"):
        mixture(pool, 3, rng, parts={"mixture": 1})
    for share in (0, -1, float("nan"), float("inf")):
        with pytest.raises(PoolError, match="must be above 0"):
            mixture(pool, 3, rng, parts={"margin": share})
    with pytest.raises(PoolError, match="at least one part"):
        mixture(pool, 3, rng, parts={})


def test_needs_are_those_of_the_parts() -> None:
    assert needs_of({"random": 1}) == Needs.NOTHING
    assert needs_of({"bald": 1, "margin": 1}) == Needs.MC_PROBS | Needs.PROBS
    assert needs_of({"random": 1, "badge": 1}) == Needs.PROBS | Needs.EMBEDDINGS


@pytest.mark.parametrize(
    "text",
    [
        "margin=70+typiclust=20+random=10",
        "margin:70,typiclust:20,random:10",
        " margin = 70.0 , typiclust: 20 + random=1e1",
    ],
)
def test_a_mixture_is_written_in_one_way_and_read_in_two(text: str) -> None:
    parts = parse(text)
    assert parts == {"margin": 70, "typiclust": 20, "random": 10}
    assert list(parts) == ["margin", "typiclust", "random"]
    assert written(parts) == "margin=70+typiclust=20+random=10"
    assert parse(written(parts)) == parts


def test_a_written_mixture_is_a_strategy_like_any_other() -> None:
    info = registry.get("margin:3,random:1")
    assert (info.name, info.family, info.ordered) == ("margin=3+random=1", "pool", False)
    assert info.needs == Needs.PROBS
    assert info.summary == "Pick 75 % by margin and 25 % by random."
    assert info.reference == registry.get("mixture").reference
    pool = make_pool(n=300)
    selection = info(pool.only(Needs.PROBS), 40, np.random.default_rng(0))
    assert Counter(selection.parts) == {"margin": 30, "random": 10}
    parts = {"margin": 3.0, "random": 1.0}
    same = mixture(pool, 40, np.random.default_rng(0), parts=parts)
    assert selection.ids.tolist() == same.ids.tolist()
    assert len(info(pool, 0, np.random.default_rng(0))) == 0
    assert len(info(pool, 999, np.random.default_rng(0))) == 300
    with pytest.raises(PoolError, match="needs probs"):
        info(pool.only(Needs.EMBEDDINGS), 3, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("margin=70", "two parts at least, not 'margin=70' alone: write margin=70"),
        ("margin:70,", "gives '' no share"),
        ("margin+random=1", "gives 'margin' no share"),
        ("margin=much+random=1", "gives 'margin' no share"),
        ("margin=0+random=1", "share of margin in a mixture must be above 0, not 0"),
        ("margin=-2+random=1", "must be above 0"),
        ("margin=inf+random=1", "must be above 0"),
        ("margin=nan+random=1", "must be above 0"),
        ("margin=1+random=2+margin=3", "names margin twice"),
        ("margin=1+mixture=1", "cannot be a part of a mixture"),
        ("margn=1+random=1", "Did you mean 'margin'"),
        ("split=1+random=1", "Unknown strategy 'split'"),
    ],
)
def test_what_is_written_wrongly_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        registry.get(text)
