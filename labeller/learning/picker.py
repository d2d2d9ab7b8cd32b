"""Which strategy picks in a round, why, and how many candidates it is shown."""

from __future__ import annotations

import math

from labeller.services.rounds import AUTO, auto_choice
from labeller.services.rounds import COLD_START as COLD_START
from strategies import registry
from strategies.base import Needs
from strategies.registry import StrategyInfo

K_CENTER = "k_center"
WITHOUT_MODEL = Needs.EMBEDDINGS | Needs.LABELLED
HEAVY = Needs.EMBEDDINGS | Needs.MC_PROBS
HEAVY_ITEMS = 50_000  # strategies with more per item than probabilities see so many, drawn evenly
POOL_BYTES = 2 << 30  # of memory that the arrays of a pool may take
FLOAT_BYTES = 4


def named(strategy: StrategyInfo, has_model: bool) -> StrategyInfo:
    """Return the strategy that a round is named after: without a model one that needs none."""
    able = has_model or strategy.name == AUTO or not strategy.needs & ~WITHOUT_MODEL
    return strategy if able else registry.get(COLD_START)


def acting(strategy: StrategyInfo, has_model: bool, labels: int, classes: int) -> StrategyInfo:
    """Return the strategy that picks.

    Parameters
    ----------
    strategy : StrategyInfo
        What the round is named after.
    has_model : bool
    labels, classes : int
        How many labels there are outside the audit set, and how many classes: by these ``auto``
        leaves the picking to another.
    """
    if strategy.name != AUTO:
        return strategy
    return registry.get(auto_choice(labels, classes, has_model).name)


def told(
    strategy: StrategyInfo, used: StrategyInfo, lack: str | None, labels: int, classes: int
) -> list[str]:
    """Say who picks and why, where that is not what was chosen.

    Parameters
    ----------
    strategy, used : StrategyInfo
        What was chosen, and what the round is named after.
    lack : str or None
        What a model lacks.
    labels, classes : int
        As for :func:`acting`.
    """
    notes = [] if lack is None else [f"No model yet. {lack}"]
    if used.name == AUTO:
        choice = auto_choice(labels, classes, lack is None)
        notes.append(f"auto picked by {choice.name} ({choice.reason}).")
    elif lack is not None:
        instead = f" instead of by {strategy.name}" if used != strategy else ""
        notes.append(f"The queue is picked by {used.name}{instead}.")
    return notes


def most(strategy: StrategyInfo, width: int, classes: int, opinions: int) -> float:
    """Return how many candidates a strategy can be shown, by memory and by time.

    Parameters
    ----------
    strategy : StrategyInfo
    width : int
        Length of an embedding.
    classes : int
        How many probabilities there are of an item.
    opinions : int
        How many times as many, for strategies that want several opinions.
    """
    numbers = {
        Needs.EMBEDDINGS: width,
        Needs.PROBS: classes,
        Needs.LOGITS: classes,
        Needs.MC_PROBS: classes * opinions,
    }
    item = FLOAT_BYTES * sum(size for need, size in numbers.items() if need in strategy.needs)
    by_memory = max(1, POOL_BYTES // item) if item else math.inf
    # with its kept distances `k_center` is quick in a pool of any size
    quick = strategy.name == K_CENTER or not strategy.needs & HEAVY
    return by_memory if quick else min(HEAVY_ITEMS, by_memory)
