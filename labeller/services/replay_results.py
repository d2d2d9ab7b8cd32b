"""What replayed runs say: curves, areas, and paired differences from random with their intervals.

Plain arithmetic on the accuracies of finished runs: no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

RANDOM = "random"
FEW_SEEDS = 5
CONFIDENCE = 0.95
# Sums of the same accuracies in another order differ by less than this.
_EXACT = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy with one seed: accuracy on the held-out images after so many `labels`."""

    strategy: str
    seed: int
    labels: tuple[int, ...]
    accuracy: tuple[float, ...]
    seconds: float


def area(labels: Sequence[int], accuracy: Sequence[float]) -> float:
    """Return the mean accuracy over the budget: the area under the curve by its width.

    Parameters
    ----------
    labels : sequence of int, length n
        Rising.
    accuracy : sequence of float, length n
        At those labels, joined by straight lines.
    """
    if len(labels) == 1:
        return float(accuracy[0])
    return float(np.trapezoid(accuracy, labels) / (labels[-1] - labels[0]))


def labels_to_reach(
    labels: Sequence[int], accuracy: Sequence[float], target: float
) -> float | None:
    """Return where a curve first reaches an accuracy, between its points on a straight line.

    Parameters
    ----------
    labels : sequence of int, length n
    accuracy : sequence of float, length n
    target : float

    Returns
    -------
    float or None
        Labels; None when the curve stays below `target`.
    """
    for place, value in enumerate(accuracy):
        if value < target - _EXACT:
            continue
        if place == 0:
            return float(labels[0])
        before = accuracy[place - 1]
        share = min(1.0, (target - before) / (value - before))
        return float(labels[place - 1] + share * (labels[place] - labels[place - 1]))
    return None


def interval(values: Sequence[float] | Floats) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean over seeds, by Student's t-distribution.

    Parameters
    ----------
    values : sequence of float, length n
        One per seed.

    Returns
    -------
    tuple of float, or None
        None for one seed, which says nothing about the spread.

    References
    ----------
    Student. The Probable Error of a Mean. Biometrika 6(1), 1908.
    """
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    t = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
    half = t * float(np.std(values, ddof=1)) / math.sqrt(n)
    return mean - half, mean + half


def compared(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return what each strategy achieved, best area first; equal ones share a rank.

    Parameters
    ----------
    runs : sequence of Run
        Every strategy, ``random`` among them, with the same seeds and the same labels.

    Returns
    -------
    list of dict
        JSON values: ``strategy``, ``rank``, ``area`` with ``area_interval``, ``final`` accuracy,
        ``labels_to_random_final`` (None when never reached), ``curve`` of
        ``[labels, mean accuracy, interval]``, ``difference`` of the areas from random's, seed by
        seed, with ``difference_interval`` and ``verdict`` (None for random), and
        ``below_random_at``: labels where the paired interval lies below zero.
    """
    by_name = {
        name: sorted((run for run in runs if run.strategy == name), key=lambda run: run.seed)
        for name in dict.fromkeys(run.strategy for run in runs)
    }
    baseline = by_name[RANDOM]
    target = float(np.mean([run.accuracy[-1] for run in baseline]))
    rows = [_row(mine, baseline, target) for mine in by_name.values()]
    rows.sort(key=lambda row: -row["area"])
    return [
        row | {"rank": 1 + sum(other["area"] > row["area"] + _EXACT for other in rows)}
        for row in rows
    ]


def _row(mine: Sequence[Run], baseline: Sequence[Run], target: float) -> dict[str, Any]:
    """Return what one strategy achieved."""
    labels = mine[0].labels
    reached = _accuracies(mine)
    means = reached.mean(axis=0)
    areas = [area(labels, run.accuracy) for run in mine]
    return {
        "strategy": mine[0].strategy,
        "area": float(np.mean(areas)),
        "area_interval": _bounded(areas),
        "final": float(means[-1]),
        "labels_to_random_final": labels_to_reach(labels, means.tolist(), target),
        "curve": [
            [count, float(mean), _bounded(column)]
            for count, mean, column in zip(labels, means, reached.T, strict=True)
        ],
        **_against(mine, baseline, areas),
    }


