"""A decision rule: what it is given, what it says, and how a method registers as one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar, cast, runtime_checkable

from numpy.typing import ArrayLike

from strategies import registry
from strategies.base import Needs
from strategies.registry import StrategyInfo


class Draws(Protocol):
    """Where a rule gets its random numbers: a `numpy.random.Generator`, or a log to replay."""

    def random(self) -> float:
        """Return a number from 0 (included) to 1 (excluded)."""
        ...

    def normal(self, loc: float, scale: float) -> float:
        """Return a number of the normal distribution."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rule says of one item.

    Parameters
    ----------
    ask : bool
        Whether it wants a person's label.
    threshold : float
        The confidence below which it asks, as it stood for this item.
    draws : tuple of float
        The random numbers it used, in order.
    """

    ask: bool
    threshold: float
    draws: tuple[float, ...] = ()


class RuleState(Protocol):
    """What a rule remembers: a frozen dataclass of numbers and rows of numbers.

    `gated` says that the rule is to be heard only while the budget estimate is open; a rule that
    keeps to the budget by itself hears every item.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    gated: ClassVar[bool]

    @classmethod
    def start(cls, *args: Any, **options: Any) -> Self:
        """Return the state before the first item.

        Parameters
        ----------
        *args
            B, the share of items that may be asked about, and C, the number of classes.
        **options : float or int
            The rule's own, with defaults.
        """
        ...


@runtime_checkable
class Foresight(Protocol):
    """What a rule has beside that uses what is known of the items before they pass."""

    def expecting(self, confidences: ArrayLike, labels: int, items: int) -> RuleState:
        """Return the state of a stream of so many items that may ask for so many labels.

        Parameters
        ----------
        confidences : array of float, shape (n,)
            Those that the items are expected to have, all of them or an even sample; n may be 0.
        labels, items : int
        """
        ...


State = TypeVar("State", bound=RuleState)
Rule = Callable[[State, float, Draws], tuple[Wish, State]]


@dataclass(frozen=True, slots=True)
class StreamInfo(StrategyInfo):
    """One registered stream strategy: how it decides, and the class of its state."""

    decide: Rule[Any]
    state: type[RuleState]


def stream_strategy(name: str, *, state: type[State]) -> Callable[[Rule[State]], Rule[State]]:
    """Register a rule that says of one item after the other whether to ask about it.

    Parameters
    ----------
    name : str
        The name of the file without ``.py``, and what people type and see.
    state : type
        The frozen dataclass of what the rule remembers from item to item.

    Returns
    -------
    callable
        A decorator; it leaves the function as it is.

    Raises
    ------
    StrategyError
        When the name differs from the file's, or the docstring lacks a summary or a reference.
    """

    def register(rule: Rule[State]) -> Rule[State]:
        summary, reference = registry.described(name, rule)
        refuse = registry.no_pool(name, "stream")
        registry.add(
            StreamInfo(name, "stream", Needs.PROBS, reference, summary, refuse, rule, state)
        )
        return rule

    return register


def list_options(info: StreamInfo) -> dict[str, float | None]:
    """Return the options of a stream strategy with their defaults."""
    known = inspect.signature(info.state.start).parameters
    return {
        name: parameter.default
        for name, parameter in known.items()
        if parameter.default is not inspect.Parameter.empty
    }


@functools.cache
def rule_called(name: str) -> StreamInfo:
    """Return the stream strategy called `name`; see :func:`strategies.registry.get_of`."""
    return cast("StreamInfo", registry.get_of("stream", name))
