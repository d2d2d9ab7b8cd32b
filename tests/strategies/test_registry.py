"""Strategies are found by name, and say what they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import strategies
from strategies import registry
from strategies.base import Needs, Pool, Selection, StrategyError

FOLDER = Path(strategies.__file__).parent / "pool"


def test_every_file_is_a_strategy_with_a_test_of_the_same_name() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert set(registry.names("pool")) == files
    tests = {
        path.stem.removeprefix("test_")
        for path in (Path(__file__).parent / "pool").glob("test_*.py")
    }
    assert tests == files


def test_get_returns_the_strategy_of_that_name() -> None:
    info = registry.get("margin")
    assert (info.name, info.family, info.needs) == ("margin", "pool", Needs.PROBS)
    assert info.summary == "Pick the items whose two likeliest classes are closest."
    assert info.reference.startswith("Scheffer, T., Decomain, C. and Wrobel, S.")
    assert info.reference.endswith("IDA 2001.")


def test_a_strategy_can_be_called_as_it_stands() -> None:
    pool = Pool(np.arange(3), probs=np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
    selection = registry.get("margin")(pool, 1, np.random.default_rng(0))
    assert selection.ids.tolist() == [1]


def test_names_are_sorted_and_all_agrees() -> None:
    assert list(registry.names()) == sorted(registry.names())
    assert tuple(info.name for info in registry.all()) == registry.names()
    families = [registry.names(family) for family in registry.FAMILIES]
    assert sorted(name for family in families for name in family) == list(registry.names())


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(registry.UnknownStrategy) as caught:
        registry.get("margins")
    text = str(caught.value)
    assert "Did you mean 'margin'?" in text
    assert all(name in text for name in registry.names())
    with pytest.raises(registry.UnknownStrategy) as caught:
        registry.get("zzz")
    assert "Did you mean" not in str(caught.value)


def test_a_pool_strategy_is_asked_for_by_name_or_as_a_mixture() -> None:
    assert registry.get_pool("margin") is registry.get("margin")
    assert registry.get_pool("margin:1,random:1").name == "margin=1+random=1"
    with pytest.raises(StrategyError, match="split is a stream strategy and picks from no pool"):
        registry.get_pool("split")
    with pytest.raises(registry.UnknownStrategy) as caught:
        registry.get_pool("balanc")
    assert "weak_spots" not in str(caught.value)
    assert "class_balance" in str(caught.value)


def test_the_name_must_be_the_name_of_the_file() -> None:
    with pytest.raises(StrategyError, match="must hold the strategy of that name, not margin"):

        @registry.pool_strategy("margin", needs=Needs.NOTHING)
        def margin(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
            """Pick nothing."""
            return Selection(pool.ids[:0], np.empty(0))

    assert registry.get("margin").function.__module__ == "strategies.pool.margin"


def test_the_docstring_must_have_a_summary_and_a_reference() -> None:
    def test_registry(pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Pick nothing."""
        return Selection(pool.ids[:0], np.empty(0))

    with pytest.raises(StrategyError, match="needs a summary line and a References section"):
        registry.pool_strategy("test_registry", needs=Needs.NOTHING)(test_registry)
    assert "test_registry" not in registry.names()


def test_listing_the_strategies_is_light() -> None:
    code = (
        "import sys; from strategies import registry; registry.all();"
        "heavy = ('sklearn', 'torch', 'pandas', 'labeller', 'store');"
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
