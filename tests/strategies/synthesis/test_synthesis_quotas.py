"""Levelling, sharing, taking turns, trials, and the records of plans."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.synthesis import Plan, SynthesisError, blend, trial_plans
from strategies.synthesis.planning.mixing import mixture
from strategies.synthesis.planning.quotas import in_turn, level, share
from tests.strategies.synthesis.makers import SOME, make_parents


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 60),
)
def test_level_against_giving_to_the_lowest(classes: list[tuple[int, bool]], k: int) -> None:
    counts = np.array([count for count, _ in classes])
    able = np.array([can for _, can in classes])
    given = list(level(counts, able, k, np.random.default_rng(0)))
    assert len(given) == (k if able.any() else 0)
    now = counts.copy()
    for column in given:
        assert now[column] == now[able].min()
        now[column] += 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=9), st.integers(0, 80))
def test_share_is_within_one_of_exact(weights: list[float], k: int) -> None:
    given = share(np.array(weights), k, np.random.default_rng(0))
    assert given.sum() == k
    parts = np.array(weights) if any(weights) else np.ones(len(weights))
    exact = parts / parts.sum() * k
    assert (np.abs(given - exact) < 1 + 1e-9).all()


def test_share_by_hand() -> None:
    assert share(np.array([0.5, 0.3, 0.2]), 7, np.random.default_rng(0)).tolist() == [4, 2, 1]
    firsts = {int(share(np.ones(3), 1, np.random.default_rng(s)).argmax()) for s in range(40)}
    assert firsts == {0, 1, 2}


def test_in_turn_uses_all_before_any_again() -> None:
    drawn = list(islice(in_turn(np.arange(5), np.random.default_rng(0)), 20))
    for start in range(0, 20, 5):
        assert sorted(drawn[start : start + 5]) == list(range(5))
    assert len({tuple(drawn[start : start + 5]) for start in range(0, 20, 5)}) > 1


def test_trials_are_one_per_recipe_and_item() -> None:
    trials = trial_plans(np.array([4, 9, 2]), SOME, np.random.default_rng(0))
    assert [[plan.parent for plan in row] for row in trials] == [[4, 9, 2]] * len(SOME)
    assert [{plan.recipe for plan in row} for row in trials] == [{r.name} for r in SOME]
    assert len({plan.seed for row in trials for plan in row}) == 3 * len(SOME)


def test_parameters_cover_their_range() -> None:
    rotate = SOME[1].narrowed(degrees=(-5, 5))
    rows = trial_plans(np.arange(500), (rotate, SOME[2]), np.random.default_rng(0))
    degrees = [float(plan.values["degrees"]) for plan in rows[0]]
    assert min(degrees) >= -5
    assert max(degrees) <= 5
    assert np.histogram(degrees, bins=5, range=(-5, 5))[0].min() > 60
    modes = Counter(plan.values["mode"] for plan in rows[1])
    assert min(modes.values()) > 200


def test_a_record_is_a_plan_or_refused() -> None:
    made = Plan(3, "rotate", (("degrees", 4.0),), 5, 0.5)
    assert Plan.from_json(made.to_json()) == made
    for wrong in ({}, {**made.to_json(), "more": 1}, {**made.to_json(), "parameters": 3}):
        with pytest.raises(SynthesisError, match="not the record of a plan"):
            Plan.from_json(wrong)
    with pytest.raises(SynthesisError, match="A seed must be"):
        Plan(3, "rotate", seed=2**31)


def test_blend_refuses_what_is_no_mixture() -> None:
    parents = make_parents()
    item = int(parents.ids[0])
    for wrong in (Plan(item, "rotate"), mixture("interpolate", item, -7, 0.5)):
        with pytest.raises(SynthesisError, match="is not there"):
            blend([wrong], parents)
    vectors, targets = blend([], parents)
    assert (vectors.shape, targets.shape) == ((0, 6), (0, 4))
