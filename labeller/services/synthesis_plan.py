"""What a person sets for a synthesis run, and what the pages and commands are told about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from labeller.errors import SynthesisError
from labeller.project import Project
from store.records import ItemRecord, JobRecord
from store.records_made import SynthesisRunRecord
from strategies import registry
from strategies.synthesis import SynthesisError as PlanError
from strategies.synthesis import SynthesisInfo, recipes, strategy_called
from strategies.synthesis.recipes.recipe import GROUPS, Recipe, Value

KIND = "synthesis"
MOST = 100_000
SEEDS = 2**31

Limit = tuple[float, float] | tuple[str, ...]
#: by parameter: lowest and highest of a number, or the words that stay
Limits = Mapping[str, tuple[float, float] | Sequence[str]]


@dataclass(frozen=True, slots=True)
class SynthesisPlan:
    """What a person sets before a run starts.

    Parameters
    ----------
    strategy : str
        Name of a synthesis strategy.
    count : int
        How many items are wanted; what the budget can pay, at most.
    recipes : mapping of str to mapping
        By recipe, its narrowed parameters: (low, high) of a number, or the words that stay; those
        not named keep their range. Empty for the usual recipes. Mixtures use none.
    seed : int, optional
        The same seed and labels give the same bytes; by default one that no run had so far.
    classes : tuple of int, optional
        Ids of the classes that get new items; all when not given.
    """

    strategy: str = "balance"
    count: int = 50
    recipes: Mapping[str, Limits] = field(default_factory=dict)
    seed: int | None = None
    classes: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a run's row holds it."""
        return {
            "strategy": self.strategy,
            "count": self.count,
            "recipes": {
                name: {key: list(limit) for key, limit in limits.items()}
                for name, limits in self.recipes.items()
            },
            "seed": self.seed,
            "classes": None if self.classes is None else list(self.classes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SynthesisPlan:
        """Return the plan of :meth:`to_json`."""
        classes = values["classes"]
        return cls(
            strategy=str(values["strategy"]),
            count=int(values["count"]),
            recipes=values["recipes"],
            seed=values["seed"],
            classes=None if classes is None else tuple(classes),
        )


@dataclass(frozen=True, slots=True)
class ClassOutlook:
    """A class before and after a run.

    `labels` are labels by people in the training split, `synthetic` the items made so far that a
    model may learn from, `planned` what the run adds: None where only the run itself can tell.
    """

    class_id: int
    name: str
    colour: str
    labels: int
    synthetic: int
    planned: int | None

    @property
    def before(self) -> int:
        """Training examples now."""
        return self.labels + self.synthetic

    @property
    def after(self) -> int | None:
        """Training examples after the run; None where only the run itself can tell."""
        return None if self.planned is None else self.before + self.planned


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run would cost and bring, before it starts.

    `possible` of the `wanted` items can be paid and planned; a few may still turn out to change
    nothing, and cost nothing. `cost` is ``price × possible``, `left` what the budget has free now
    (None without a limit). `pictures` is False for mixtures, which nobody can look at. `parents`
    counts the labelled training items, `recipes` names what is used. With a `why_not` nothing can
    be started.
    """

    wanted: int
    possible: int
    price: float
    cost: float
    left: float | None
    pictures: bool
    parents: int
    recipes: tuple[str, ...]
    classes: tuple[ClassOutlook, ...]
    notes: tuple[str, ...]
    why_not: str | None


@dataclass(frozen=True, slots=True)
class StrategyView:
    """A synthesis strategy for a choice on a page.

    `needs` says in words what it takes besides labels, `why_not` why it cannot be used now.
    """

    name: str
    summary: str
    reference: str
    pictures: bool
    needs: tuple[str, ...]
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A child as it would look: `png`, or the `error` that is there instead.

    An `error` that begins with "The recipe … changes nothing" is no fault.
    """

    parent: ItemRecord
    class_id: int
    recipe: str
    parameters: Mapping[str, Value]
    seed: int
    png: bytes | None
    error: str | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with what people said of its children.

    `verdicts` counts them as ``keep``, ``drop`` and ``none``; `job` is the one that makes them now.
    `plan` is what was set. `resumable` runs were stopped before all was made.
    """

    run: SynthesisRunRecord
    plan: SynthesisPlan
    verdicts: Mapping[str, int]
    job: JobRecord | None
    resumable: bool


def groups() -> dict[str, tuple[Recipe, ...]]:
    """Return the recipes by what they imitate.

    Each has `name`, `summary`, `parameters` (`Span` with low, high, help and whole; `Choice` with
    options and help) and `usual`, whether it starts switched on.
    """
    return {group: recipes.in_group(group) for group in GROUPS}


def narrowed(limits: Mapping[str, Limits]) -> tuple[Recipe, ...]:
    """Return the recipes that a person chose, narrowed, in the order of :func:`groups`.

    Parameters
    ----------
    limits : mapping of str to mapping
        As in :class:`SynthesisPlan`; empty for the usual recipes.

    Raises
    ------
    SynthesisError
        When there is no such recipe or parameter, or a limit lies outside of its range.
    """
    if not limits:
        return recipes.USUAL
    try:
        found = {
            name: recipes.called(name).narrowed(**{k: _limit(v) for k, v in own.items()})
            for name, own in limits.items()
        }
    except PlanError as error:
        raise SynthesisError(str(error)) from error
    return tuple(found[name] for name in recipes.BY_NAME if name in found)


def _limit(limit: tuple[float, float] | Sequence[str]) -> Limit:
    """Return a limit as recipes take it; JSON has lists."""
    return cast("Limit", tuple(limit))


def checked(project: Project, plan: SynthesisPlan) -> SynthesisInfo:
    """Return the strategy of a plan that can be used.

    Parameters
    ----------
    project : Project
    plan : SynthesisPlan

    Raises
    ------
    SynthesisError
        When strategy, recipe or class is unknown, or a number is out of range.
    """
    known = registry.names("synthesis")
    if plan.strategy not in known:
        raise SynthesisError(
            f"{plan.strategy!r} is no synthesis strategy. Choose one of: {', '.join(known)}."
        )
    if not 1 <= plan.count <= MOST:
        raise SynthesisError(f"{plan.count} items cannot be made. Ask for 1 to {MOST:,}.")
    if plan.seed is not None and not 0 <= plan.seed < SEEDS:
        raise SynthesisError(f"The seed must be from 0 to {SEEDS - 1}, not {plan.seed}.")
    narrowed(plan.recipes)
    with project.store.read() as unit:
        classes = {one.id for one in unit.classes.all()}
    if plan.classes is not None and not plan.classes:
        raise SynthesisError("No class is chosen. Choose at least one, or leave it to all.")
    if missing := set(plan.classes or ()) - classes:
        raise SynthesisError(f"There is no class with number {min(missing)}.")
    return strategy_called(plan.strategy)
