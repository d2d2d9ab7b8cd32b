"""What the tests of stream strategies share: streams, and scikit-activeml's decisions on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import pytest

from strategies import stream
from strategies.stream.machine.rule import Draws, rule_called

ITEMS = 4000

Maker = Callable[[float], Any]
Feed = Callable[[np.random.RandomState], np.random.RandomState]

#: every rule meets each stream, at the budgets that bring out most
STREAMS = pytest.mark.parametrize(
    ("kind", "rate"),
    [("uniform", 0.1), ("sure", 0.02), ("drift", 0.35), ("steps", 0.1), ("constant", 1.0)],
)


def confidences(kind: str, items: int = ITEMS) -> np.ndarray:
    """Return a stream of confidences (items,)."""
    rng = np.random.default_rng(5)
    made = {
        "uniform": rng.random(items),
        "sure": rng.beta(30, 1, items),
        "drift": rng.beta(1 + 9 * np.linspace(0, 1, items), 2),
        "steps": rng.integers(0, 11, items) / 10,  # full of ties
        "constant": np.full(items, 0.7),
    }
    return made[kind]


def of_peer(manager: Any, utilities: np.ndarray, *, with_utilities: bool = False) -> list[bool]:
    """Return scikit-activeml's decisions, one item at a time."""
    asked = []
    for utility in utilities:
        one = np.array([utility])
        queried = manager.query_by_utility(one)
        extra = {"utilities": one} if with_utilities else {}
        manager.update(np.zeros((1, 1)), queried, **extra)
        asked.append(len(queried) == 1)
    return asked


def of_ours(
    name: str,
    utilities: np.ndarray,
    rate: float,
    draws: Iterable[Draws],
    *,
    classes: int = 4,
    **options: Any,
) -> list[bool]:
    """Return our decisions with a hard cap that is never met."""
    state = stream.StreamState(
        name,
        rule_called(name).state.start(rate, classes, **options),
        stream.BudgetEstimate(rate),
        (stream.NEVER,) * classes,
        left=10**9,
    )
    asked = []
    for utility, rng in zip(utilities, draws, strict=False):
        decision, state = stream.decide(state, 0, float(1 - utility), rng)
        asked.append(decision.outcome is stream.Outcome.ASK)
    return asked


def no_draws() -> Iterable[Draws]:
    """Yield generators that a rule which draws nothing never touches."""
    while True:
        yield cast("Draws", None)
