"""Variable threshold: a line that follows the stream, so that the budget is used throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strategies.stream.machine.checks import check_number
from strategies.stream.machine.rule import Draws, Wish, stream_strategy
from strategies.stream.machine.threshold import check_step, moved


@dataclass(frozen=True, slots=True)
class State:
    """The line θ, and the share s by which it moves."""

    threshold: float
    step: float

    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("threshold", self.threshold, 0)
        check_step(self.step)

    @classmethod
    def start(
        cls, _rate: float, _classes: int, threshold: float = 1.0, step: float = 0.01
    ) -> State:
        """Return the state before the first item.

        Parameters
        ----------
        threshold : float
            Where the line starts.
        step : float
            s, the share by which it moves with every item.
        """
        return cls(threshold, step)


@stream_strategy("variable_threshold", state=State)
def variable_threshold(state: State, confidence: float, _rng: Draws) -> tuple[Wish, State]:
    """Ask about items less sure than a threshold that falls with each question and else rises.

    It finds the level at which the budget lasts, also on a stream of which the model is certain, or
    that changes. As in the paper it hears and learns only while the budget estimate is open: what
    passes meanwhile goes by unasked, however unsure, and the threshold settles above the least
    sure. It never asks about what the model is surest of, and so misses changes there.

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
        With the threshold for the next item.

    References
    ----------
    Žliobaitė, I., Bifet, A., Pfahringer, B. and Holmes, G. Active Learning With Drifting Streaming
    Data. IEEE Transactions on Neural Networks and Learning Systems 25(1), 2014.
    """
    ask = confidence < state.threshold
    return Wish(ask, state.threshold), State(moved(state.threshold, state.step, ask), state.step)
