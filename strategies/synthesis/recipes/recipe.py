"""A recipe: a named way to make a picture from another, with typed ranges of its parameters."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from PIL import Image

from strategies.synthesis.recipes.errors import RecipeError

Value: TypeAlias = float | int | str
Values: TypeAlias = Mapping[str, Value]
Group = Literal[
    "light", "camera", "compression", "screenshot", "geometry", "occlusion", "text", "emoji"
]
GROUPS: tuple[Group, ...] = (
    "light",
    "camera",
    "compression",
    "screenshot",
    "geometry",
    "occlusion",
    "text",
    "emoji",
)
DIGITS = 4  # of a drawn number; more say nothing, and read badly in a table


@dataclass(frozen=True, slots=True)
class Span:
    """A parameter that is a number: drawn uniformly from `low` to `high`, both included."""

    name: str
    low: float
    high: float
    help: str
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> Value:
        """Draw a value."""
        if self.whole:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        return min(self.high, max(self.low, round(float(rng.uniform(self.low, self.high)), DIGITS)))

    def check(self, value: Value) -> Value:
        """Return `value`, or raise `RecipeError` when it is not of this span."""
        number = not isinstance(value, str | bool) and math.isfinite(value)
        if not number or not self.low <= float(value) <= self.high:
            raise RecipeError(f"{self.name} must be from {self.low:g} to {self.high:g}: {value!r}.")
        if self.whole and int(value) != value:
            raise RecipeError(f"{self.name} must be a whole number, not {value!r}.")
        return int(value) if self.whole else float(value)

    def narrowed(self, low: float, high: float) -> Span:
        """Return the part of this span from `low` to `high`."""
        self.check(low)
        self.check(high)
        if low > high:
            raise RecipeError(f"{self.name} cannot go from {low:g} down to {high:g}.")
        return dataclasses.replace(self, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is one of a few words."""

    name: str
    options: tuple[str, ...]
    help: str

    def draw(self, rng: np.random.Generator) -> Value:
        """Draw one of the options."""
        return self.options[int(rng.integers(len(self.options)))]

    def check(self, value: Value) -> Value:
        """Return `value`, or raise `RecipeError` when it is none of the options."""
        if value not in self.options:
            raise RecipeError(f"{self.name} must be one of {', '.join(self.options)}: {value!r}.")
        return value

    def narrowed(self, *options: str) -> Choice:
        """Return the choice among some of the options."""
        if not options:
            raise RecipeError(f"{self.name} needs at least one of {', '.join(self.options)}.")
        for option in options:
            self.check(option)
        return dataclasses.replace(self, options=options)


Parameter: TypeAlias = Span | Choice


class Augment(Protocol):
    """AugLy, as a recipe sees it."""

    def __call__(self, function: str, image: Image.Image, /, **arguments: object) -> Image.Image:
        """Return what the AugLy function of this name makes of a picture."""
        ...


Painter = Callable[[Augment, Image.Image, Values, int], Image.Image]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to make a picture from another.

    Parameters
    ----------
    name : str
        What people see, and what is recorded.
    group : Group
        What it imitates.
    summary : str
        One line on what it does.
    augly : tuple of str
        The AugLy functions that it calls.
    parameters : tuple of Span or Choice
        What to draw, and from where; for sliders and boxes.
    paint : callable
        Makes the picture: (AugLy, RGB picture, values, seed) to a picture. Only `render` calls it.
    usual : bool
        Whether it is offered switched on. Off are those that change some classes (a mirrored "b" is
        a "d"), or change nothing in some pictures.
    """

    name: str
    group: Group
    summary: str
    augly: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    paint: Painter
    usual: bool = True

    def draw(self, rng: np.random.Generator) -> dict[str, Value]:
        """Draw a value for each parameter."""
        return {parameter.name: parameter.draw(rng) for parameter in self.parameters}

    def checked(self, values: Values) -> dict[str, Value]:
        """Return the values in their order and types.

        Raises
        ------
        RecipeError
            When one is missing, too many, or out of its range.
        """
        names = [parameter.name for parameter in self.parameters]
        if set(values) != set(names):
            raise RecipeError(
                f"{self.name} takes {', '.join(names) or 'no parameters'},"
                f" not {', '.join(sorted(values)) or 'none'}."
            )
        try:
            return {p.name: p.check(values[p.name]) for p in self.parameters}
        except RecipeError as error:
            raise RecipeError(f"{self.name}: {error}") from error

    def narrowed(self, **limits: tuple[float, float] | tuple[str, ...]) -> Recipe:
        """Return the recipe with smaller ranges, as a person set them.

        Parameters
        ----------
        **limits
            By parameter: (low, high) of a number, or the options that stay.

        Raises
        ------
        RecipeError
            When there is no such parameter, or the limits lie outside of its range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name, limit in limits.items():
            if name not in known:
                raise RecipeError(f"{self.name} has no parameter {name!r}.")
            known[name] = _narrowed(known[name], limit)
        return dataclasses.replace(self, parameters=tuple(known.values()))


def _narrowed(parameter: Parameter, limit: tuple[float, float] | tuple[str, ...]) -> Parameter:
    """Return the parameter within a person's limits."""
    if isinstance(parameter, Choice):
        return parameter.narrowed(*map(str, limit))
    if len(limit) != 2 or any(isinstance(end, str) for end in limit):
        raise RecipeError(f"{parameter.name} needs two numbers, not {limit!r}.")
    return parameter.narrowed(float(limit[0]), float(limit[1]))


def recipe(
    group: Group, *parameters: Parameter, augly: tuple[str, ...] = (), usual: bool = True
) -> Callable[[Painter], Recipe]:
    """Make a recipe of the function that paints it.

    Parameters
    ----------
    group : Group
        What it imitates.
    *parameters : Span or Choice
        What to draw.
    augly : tuple of str
        The AugLy functions that it calls; when none is given, the one of the same name.
    usual : bool
        Whether it is offered switched on.

    Returns
    -------
    callable
        A decorator; the function's name and the first line of its docstring become the recipe's.
    """

    def make(paint: Painter) -> Recipe:
        summary = (inspect.getdoc(paint) or "").partition("\n")[0]
        name = paint.__name__
        return Recipe(name, group, summary, augly or (name,), parameters, paint, usual)

    return make
