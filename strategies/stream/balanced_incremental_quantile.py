"""Balanced incremental quantile filter: the least sure share of the last items is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from strategies.stream.machine.checks import check_number
from strategies.stream.machine.rule import Draws, Wish, stream_strategy


@dataclass(frozen=True, slots=True)
class State:
    """B, how far to look back, how fast to balance; how many were seen, asked; the last ones.

    `recent` are the doubts (one minus the confidence) of the last items, oldest first.
    """

    rate: float
    window: int
    tolerance: float
    seen: int = 0
    asked: int = 0
    recent: tuple[float, ...] = ()

    gated: ClassVar[bool] = False  # it balances its questions by itself

    def __post_init__(self) -> None:
        """Check the numbers; a list, as JSON has it, becomes a tuple."""
        object.__setattr__(self, "recent", tuple(self.recent))
        check_number("rate", self.rate, 0, 1)
        check_number("window", self.window, 1)
        check_number("tolerance", self.tolerance, 1)
        check_number("asked", self.asked, 0, self.seen)

    @classmethod
    def start(cls, rate: float, _classes: int, window: int = 100, tolerance: float = 50) -> State:
        """Return the state before the first item.

        Parameters
        ----------
        rate : float
            B, the share of items to ask about.
        window : int
            w, how many items the quantile is taken of.
        tolerance : float
            The number of items within which the questions are to come back to B.
        """
        return cls(rate, window, tolerance)


@stream_strategy("balanced_incremental_quantile", state=State)
def balanced_incremental_quantile(
    state: State, confidence: float, _rng: Draws
) -> tuple[Wish, State]:
    """Ask about an item that is among the least sure of the last ones, as many as the budget has.

    The threshold is a quantile of the last items, moved up or down as long as there were too many
    or too few questions; the share of questions keeps to the budget nearly exactly. Made for
    streams that change slowly, it asks at the same rate when nothing in the stream is worth it; of
    items that are all equally sure it asks about every one, until the labels are spent.

    Parameters
    ----------
    state : State
        The last items.
    confidence : float
        The calibrated probability of the predicted class.
    _rng : Draws
        Not used.

    Returns
    -------
    wish : Wish
    state : State
        With the item among the last ones.

    References
    ----------
    Kottke, D., Krempl, G. and Spiliopoulou, M. Probabilistic Active Learning in Datastreams. IDA
    2015.
    """
    doubt = 1 - confidence
    seen = state.seen + 1
    recent = (*islice(state.recent, max(0, len(state.recent) + 1 - state.window), None), doubt)
    ordered = sorted(recent)
    left = state.rate * seen - state.asked
    threshold = quantile(ordered, 1 - state.rate)
    threshold -= (ordered[-1] - ordered[0]) * (left / state.tolerance)
    ask = doubt >= threshold
    return Wish(ask, 1 - threshold), State(
        state.rate, state.window, state.tolerance, seen, state.asked + ask, recent
    )


def quantile(ordered: list[float], share: float) -> float:
    """Return the `share` quantile of sorted numbers as numpy's, to the bit, but without an array.

    `numpy.quantile` of a hundred numbers takes longer than all the rest of the decision.
    """
    place = (len(ordered) - 1) * share
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    part, step = place - below, ordered[above] - ordered[below]
    # from the nearer end, as numpy does, so that both ends are met exactly
    return ordered[above] - step * (1 - part) if part >= 0.5 else ordered[below] + step * part
