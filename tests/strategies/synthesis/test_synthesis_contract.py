"""What every registered synthesis strategy must do, whatever it is."""

from __future__ import annotations

import dataclasses
import json
import random as python_random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import strategies
from strategies import registry
from strategies.base import Needs, StrategyError
from strategies.synthesis import Parents, Plan, SynthesisError, SynthesisInfo, blend
from strategies.synthesis import recipes as all_recipes
from strategies.synthesis.planning.parents import FIELDS
from strategies.synthesis.planning.register import strategy_called, synthesis_strategy
from tests.strategies.pools import make_pool
from tests.strategies.synthesis.makers import make_parents

INFOS = [pytest.param(strategy_called(name), id=name) for name in registry.names("synthesis")]
every_strategy = pytest.mark.parametrize("info", INFOS)
OPTIONAL = {name for names in FIELDS.values() for name in names}


def bare(parents: Parents, needs: Needs) -> Parents:
    """Return the parents with what `needs` names, and nothing more."""
    kept = {name for need in needs for name in FIELDS[need]}
    gone: dict[str, Any] = dict.fromkeys(OPTIONAL - kept)
    return dataclasses.replace(parents, **gone)


def plan(info: SynthesisInfo, parents: Parents, k: int, seed: int = 0) -> tuple[Plan, ...]:
    """Plan, and check what holds of every plan."""
    rng = np.random.default_rng(seed)
    plans = info.plan(bare(parents, info.needs), k, rng)
    known = set(parents.ids.tolist())
    allowed = {recipe.name: recipe for recipe in parents.recipes}
    for made in plans:
        assert made.parent in known
        assert np.isfinite(made.score)
        assert Plan.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False))) == made
        if info.pictures:
            assert allowed[made.recipe].checked(made.values) == made.values
        else:
            assert made.recipe == info.name
            assert made.values["partner"] in known - {made.parent}
            assert 0 < float(made.values["weight"]) <= 1
    if not info.pictures:
        vectors, targets = blend(plans, parents)
        assert vectors.shape == (len(plans), 6)
        assert np.isfinite(vectors).all()
        np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    return plans


@every_strategy
@pytest.mark.parametrize("k", [0, 1, 7, 100])
def test_plans_k_items_in_order_of_score(info: SynthesisInfo, k: int) -> None:
    plans = plan(info, make_parents(), k)
    assert len(plans) == k
    if info.name != "disagreement":  # in rounds, when there are more than pairs
        assert sorted((p.score for p in plans), reverse=True) == [p.score for p in plans]


@every_strategy
@pytest.mark.parametrize("m", [0, 1, 2])
def test_few_parents(info: SynthesisInfo, m: int) -> None:
    assert len(plan(info, make_parents(m=m), 5)) in ({0} if m == 0 else {0, 5})


@every_strategy
def test_one_class(info: SynthesisInfo) -> None:
    assert len(plan(info, make_parents(columns=1), 5)) == 5


@every_strategy
def test_same_seed_same_plans(info: SynthesisInfo) -> None:
    first = plan(info, make_parents(), 20, seed=3)
    assert first == plan(info, make_parents(), 20, seed=3)
    assert first != plan(info, make_parents(), 20, seed=4)


@every_strategy
def test_leaves_its_input_as_it_was(info: SynthesisInfo) -> None:
    parents, untouched = make_parents(), make_parents()
    info.plan(parents, 20, np.random.default_rng(0))
    for field in dataclasses.fields(Parents):
        if field.name != "recipes":
            before, after = getattr(untouched, field.name), getattr(parents, field.name)
            np.testing.assert_array_equal(before, after)


@every_strategy
def test_neither_reads_nor_moves_global_random_state(info: SynthesisInfo) -> None:
    first = plan(info, make_parents(), 10)
    np.random.seed(7)  # noqa: NPY002
    python_random.seed(7)
    assert first == plan(info, make_parents(), 10)
    assert np.random.random() == np.random.RandomState(7).random()  # noqa: NPY002
    assert python_random.random() == python_random.Random(7).random()


@every_strategy
def test_refuses_what_cannot_be(info: SynthesisInfo) -> None:
    rng = np.random.default_rng(0)
    for need in info.needs:
        with pytest.raises(SynthesisError, match=f"{info.name} needs .*, which is not there"):
            info.plan(bare(make_parents(), info.needs & ~need), 3, rng)
    with pytest.raises(SynthesisError, match="cannot plan -1"):
        info.plan(make_parents(), -1, rng)
    if info.pictures:
        nothing = make_parents(recipes=(), child_probs=None, trial_child_probs=None)
        lacking = Needs.CHILD_PROBS | Needs.TRIAL_PROBS
        text = "which is not there" if info.needs & lacking else "at least one recipe"
        with pytest.raises(SynthesisError, match=text):
            info.plan(nothing, 3, rng)


@every_strategy
def test_says_what_it_is(info: SynthesisInfo) -> None:
    assert info.family == "synthesis"
    assert info.summary.endswith(".")
    assert "20" in info.reference
    assert info is registry.get(info.name)
    with pytest.raises(StrategyError, match="synthesis strategy and picks from no pool"):
        info(make_pool(), 3, np.random.default_rng(0))


def test_a_name_of_another_family_is_unknown() -> None:
    with pytest.raises(registry.UnknownStrategy, match=r"Unknown strategy 'margin'.*balance"):
        strategy_called("margin")


def test_the_name_must_be_the_name_of_the_file() -> None:
    def balance(parents: Parents, k: int, rng: np.random.Generator) -> tuple[Plan, ...]:
        """Plan nothing."""
        return ()

    with pytest.raises(StrategyError, match="must hold the strategy of that name"):
        synthesis_strategy("balance", needs=Needs.NOTHING)(balance)


@pytest.mark.parametrize("family", ["stream", "synthesis"])
def test_every_file_is_a_strategy_with_a_test_of_the_same_name(family: str) -> None:
    folder = Path(strategies.__file__).parent / family
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    known = {info.name for info in registry.all() if info.family == family}
    assert known == files
    tests = {path.stem for path in (Path(__file__).parents[1] / family).glob("test_*.py")}
    assert {f"test_{name}" for name in files} <= tests


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": np.arange(30)}, "classes must be from 0 to 3"),
        ({"classes": np.zeros(29, int)}, "classes must be 30 whole numbers"),
        ({"classes": np.zeros(30)}, "classes must be 30 whole numbers, not float64"),
        ({"ids": np.zeros(30, int)}, "ids: 0 is there more than once"),
        ({"probs": np.full((30, 4), 0.3)}, r"probs\[0\] sums to"),
        ({"child_probs": np.full((3, 30, 4), 0.25)}, "child_probs must have shape"),
        ({"trial_classes": np.zeros(3, int)}, "trial_probs must have shape"),
        ({"embeddings": np.full((30, 2), np.nan)}, "must be finite"),
        ({"recipes": all_recipes.USUAL[:1] * 4}, "A recipe is there twice"),
    ],
)
def test_parents_are_checked(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(StrategyError, match=text):
        make_parents(**changes)