def _against(mine: Sequence[Run], baseline: Sequence[Run], areas: list[float]) -> dict[str, Any]:
    """Return the differences from random, seed by seed."""
    if mine[0].strategy == RANDOM:
        names = ("difference", "difference_interval", "verdict")
        return dict.fromkeys(names) | {"below_random_at": []}
    labels = mine[0].labels
    differences = np.array(areas) - [area(labels, run.accuracy) for run in baseline]
    bounds = _judged(differences)
    columns = (_accuracies(mine) - _accuracies(baseline)).T
    below = [
        count
        for count, column in zip(labels, columns, strict=True)
        if (part := _judged(column)) is not None and part[1] < -_EXACT
    ]
    return {
        "difference": float(differences.mean()),
        "difference_interval": list(bounds) if bounds else None,
        "verdict": verdict(bounds, len(mine)),
        "below_random_at": below,
    }


def verdict(bounds: tuple[float, float] | None, seeds: int) -> str:
    """Say what the interval of a difference from random shows."""
    if bounds is None:
        return "one seed says nothing" if seeds < 2 else "no spread to judge by"
    if bounds[0] > _EXACT:
        return "better"
    return "worse" if bounds[1] < -_EXACT else "no difference shown"


def _judged(differences: Floats) -> tuple[float, float] | None:
    """Return the interval, unless seeds agree to the last digit: few images measured coarsely."""
    alike = float(np.ptp(differences)) < _EXACT and abs(float(differences[0])) > _EXACT
    return None if alike else interval(differences)


def caveats(origins: Mapping[str, int], pool: int, test: int, drawn: bool, seeds: int) -> list[str]:
    """Say in words what biases a replay, and by how much.

    Parameters
    ----------
    origins : mapping of str to int
        How many of the pool's labels each strategy had asked for; ``""`` for labels that no
        strategy asked for.
    pool, test : int
        Labelled images to choose from, and held out to measure on.
    drawn : bool
        Whether held-out images were drawn from all labels for want of enough audit labels.
    seeds : int
        How often each strategy was run.
    """
    chosen = {name: n for name, n in origins.items() if name not in ("", RANDOM, "audit") and n}
    texts = []
    if chosen:
        parts = ", ".join(f"{name} {n:,}" for name, n in sorted(chosen.items()))
        texts.append(
            f"Own labels: {sum(chosen.values()):,} of the {pool:,} images to choose from were "
            f"picked by a strategy ({parts}), not at random. Images that it passed over are not "
            "here, so it and strategies like it may look better or worse than they are."
        )
    else:
        texts.append(f"None of the {pool:,} labels to choose from had been picked by a strategy.")
    texts.append(
        f"Accuracy is measured on the same {test:,} held-out images throughout"
        + (
            ", a stratified share of the labels that no strategy could pick."
            if drawn
            else ", the audit set, which no strategy could pick."
        )
        + " The intervals cover the seeds, not the choice of these images."
    )
    texts.append(_about_seeds(seeds))
    return texts


def _about_seeds(seeds: int) -> str:
    if seeds == 1:
        return "One seed shows no spread at all: the order of the strategies may be chance."
    often = "Several strategies are compared: one in twenty differs by chance alone."
    if seeds < FEW_SEEDS:
        return f"{seeds} seeds mislead easily: take {FEW_SEEDS} or more before believing. {often}"
    return f"{seeds} seeds. {often}"


def _accuracies(runs: Sequence[Run]) -> Floats:
    """Return accuracies (seeds, points)."""
    return np.array([run.accuracy for run in runs], np.float64)


def _bounded(values: Sequence[float] | Floats) -> list[float] | None:
    """Return the interval of accuracies as JSON, within 0 to 1."""
    bounds = interval(values)
    return [max(0.0, bounds[0]), min(1.0, bounds[1])] if bounds else None
