"""Strategies by name: a decorator registers a function, `get`, `names` and `all` find it.

The families stream and synthesis have decorators of their own, which `add` what they register.
One method per file: a file ``strategies/pool/margin.py`` holds the strategy ``margin``, and
``tests/strategies/pool/test_margin.py`` tests it. A new file is found by itself. What the methods
of a family share is in sub-folders of its folder, or beside the folders.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, Literal, ParamSpec, Protocol

import numpy as np

from strategies.base import NEEDED_FIELDS, Needs, Pool, PoolError, Selection, StrategyError

Family = Literal["pool", "stream", "synthesis"]
FAMILIES: tuple[Family, ...] = ("pool", "stream", "synthesis")
MIXED = frozenset("+=,:")  # only a written mixture has one of these
Options = ParamSpec("Options")


class PoolStrategy(Protocol):
    """How a pool strategy is called."""

    def __call__(self, pool: Pool, k: int, rng: np.random.Generator, /) -> Selection:
        """Pick at most `k` items of `pool`."""
        ...


class UnknownStrategy(StrategyError, LookupError):
    """No strategy has this name; the text lists those there are, and the nearest."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"Unknown strategy {name!r}.{hint} Known: {', '.join(known)}.")
        self.name = name


@dataclass(frozen=True, slots=True)
class StrategyInfo:
    """One registered strategy.

    `summary` and `reference` are the first line and the first reference of the docstring.
    `ordered` says that the scores of a selection never rise from one pick to the next.
    """

    name: str
    family: Family
    needs: Needs
    reference: str
    summary: str
    function: PoolStrategy
    ordered: bool = field(default=True, kw_only=True)

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of its needs, in lower-case letters."""
        return tuple(str(need.name).lower() for need in self.needs)

    def __call__(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Pick at most `k` items of `pool`."""
        return self.function(pool, k, rng)


_REGISTERED: dict[str, StrategyInfo] = {}

Picker = Callable[Concatenate[Pool, int, np.random.Generator, Options], Selection]


def pool_strategy(
    name: str, *, needs: Needs, ordered: bool = True
) -> Callable[[Picker[Options]], Picker[Options]]:
    """Register a function that picks from a pool.

    Parameters
    ----------
    name : str
        The name of the file without ``.py``, and what people type and see.
    needs : Needs
        The arrays that the function reads.
    ordered : bool
        False when the scores may rise from one pick to the next (picks drawn at random).

    Returns
    -------
    callable
        A decorator. The decorated function is called only with what it needs at hand and
        ``1 <= k <= N``: a larger `k` is cut to N, and for nothing to pick nothing is called. It
        may have keyword options of its own, with defaults.

    Raises
    ------
    StrategyError
        When the name differs from the file's, or the docstring lacks a summary or a reference.
    """

    def register(function: Picker[Options]) -> Picker[Options]:
        summary, reference = described(name, function)

        @functools.wraps(function)
        def pick(
            pool: Pool,
            k: int,
            rng: np.random.Generator,
            /,
            *args: Options.args,
            **options: Options.kwargs,
        ) -> Selection:
            k = checked(name, needs, pool, k)
            return function(pool, k, rng, *args, **options) if k else nothing()

        add(StrategyInfo(name, "pool", needs, reference, summary, pick, ordered=ordered))
        return pick

    return register


def checked(name: str, needs: Needs, pool: Pool, k: int) -> int:
    """Return how many a strategy is to pick: `k`, or all items when there are fewer.

    Raises
    ------
    PoolError
        When `k` is negative, or the pool lacks what the strategy needs.
    """
    if k < 0:
        raise PoolError(f"{name}: cannot pick {k} items.")
    if missing := needs & ~pool.given:
        fields = [field for need in missing for field in NEEDED_FIELDS[need]]
        raise PoolError(f"{name} needs {', '.join(fields)}, which the pool does not have.")
    return min(k, len(pool))


