"""Split: most items meet the moving line, a few are asked about at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strategies.stream.machine.checks import check_number
from strategies.stream.machine.rule import Draws, Wish, stream_strategy
from strategies.stream.machine.threshold import check_step, moved


@dataclass(frozen=True, slots=True)
class State:
    """The line θ, the share s by which it moves, the share v that goes to chance, and B."""

    threshold: float
    step: float
    share: float
    rate: float

    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("threshold", self.threshold, 0)
        check_step(self.step)
        check_number("share", self.share, 0, 1)
        check_number("rate", self.rate, 0, 1)

    @classmethod
    def start(
        cls,
        rate: float,
        _classes: int,
        threshold: float = 1.0,
        step: float = 0.01,
        share: float = 0.1,
    ) -> State:
        """Return the state before the first item.

        Parameters
        ----------
        rate : float
            B, the share of items that may be asked about, and of the random part that is.
        threshold : float
            Where the line starts.
        step : float
            s, the share by which it moves with every item that meets it.
        share : float
            v, the share of items that is left to chance.
        """
        return cls(threshold, step, share, rate)


@stream_strategy("split", state=State)
def split(state: State, confidence: float, rng: Draws) -> tuple[Wish, State]:
    """Leave a share of the items to chance, and hold the others against a moving threshold.

    The random part is a fair sample of the stream: it shows changes wherever they happen, and the
    threshold, which it does not move, keeps its level.

    Parameters
    ----------
    state : State
        The threshold and the random share.
    confidence : float
        The calibrated probability of the predicted class.
    rng : Draws
        Draws which part the item belongs to and, in the random one, whether it is asked about.

    Returns
    -------
    wish : Wish
        Its draws are the one or two numbers drawn.
    state : State
        With the threshold for the next item.

    References
    ----------
    Žliobaitė, I., Bifet, A., Pfahringer, B. and Holmes, G. Active Learning With Drifting Streaming
    Data. IEEE Transactions on Neural Networks and Learning Systems 25(1), 2014.
    """
    part = float(rng.random())
    if part < state.share:
        chance = float(rng.random())
        return Wish(chance <= state.rate, state.threshold, (part, chance)), state
    ask = confidence < state.threshold
    threshold = moved(state.threshold, state.step, ask)
    return Wish(ask, state.threshold, (part,)), State(
        threshold, state.step, state.share, state.rate
    )
