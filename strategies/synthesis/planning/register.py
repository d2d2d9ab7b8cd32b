"""How a method registers as a synthesis strategy, and is found."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, cast

import numpy as np

from strategies import registry
from strategies.base import Needs
from strategies.registry import StrategyInfo
from strategies.synthesis.planning.parents import Parents
from strategies.synthesis.planning.plan import Plan
from strategies.synthesis.recipes.errors import SynthesisError

Options = ParamSpec("Options")
Planner = Callable[Concatenate[Parents, int, np.random.Generator, Options], tuple[Plan, ...]]


class SynthesisStrategy(Protocol):
    """How a synthesis strategy is called."""

    def __call__(self, parents: Parents, k: int, rng: np.random.Generator, /) -> tuple[Plan, ...]:
        """Plan at most `k` new items."""
        ...


@dataclass(frozen=True, slots=True)
class SynthesisInfo(StrategyInfo):
    """One registered synthesis strategy: how it plans, and whether its children are pictures.

    Where `pictures` is false the children are mixtures of embeddings: `blend` makes them.
    """

    plan: SynthesisStrategy
    pictures: bool


def synthesis_strategy(
    name: str, *, needs: Needs, pictures: bool = True
) -> Callable[[Planner[Options]], Planner[Options]]:
    """Register a function that plans new items from labelled ones.

    Parameters
    ----------
    name : str
        The name of the file without ``.py``, and what people type and see.
    needs : Needs
        The arrays that the function reads beside the parents' ids and classes.
    pictures : bool
        Whether it uses recipes; otherwise its children are mixtures of embeddings.

    Returns
    -------
    callable
        A decorator. The decorated function is called only with what it needs at hand, with a
        parent and, for pictures, a recipe, and with ``k >= 1``: for nothing to plan nothing is
        called. It may have keyword options of its own, with defaults.

    Raises
    ------
    StrategyError
        When the name differs from the file's, or the docstring lacks a summary or a reference.
    """

    def register(function: Planner[Options]) -> Planner[Options]:
        summary, reference = registry.described(name, function)

        @functools.wraps(function)
        def plan(
            parents: Parents,
            k: int,
            rng: np.random.Generator,
            /,
            *args: Options.args,
            **options: Options.kwargs,
        ) -> tuple[Plan, ...]:
            if k < 0:
                raise SynthesisError(f"{name}: cannot plan {k} items.")
            if missing := parents.missing(needs):
                raise SynthesisError(f"{name} needs {', '.join(missing)}, which is not there.")
            if pictures and not parents.recipes:
                raise SynthesisError(f"{name} needs at least one recipe.")
            if k == 0 or not len(parents):
                return ()
            return function(parents, k, rng, *args, **options)

        refuse = registry.no_pool(name, "synthesis")
        registry.add(
            SynthesisInfo(name, "synthesis", needs, reference, summary, refuse, plan, pictures)
        )
        return plan

    return register


def strategy_called(name: str) -> SynthesisInfo:
    """Return the synthesis strategy called `name`; see :func:`strategies.registry.get_of`."""
    return cast("SynthesisInfo", registry.get_of("synthesis", name))
