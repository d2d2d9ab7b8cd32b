"""Budget ratio: the least sure of all that pass, as many as the labels left are enough for."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.stream.machine.checks import check_number
from strategies.stream.machine.errors import StreamError
from strategies.stream.machine.rule import Draws, Wish, stream_strategy

BINS = 96  # after the confidences that are known
NEAR = 2.5  # three bins in four lie within so many times the share that is asked about
DOUBTED = 20  # items that have passed before surprises count in full
# ends of bins for confidences that nobody expected: even, and closer together towards certainty
_EVEN, _SURE = np.linspace(0.03, 0.9, 30), 1 - np.logspace(-1, -6, 31)[1:]
USUAL: tuple[float, ...] = (*_EVEN.tolist(), *_SURE.tolist(), 1.0)


@dataclass(frozen=True, slots=True)
class State:
    """The labels and items left, and how the confidences lie that have passed and will pass.

    `edges` (b,) rise and end at 1: bin i holds the confidences above edge i - 1 and up to edge i.
    `coming` (b,) counts the items that are still expected in each bin, `passed` (b,) those that
    have been, `surprises` those of them that were not expected. `credit` is the part of a question
    that the bin at the threshold has in hand.
    """

    rate: float
    labels: float
    items: float
    edges: tuple[float, ...]
    coming: tuple[float, ...]
    passed: tuple[int, ...]
    surprises: int = 0
    credit: float = 0.5

    gated: ClassVar[bool] = False  # it divides the labels left over the items left by itself

    def __post_init__(self) -> None:
        """Check the numbers; lists, as JSON has them, become tuples."""
        for name in ("edges", "coming", "passed"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_number("rate", self.rate, 0, 1)
        check_number("labels", self.labels, 0)
        check_number("items", self.items, 0)
        check_number("surprises", self.surprises, 0)
        check_number("credit", self.credit, 0, 1)
        if not len(self.edges) == len(self.coming) == len(self.passed) or self.edges[-1:] != (1.0,):
            raise StreamError("Each bin needs an edge, what is coming, and what has passed.")

    @classmethod
    def start(cls, rate: float, _classes: int) -> State:
        """Return the state before the first item, of a stream of which nothing is known.

        Parameters
        ----------
        rate : float
            B, the share of items to ask about.
        """
        nothing = (0,) * len(USUAL)
        return cls(rate, 0.0, 0.0, USUAL, nothing, nothing)

    def expecting(self, confidences: ArrayLike, labels: int, items: int) -> State:
        """Return the state of a stream of so many items that may ask for so many labels.

        Parameters
        ----------
        confidences : array of float, shape (n,)
            Those that the items are expected to have, all of them or an even sample; n may be 0.
        labels, items : int
        """
        known = np.asarray(confidences, np.float64)
        if not len(known):
            return replace(self, labels=float(labels), items=float(items))
        edges = _edges(known, self.rate)
        counts = np.bincount(np.searchsorted(edges, known), minlength=len(edges))
        coming = counts * (items / len(known))
        return replace(
            self,
            labels=float(labels),
            items=float(items),
            edges=edges,
            coming=tuple(coming.tolist()),
            passed=(0,) * len(edges),
        )

    def place(self, confidence: float) -> int:
        """Return the bin of a confidence."""
        return bisect_left(self.edges, confidence)

    def wanted(self) -> float:
        """Return the share of the items from here on to ask about: labels left over items left."""
        return self.rate if self.items <= 0 else min(1.0, self.labels / self.items)


@stream_strategy("budget_ratio", state=State)
def budget_ratio(state: State, confidence: float, _rng: Draws) -> tuple[Wish, State]:
    """Ask about the least sure of all items, as many as the labels left last for.

    The threshold is a quantile of the confidences that are still to come: labels left over items
    left. What is to come is known from the model's predictions of the pool; as far as the stream
    departs from them, the confidences that have passed take their place. It hears every item, so
    that nothing less sure goes by unasked while something surer is asked about.

    Parameters
    ----------
    state : State
        What is left, and what is known of the confidences.
    confidence : float
        The calibrated probability of the predicted class.
    _rng : Draws
        Not used.

    Returns
    -------
    wish : Wish
    state : State
        With the item among those that have passed.

    References
    ----------
    Arlotto, A. and Gurvich, I. Uniformly Bounded Regret in the Multisecretary Problem. Stochastic
    Systems 9(3), 2019.
    """
    place, known = state.place(confidence), _known(state, confidence)
    line, part = _threshold(known, state.wanted())
    credit = state.credit
    ask = place < line
    if place == line:  # the labels are enough for a part of this bin: for every so-manieth item
        credit += part
        ask = credit >= 1
        credit -= ask
    threshold = state.edges[line] if ask and place == line else state.edges[line - 1] if line else 0
    return Wish(ask, float(threshold)), _after(state, place, ask, min(credit, 1.0))


def _known(state: State, confidence: float) -> list[float]:
    """Return how the items from here on are expected to lie: running totals (b,) over the bins.

    This item is among them. What was expected counts as far as the items so far came as expected,
    what has passed for the rest; only the shares of the totals mean something.
    """
    coming = sum(state.coming)
    if coming and not state.surprises:
        return list(accumulate(state.coming))
    seen = sum(state.passed)
    trust = 1 - state.surprises / (seen + DOUBTED) if coming else 0.0
    own = list(state.passed)
    own[state.place(confidence)] += 1
    new, old = (1 - trust) / (seen + 1), trust / coming if coming else 0.0
    return list(accumulate(a * new + b * old for a, b in zip(own, state.coming, strict=True)))


def _threshold(known: list[float], share: float) -> tuple[int, float]:
    """Return the bin in which a share of the items ends, and how much of that bin is in it."""
    if share >= 1:
        return len(known), 0.0
    target = share * known[-1]
    line = min(bisect_left(known, target), len(known) - 1)
    below = known[line - 1] if line else 0.0
    inside = known[line] - below
    return line, min(1.0, (target - below) / inside) if inside > 0 else 0.0


def _after(state: State, place: int, ask: bool, credit: float) -> State:
    """Return the state after an item."""
    expected = state.coming[place]
    coming = state.coming
    if expected > 0:
        coming = (*coming[:place], max(0.0, expected - 1), *coming[place + 1 :])
    passed = (*state.passed[:place], state.passed[place] + 1, *state.passed[place + 1 :])
    return State(
        state.rate,
        max(0.0, state.labels - ask),
        max(0.0, state.items - 1),
        state.edges,
        coming,
        passed,
        state.surprises + (expected <= 0),
        credit,
    )


def _edges(confidences: NDArray[np.float64], rate: float) -> tuple[float, ...]:
    """Return the ends of the bins: close together around the share that is asked about."""
    near = min(1.0, NEAR * rate)
    shares = np.concatenate(
        [np.linspace(0, near, BINS * 3 // 4 + 1)[1:], np.linspace(near, 1, BINS // 4 + 1)[1:]]
    )
    ends = np.quantile(confidences, shares.clip(0, 1), method="higher")
    return tuple(np.unique(np.concatenate([ends, USUAL])).tolist())
