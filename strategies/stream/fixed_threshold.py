"""Fixed threshold: ask whenever the model is less sure than a line that does not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strategies.stream.machine.checks import check_number
from strategies.stream.machine.rule import Draws, Wish, stream_strategy


@dataclass(frozen=True, slots=True)
class State:
    """The line: items of this confidence, or of less, are asked about."""

    threshold: float

    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("threshold", self.threshold, 0, 1)

    @classmethod
    def start(cls, rate: float, classes: int, threshold: float | None = None) -> State:
        """Return the state before the first item.

        Parameters
        ----------
        rate : float
            B, the share of items that may be asked about.
        classes : int
            C, the number of classes.
        threshold : float, optional
            The line. When not given, the paper's: 1/C + B (1 - 1/C).
        """
        if threshold is None:
            threshold = 1 / classes + rate * (1 - 1 / classes)
        return cls(threshold)


@stream_strategy("fixed_threshold", state=State)
def fixed_threshold(state: State, confidence: float, _rng: Draws) -> tuple[Wish, State]:
    """Ask about items whose confidence is at most a fixed threshold.

    What a person would do by hand, and easy to explain; a model that is certain of everything is
    never asked about, and one that is unsure of everything spends the budget on the first items.

    Parameters
    ----------
    state : State
        The threshold.
    confidence : float
        The calibrated probability of the predicted class.
    _rng : Draws
        Not used.

    Returns
    -------
    wish : Wish
    state : State
        As it was.

    References
    ----------
    Žliobaitė, I., Bifet, A., Pfahringer, B. and Holmes, G. Active Learning With Drifting Streaming
    Data. IEEE Transactions on Neural Networks and Learning Systems 25(1), 2014.
    """
    return Wish(confidence <= state.threshold, state.threshold), state
