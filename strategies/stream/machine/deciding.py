"""One item at a time: decide, run over a stream, decide again from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from strategies.stream.machine.decision import Decision, Outcome
from strategies.stream.machine.errors import ReplayError, StreamError, StreamFinished
from strategies.stream.machine.rule import Draws, Wish, rule_called
from strategies.stream.machine.state import StreamState

Arrival = tuple[int, int, float]


def decide(
    state: StreamState, predicted: int, confidence: float, rng: Draws
) -> tuple[Decision, StreamState]:
    """Decide what becomes of the next item of a stream.

    The item is asked about when the rule wants it and the budget estimate is open; otherwise its
    prediction becomes a generated label when its class is accepted at this confidence; otherwise
    it goes back to the pool.

    Parameters
    ----------
    state : StreamState
        The stream so far.
    predicted : int
        The predicted class, an index from 0 to C - 1.
    confidence : float
        Its calibrated probability, 0 to 1.
    rng : Draws
        Random numbers; `run` takes `ItemDraws`, which make a stopped stream go on as if it had not
        stopped.

    Returns
    -------
    decision : Decision
        The outcome, with all that led to it.
    state : StreamState
        The stream after this item.

    Raises
    ------
    StreamFinished
        When no label is left.
    StreamError
        When the class or the confidence cannot be.
    """
    predicted, confidence = int(predicted), float(confidence)  # they may come from arrays
    _check(state, predicted, confidence)
    wish, rule = Wish(False, 0.0), state.rule
    heard = state.budget.open or not rule.gated
    if heard:
        wish, rule = rule_called(state.strategy).decide(rule, confidence, rng)
    accept_from = state.accept_from[predicted]
    accept = not wish.ask and confidence >= accept_from
    decision = Decision(
        Outcome.ASK if wish.ask else Outcome.ACCEPT if accept else Outcome.DEFER,
        state.position,
        predicted,
        confidence,
        wish.threshold if heard else None,
        accept_from,
        state.budget.spent,
        wish.draws,
    )
    return decision, StreamState(
        state.strategy,
        rule,
        state.budget.after(wish.ask),
        state.accept_from,
        state.left - wish.ask,
        state.seed,
        state.asked + wish.ask,
        state.accepted + accept,
        state.deferred + (not wish.ask and not accept),
    )


def run(
    state: StreamState, arrivals: Iterable[Arrival]
) -> Iterator[tuple[int, Decision, StreamState]]:
    """Let items pass one by one until the labels are spent; keeps none of them.

    Parameters
    ----------
    state : StreamState
        Where to start: from `start`, or kept from where an earlier run stopped.
    arrivals : iterable of (item, predicted class, calibrated confidence)
        The items in the order of their arrival.

    Yields
    ------
    item : int
    decision : Decision
    state : StreamState
        The stream after the item: what to keep, to go on from here.

    Notes
    -----
    Of `arrivals` nothing is taken beyond the item that spends the last label.
    """
    if state.finished:
        return
    for item, predicted, confidence in arrivals:
        draws = ItemDraws(state.seed, state.position)
        decision, state = decide(state, predicted, confidence, draws)
        yield item, decision, state
        if state.finished:
            return


def replay(state: StreamState, decisions: Iterable[Decision]) -> StreamState:
    """Decide every item of a log again, from what the log holds alone.

    Parameters
    ----------
    state : StreamState
        The stream before the first of the decisions.
    decisions : iterable of Decision
        The log, in order.

    Returns
    -------
    StreamState
        The stream after the last one.

    Raises
    ------
    ReplayError
        At the first decision that comes out otherwise; the text says which, and what differs.
    """
    for logged in decisions:
        draws = _Recorded(logged)
        again, state = decide(state, logged.predicted, logged.confidence, draws)
        if again != logged:
            kept, made = logged.to_json(), again.to_json()
            differs = ", ".join(f"{k} {kept[k]} not {made[k]}" for k in kept if kept[k] != made[k])
            raise ReplayError(f"Item {again.position} of the stream: the log says {differs}.")
    return state


class ItemDraws:
    """The random numbers of one item: those of the stream's seed and the item's position.

    They do not depend on what was drawn before, so a stream goes on after a stop as if there had
    been none. The generator is made at the first draw: most rules never draw.
    """

    def __init__(self, seed: int, position: int) -> None:
        self._entropy = (seed, position)
        self._generator: np.random.Generator | None = None

    def random(self) -> float:
        """Return a number from 0 (included) to 1 (excluded)."""
        return self._made().random()

    def normal(self, loc: float, scale: float) -> float:
        """Return a number of the normal distribution."""
        return self._made().normal(loc, scale)

    def _made(self) -> np.random.Generator:
        """Return the generator, made at the first call."""
        if self._generator is None:
            self._generator = np.random.default_rng(self._entropy)
        return self._generator


class _Recorded:
    """The random numbers that a logged decision used."""

    def __init__(self, logged: Decision) -> None:
        self._position = logged.position
        self._left = iter(logged.draws)

    def random(self) -> float:
        """Return the next logged number."""
        for draw in self._left:
            return draw
        raise ReplayError(f"Item {self._position} of the stream: the log lacks a random number.")

    def normal(self, loc: float, scale: float) -> float:  # noqa: ARG002
        """Return the next logged number."""
        return self.random()


def _check(state: StreamState, predicted: int, confidence: float) -> None:
    """Raise when the stream is over, or the class or the confidence cannot be."""
    if state.finished:
        raise StreamFinished("The labels of this stream are spent; the other items stay unasked.")
    if not 0 <= predicted < len(state.accept_from):
        raise StreamError(
            f"There is no class {predicted}: the stream knows 0 to {len(state.accept_from) - 1}."
        )
    if not 0 <= confidence <= 1:
        raise StreamError(f"A confidence must be a probability, not {confidence}.")