def nothing() -> Selection:
    """Return the selection of no item."""
    return Selection(np.empty(0, np.int64), np.empty(0))


def add(info: StrategyInfo) -> None:
    """Register a strategy; only decorators call this."""
    _REGISTERED[info.name] = info


def no_pool(name: str, family: Family) -> PoolStrategy:
    """Return what refuses to pick from a pool, as the `function` of the other families."""

    def refuse(_pool: Pool, _k: int, _rng: np.random.Generator, /) -> Selection:
        raise _no_pool(name, family)

    return refuse


def described(name: str, function: Callable[..., object]) -> tuple[str, str]:
    """Return the summary and the first reference of a strategy's docstring.

    Raises
    ------
    StrategyError
        When the function is not in the file of its name, or its docstring lacks one of the two.
    """
    if function.__module__.rpartition(".")[2] != name:
        raise StrategyError(
            f"{function.__module__} must hold the strategy of that name, not {name}."
        )
    docstring = inspect.getdoc(function) or ""
    summary = docstring.partition("\n\n")[0].replace("\n", " ").strip()
    _, _, after = docstring.partition("References\n----------\n")
    reference = after.partition("\n\n")[0].replace("\n", " ").strip()
    if not summary or not reference:
        raise StrategyError(f"{name}: the docstring needs a summary line and a References section.")
    return summary, reference


def get(name: str) -> StrategyInfo:
    """Return a strategy by its name, or a mixture as people write it.

    Parameters
    ----------
    name : str
        A name, or parts with their shares, such as ``margin=70+random=30``.

    Raises
    ------
    UnknownStrategy
        When there is none of this name; the text lists those there are.
    PoolError
        When the mixture is none; the text says why.
    """
    known = _discovered()
    if name in known:
        return known[name]
    if MIXED & set(name):
        made: StrategyInfo = importlib.import_module("strategies.pool.mixture").strategy_of(name)
        return made
    raise UnknownStrategy(name, names())


def get_of(family: Family, name: str) -> StrategyInfo:
    """Return the strategy of a family called `name`.

    Raises
    ------
    UnknownStrategy
        When there is none of this name; the text lists those there are.
    """
    known = names(family)
    if name not in known:
        raise UnknownStrategy(name, known)
    return get(name)


def get_pool(name: str) -> StrategyInfo:
    """Return a strategy that picks from a pool, by its name or as a written mixture.

    Raises
    ------
    StrategyError
        When there is none of this name, or it is of another family; otherwise as :func:`get`.
    """
    if name not in names() and not MIXED & set(name):
        raise UnknownStrategy(name, names("pool"))
    info = get(name)
    if info.family != "pool":
        raise _no_pool(name, info.family)
    return info


def _no_pool(name: str, family: Family) -> StrategyError:
    """Return the error of a strategy that was to pick from a pool and cannot."""
    return StrategyError(
        f"{name} is a {family} strategy and picks from no pool. Pool strategies: "
        f"{', '.join(names('pool'))}."
    )


def names(family: Family | None = None) -> tuple[str, ...]:
    """Return the names of all strategies (of one family), in alphabetical order."""
    return tuple(info.name for info in all(family))


def all(family: Family | None = None) -> list[StrategyInfo]:
    """Return all strategies (of one family), by name."""
    known = _discovered()
    return [known[name] for name in sorted(known) if family in (None, known[name].family)]


@functools.cache
def _discovered() -> dict[str, StrategyInfo]:
    """Import every file of the families' folders once, so that its decorator runs."""
    for family in FAMILIES:
        folder = importlib.import_module(f"strategies.{family}")
        for module in pkgutil.iter_modules(folder.__path__):
            if module.ispkg:
                continue
            importlib.import_module(f"strategies.{family}.{module.name}")
            if module.name not in _REGISTERED:
                raise StrategyError(f"strategies/{family}/{module.name}.py registers no strategy.")
    return _REGISTERED
