"""Randomised variable threshold: the moving line is blurred, so that every item has a chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strategies.stream.machine.checks import check_number
from strategies.stream.machine.rule import Draws, Wish, stream_strategy
from strategies.stream.machine.threshold import check_step, moved


@dataclass(frozen=True, slots=True)
class State:
    """The line θ, the share s by which it moves, and the spread δ with which it is blurred."""

    threshold: float
    step: float
    spread: float

    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("threshold", self.threshold, 0)
        check_step(self.step)
        check_number("spread", self.spread, 0)

    @classmethod
    def start(
        cls,
        _rate: float,
        _classes: int,
        threshold: float = 1.0,
        step: float = 0.01,
        spread: float = 1.0,
    ) -> State:
        """Return the state before the first item.

        Parameters
        ----------
        threshold : float
            Where the line starts.
        step : float
            s, the share by which it moves with every item.
        spread : float
            δ, the standard deviation of the factor, 1 on average, that blurs the line.
        """
        return cls(threshold, step, spread)


@stream_strategy("randomised_variable_threshold", state=State)
def randomised_variable_threshold(
    state: State, confidence: float, rng: Draws
) -> tuple[Wish, State]:
    """Ask about items less sure than a moving threshold times a random factor.

    Sure items are asked about now and then as well, so that the model learns when the stream
    changes where it believed itself certain; for that, some questions go to easy items.

    Parameters
    ----------
    state : State
        The threshold and its spread.
    confidence : float
        The calibrated probability of the predicted class.
    rng : Draws
        Draws the factor.

    Returns
    -------
    wish : Wish
        Its threshold is the blurred one, its draw the factor.
    state : State
        With the threshold for the next item.

    References
    ----------
    Žliobaitė, I., Bifet, A., Pfahringer, B. and Holmes, G. Active Learning With Drifting Streaming
    Data. IEEE Transactions on Neural Networks and Learning Systems 25(1), 2014.
    """
    factor = float(rng.normal(1, state.spread))
    blurred = state.threshold * factor
    ask = confidence < blurred
    threshold = moved(state.threshold, state.step, ask)
    return Wish(ask, blurred, (factor,)), State(threshold, state.step, state.spread)
