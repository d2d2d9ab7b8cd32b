"""The plan of one new item: whose child, by which recipe, with what parameters and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from strategies.synthesis.recipes.errors import SynthesisError
from strategies.synthesis.recipes.recipe import Recipe, Value

SEEDS = 2**31  # a seed is below; numpy's old generator, which AugLy uses, takes no more than 2**32


@dataclass(frozen=True, slots=True)
class Plan:
    """One new item, before it is made: enough to make it again, to the byte.

    Parameters
    ----------
    parent : int
        The labelled item that it is made of, whose split and label it shares.
    recipe : str
        The name of a recipe, or `latent_mixup` or `interpolate` for mixtures of embeddings.
    parameters : tuple of (name, value)
        In the recipe's order. Mixtures have `partner`, another item, and `weight`, the parent's
        share of the mixture.
    seed : int
        Draws what the recipe leaves to chance (noise, a date); 0 to 2**31 - 1.
    score : float
        How much the strategy wanted it, in the unit that its docstring says.
    """

    parent: int
    recipe: str
    parameters: tuple[tuple[str, Value], ...] = ()
    seed: int = 0
    score: float = 0.0

    def __post_init__(self) -> None:
        """Check the seed."""
        if not 0 <= self.seed < SEEDS:
            raise SynthesisError(f"A seed must be from 0 to {SEEDS - 1}, not {self.seed}.")

    @property
    def values(self) -> dict[str, Value]:
        """The parameters by name."""
        return dict(self.parameters)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it; `from_json` makes the same plan of it."""
        return {
            "parent": self.parent,
            "recipe": self.recipe,
            "parameters": self.values,
            "seed": self.seed,
            "score": self.score,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Plan:
        """Return the plan of a record; raises `SynthesisError` when it is none."""
        try:
            values = dict(record)
            values["parameters"] = tuple(dict(values["parameters"]).items())
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise SynthesisError(f"This is not the record of a plan: {error}.") from error


def draw_plan(parent: int, recipe: Recipe, rng: np.random.Generator, score: float = 0.0) -> Plan:
    """Return the plan of a child of `parent`, with parameters and seed drawn at random."""
    parameters = tuple(recipe.draw(rng).items())
    return Plan(int(parent), recipe.name, parameters, int(rng.integers(SEEDS)), float(score))
