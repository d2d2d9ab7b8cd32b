"""What the runs of label_efficiency.py say: tables, and whether `auto` keeps its promise."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from labeller.services.replay_results import RANDOM, Run, compared, interval
from labeller.services.replays import Plan

LEVEL = 0.025  # of a tail: what lies outside a 95 % interval on one side
PREFIX = "skactiveml "

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The runs on a data set with so many images to pick from and held out.

    `lead` says by how much the product's own head is more accurate at the end, 0 to 1; None when
    it is the one that was used.
    """

    name: str
    pool: int
    test: int
    runs: tuple[Run, ...]
    lead: float | None = None

    def accuracies(self, strategy: str) -> Floats:
        """Return accuracy (seeds, points) of a strategy."""
        own = sorted((run for run in self.runs if run.strategy == strategy), key=lambda r: r.seed)
        return np.array([run.accuracy for run in own])

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return by strategy what a replay's result says of it."""
        return {row["strategy"]: row for row in compared(self.runs)}


def lower_tail(differences: Floats) -> float:
    """Return how likely a mean as low as that of some differences is by chance alone.

    Parameters
    ----------
    differences : array of float, shape (n,)
        One per seed; n is at least 2.

    Returns
    -------
    float
        The lower tail of Student's t; 0.5 when all differences are zero, 0 or 1 when they are
        equal and are not.
    """
    n, mean = len(differences), float(differences.mean())
    spread = float(differences.std(ddof=1))
    if spread < 1e-12:
        return 0.5 if abs(mean) < 1e-12 else float(mean > 0)
    return float(stdtr(n - 1, mean / (spread / np.sqrt(n))))


def holm(tails: Sequence[float]) -> list[float]:
    """Return probabilities (n,) that hold for all of n tests together.

    References
    ----------
    Holm, S. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of
    Statistics 6(2), 1979.
    """
    adjusted, highest = [0.0] * len(tails), 0.0
    for place, index in enumerate(np.argsort(tails, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(tails) - place) * tails[index]))
        adjusted[index] = highest
    return adjusted


