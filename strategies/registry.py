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
            if k < 0:
                raise PoolError(f"{name}: cannot pick {k} items.")
            if missing := needs & ~pool.given:
                fields = [field for need in missing for field in NEEDED_FIELDS[need]]
                raise PoolError(f"{name} needs {', '.join(fields)}, which the pool does not have.")
            k = min(k, len(pool))
            if k == 0:
                return Selection(np.empty(0, np.int64), np.empty(0))
            return function(pool, k, rng, *args, **options)

        add(StrategyInfo(name, "pool", needs, reference, summary, pick, ordered=ordered))
        return pick

    return register


def add(info: StrategyInfo) -> None:
    """Register a strategy; only decorators call this."""
    _REGISTERED[info.name] = info


def no_pool(name: str, family: Family) -> PoolStrategy:
    """Return what refuses to pick from a pool, as the `function` of the other families."""

    def refuse(_pool: Pool, _k: int, _rng: np.random.Generator, /) -> Selection:
        raise StrategyError(
            f"{name} is a {family} strategy and picks from no pool. Pool strategies:"
            f" {', '.join(names('pool'))}."
        )

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
    """Return the strategy called `name`; raises `UnknownStrategy` with the names there are."""
    known = _discovered()
    if name not in known:
        raise UnknownStrategy(name, names())
    return known[name]


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
