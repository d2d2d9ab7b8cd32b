"""A stream between two items: everything that has to be kept so that it can go on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from strategies.stream.machine.budget import BudgetEstimate, budget_rate
from strategies.stream.machine.errors import StreamError
from strategies.stream.machine.rule import Foresight, RuleState, list_options, rule_called

NEVER = math.inf  # the acceptance threshold of a class of which no label is generated


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream remembers; small, whatever the number of items that passed.

    Parameters
    ----------
    strategy : str
        The name of the rule.
    rule : RuleState
        What the rule remembers.
    budget : BudgetEstimate
        The soft budget, kept apart from the rule.
    accept_from : tuple of float, length C
        Per class the calibrated confidence from which its predictions become generated labels;
        `NEVER` for classes of which none do.
    left : int
        The hard cap: how many more items may be asked about.
    seed : int
        Draws the random numbers of every item, with its position.
    asked, accepted, deferred : int
        What became of the items so far.
    """

    strategy: str
    rule: RuleState
    budget: BudgetEstimate
    accept_from: tuple[float, ...]
    left: int
    seed: int = 0
    asked: int = 0
    accepted: int = 0
    deferred: int = 0

    def __post_init__(self) -> None:
        """Check what the decisions rely on."""
        if not self.accept_from or any(not limit >= 0 for limit in self.accept_from):
            raise StreamError(
                "Each class needs a confidence from which it is accepted: a number of at least 0,"
                f" or infinity for never; not {list(self.accept_from)}."
            )
        counts = (self.left, self.seed, self.asked, self.accepted, self.deferred)
        if any(not isinstance(count, int) or count < 0 for count in counts):
            raise StreamError(f"Counts and seed must be whole numbers from 0, not {counts}.")

    @property
    def position(self) -> int:
        """How many items passed, and the place of the next."""
        return self.asked + self.accepted + self.deferred

    @property
    def finished(self) -> bool:
        """Whether the labels are spent; the items that come now stay in the pool."""
        return self.left == 0

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON can hold it; `from_json` makes the same state of it."""
        accept_from = [None if math.isinf(limit) else limit for limit in self.accept_from]
        return {**asdict(self), "accept_from": accept_from}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> StreamState:
        """Return the state that was kept as JSON.

        Raises
        ------
        StreamError
            When the record is not that of a state.
        UnknownStrategy
            When its strategy is not known (any more).
        """
        try:
            values = dict(record)
            values["rule"] = rule_called(values["strategy"]).state(**values["rule"])
            values["budget"] = BudgetEstimate(**values["budget"])
            values["accept_from"] = tuple(
                NEVER if limit is None else limit for limit in values["accept_from"]
            )
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise StreamError(f"This is not the state of a stream: {error}.") from error


def start(
    strategy: str,
    *,
    labels_left: int,
    items_expected: int,
    accept_from: Sequence[float],
    seed: int = 0,
    options: Mapping[str, float] | None = None,
    coming: ArrayLike = (),
) -> StreamState:
    """Return a stream's state before its first item.

    Parameters
    ----------
    strategy : str
        The name of a stream strategy.
    labels_left : int
        How many items may be asked about: the hard cap.
    items_expected : int
        How many items are expected to pass; with `labels_left` it makes B.
    accept_from : sequence of float, length C
        Per class the calibrated confidence from which its predictions become generated labels;
        `NEVER` (infinity) for classes of which none do.
    seed : int
        Draws the random numbers.
    options : mapping, optional
        Options of the strategy, named as in its ``State.start``.
    coming : array of float, shape (n,), optional
        The confidences that the items are expected to have, all of them or an even sample; rules
        that look ahead begin with them.

    Raises
    ------
    StreamError
        When a number or an option cannot be used.
    UnknownStrategy
        When no stream strategy has this name.
    """
    rate = budget_rate(labels_left, items_expected)
    limits = tuple(float(limit) for limit in accept_from)
    if not limits:
        raise StreamError("A stream needs at least one class.")
    chosen, known = dict(options or {}), list_options(rule_called(strategy))
    if unknown := sorted(set(chosen) - set(known)):
        raise StreamError(
            f"{strategy} has no option {', '.join(unknown)}. Its options: "
            f"{', '.join(known) or 'none'}."
        )
    rule = rule_called(strategy).state.start(rate, len(limits), **chosen)
    if isinstance(rule, Foresight):
        rule = rule.expecting(coming, labels_left, items_expected)
    return StreamState(strategy, rule, BudgetEstimate(rate), limits, labels_left, seed)