def strategies_table(outcomes: Sequence[Outcome]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of all strategies on all data sets, best mean rank first."""
    rows = {one.name: one.rows() for one in outcomes}
    names = list(rows[outcomes[0].name])
    ranks = {name: statistics.mean(own[name]["rank"] for own in rows.values()) for name in names}
    header = ["strategy", "mean rank"]
    for one in outcomes:
        header += [one.name, "labels"]
    header.append("below random")
    table = []
    for name in sorted(names, key=lambda name: ranks[name]):
        cells = [f"`{name}`", f"{ranks[name]:.1f}"]
        below = 0
        for own in rows.values():
            cells += [_area(own[name]), _reached(own[name])]
            below += len(own[name]["below_random_at"])
        points = sum(len(own[name]["curve"]) - 1 for own in rows.values())
        table.append([*cells, "–" if name == RANDOM else f"{below} of {points}"])
    return header, table


def beside_table(outcomes: Sequence[Outcome]) -> str:
    """Return a table of our strategies less scikit-activeml's of the same name, in points."""
    names = sorted({r.strategy for one in outcomes for r in one.runs if PREFIX in r.strategy})
    lines = [
        f"| ours less theirs | {' | '.join(one.name for one in outcomes)} |",
        f"| --- |{' --- |' * len(outcomes)}",
    ]
    for theirs in names:
        own = theirs.removeprefix(PREFIX)
        if any(not len(one.accuracies(own)) for one in outcomes):
            continue
        cells = [difference(areas(one, own) - areas(one, theirs)) for one in outcomes]
        lines.append(f"| `{own}` | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def areas(one: Outcome, strategy: str) -> Floats:
    """Return the mean accuracy over the budget (seeds,) of a strategy."""
    reached = one.accuracies(strategy)
    labels = next(run.labels for run in one.runs)
    return np.asarray(np.trapezoid(reached, labels, axis=1)) / (labels[-1] - labels[0])


def difference(values: Floats) -> str:
    """Write the mean of differences (seeds,) in points, with half its 95 % interval."""
    bounds = interval(values)
    half = f" ± {50 * (bounds[1] - bounds[0]):.1f}" if bounds else ""
    return f"{100 * values.mean():+.1f}{half}"


def promise(outcomes: Sequence[Outcome], budget: int, strategy: str = "auto") -> str:
    """Say how `auto` did: whether ever below random, and how many labels it needs."""
    if not outcomes or any(len(one.accuracies(strategy)) < 2 for one in outcomes):
        return ""
    places, tails = [], []
    for one in outcomes:
        labels = next(run.labels for run in one.runs)
        differences = (one.accuracies(strategy) - one.accuracies(RANDOM)).T
        for count, column in list(zip(labels, differences, strict=True))[1:]:
            places.append(f"{one.name} at {count} ({100 * column.mean():+.1f} points)")
            tails.append(lower_tail(column))
    adjusted = holm(tails)
    alone = [place for place, tail in zip(places, tails, strict=True) if tail < LEVEL]
    all_told = [place for place, tail in zip(places, adjusted, strict=True) if tail < LEVEL]
    rows = {one.name: one.rows()[strategy] for one in outcomes}
    reached = [row["labels_to_random_final"] or float("inf") for row in rows.values()]
    median = statistics.median(reached)
    return (
        f"**`{strategy}`** against `random`, {len(tails)} paired tests (one per data set and "
        f"number of labels), each by itself at 2.5 % in the lower tail: below at {_listed(alone)}; "
        f"with Holm's correction for all of them: below at {_listed(all_told)}. One of {len(tails)}"
        f" is to be expected by chance with probability {1 - (1 - LEVEL) ** len(tails):.2f}. "
        f"It reaches random's accuracy at {budget} labels with "
        + ", ".join(
            f"{_reached(row)} ({one})" for one, row in sorted(rows.items(), key=lambda r: r[0])
        )
        + f" labels; {'not on the median data set' if median == float('inf') else f'{median:.0f}'}"
        + ("" if median == float("inf") else " on the median data set")
        + f" (to reach: at most {budget // 2})."
    )


def notes(outcomes: Sequence[Outcome], plan: Plan, quick: bool) -> str:
    """Say what was measured, and how to read it."""
    sizes = ", ".join(f"{one.name} {one.pool:,} and {one.test:,}" for one in outcomes)
    told = (
        f"Images to pick from, and held out: {sizes}. {plan.seeds} seeds, {plan.budget} "
        f"labels by {plan.batch}; the same features, head, calibration, first random batch and "
        "held-out images for all. For each data set: the mean accuracy over the budget in %, with "
        "its difference from `random` in points, seed by seed, and its 95 % interval by Student's "
        "t; labels until the accuracy that `random` has at the end. Last: at how many of the "
        "data sets' numbers of labels that interval lies below zero, each taken by itself. "
        f"`skactiveml` is scikit-activeml {version('scikit-activeml')} with the same embeddings "
        f"and probabilities. {_heads(outcomes, plan)}"
    )
    return told + (
        " **A quick run: far too few labels and seeds to conclude from.**" if quick else ""
    )


def _heads(outcomes: Sequence[Outcome], plan: Plan) -> str:
    """Say which head was used."""
    leads = [f"{100 * one.lead:+.1f} ({one.name})" for one in outcomes if one.lead is not None]
    if not leads:
        return "The features and the head are the product's own."
    return (
        "So that thousands of heads can be trained, they see 512 principal components of the "
        "features and have 128 hidden units and 60 steps in place of 256 and 100. The product's "
        f"own head on all features, at {plan.budget} random labels, is better by so many points: "
        f"{', '.join(leads)}."
    )


def _area(row: Mapping[str, Any]) -> str:
    text = f"{100 * row['area']:.1f}"
    bounds = row["difference_interval"]
    if row["difference"] is None or not bounds:
        return text
    half = 50 * (bounds[1] - bounds[0])
    return f"{text} ({100 * row['difference']:+.1f} ± {half:.1f})"


def _reached(row: Mapping[str, Any]) -> str:
    reached = row["labels_to_random_final"]
    return "not" if reached is None else f"{reached:.0f}"


def _listed(places: Sequence[str]) -> str:
    return "none" if not places else ", ".join(places)
