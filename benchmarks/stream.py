"""What a stream asks about, and how many wrong labels it foresees.

``python benchmarks/stream.py [--keep DIR] [--projects 20] [--only errors]``

The first table lets 10,000 Fashion-MNIST images pass in each strategy with 1,000 labels left. The
second plays 20 projects through and compares the wrong generated labels with what was expected.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402

from benchmarks.efficiency.rehearsal import TITLES, Rehearsal, load, rehearse  # noqa: E402
from benchmarks.report import update_section  # noqa: E402
from labeller.learning.calibration import (  # noqa: E402
    choose_temperature,
    fit_temperature,
    probabilities,
)
from labeller.services.streams import names  # noqa: E402
from labeller.services.streams_evidence import Evidence  # noqa: E402
from labeller.services.streams_prepare import soft_budget  # noqa: E402
from strategies import stream  # noqa: E402
from strategies.stream import NEVER, Outcome, Reliability, StreamState  # noqa: E402

ERROR = 0.05
PASSING, ASKED = 10_000, 1_000
SMALL = 4_000, 300, 300  # pool, labels and labelled audit images of a project


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Confidences, predicted classes and whether they are right of some images, each (n,)."""

    sure: np.ndarray
    columns: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, project: Rehearsal, rows: np.ndarray, temperature: float) -> Judged:
        """Judge rows of a project."""
        probs = probabilities(project.logits[rows], temperature).astype(np.float64)
        columns = probs.argmax(axis=1)
        return cls(probs.max(axis=1).clip(0, 1), columns, columns == project.truth[rows])


def passed(
    name: str, pool: Judged, labels: int, limits: Sequence[float]
) -> tuple[np.ndarray, StreamState]:
    """Return the outcome (n,) of each image, as text, empty where it was not reached."""
    state = stream.start(
        name,
        labels_left=labels,
        items_expected=len(pool.sure),
        accept_from=limits,
        coming=pool.sure,
    )
    state = replace(state, budget=soft_budget(state.budget.rate))
    rows = zip(range(len(pool.sure)), pool.columns.tolist(), pool.sure.tolist(), strict=True)
    outcomes = np.full(len(pool.sure), "", object)
    for item, decision, state in stream.run(state, rows):  # noqa: B007, B020
        outcomes[item] = decision.outcome
    return outcomes, state


def strategies_table(pool: Judged, labels: int) -> list[list[str]]:
    """Return what each strategy asks about."""
    least = set(np.argsort(pool.sure, kind="stable")[:labels].tolist())
    rows = []
    for name in names():
        outcomes, _ = passed(name, pool, labels, [NEVER] * (int(pool.columns.max()) + 1))
        asked = np.flatnonzero(outcomes == Outcome.ASK)
        over = np.flatnonzero(outcomes == Outcome.DEFER)
        if not len(asked):
            rows.append([f"`{name}`", "0", *["–"] * 5])
            continue
        line = np.median(pool.sure[asked])
        rows.append(
            [
                f"`{name}`",
                f"{len(asked):,}",
                f"{len(least & set(asked.tolist())) / labels:.1%}",
                f"{line:.3f}",
                f"{np.median(pool.sure[over]):.3f}",
                f"{np.count_nonzero(pool.sure[over] < line):,}",
                f"{1 - pool.right[asked].mean():.1%}",
            ]
        )
    return rows


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Wrong generated labels of a project: the truth, and what was expected before and now."""

    accepted: int
    truth: int
    before: float
    before_truth: int
    expected: float
    low: float
    high: float


def foreseen(project: Rehearsal, labels: int) -> Foreseen:
    """Let the pool of a project pass, and count what is wrong."""
    truth, classes = project.truth, project.logits.shape[1]
    told = project.logits[project.valid], truth[project.valid]
    old = Judged.of(project, project.pool, fit_temperature(*told))
    limits = stream.acceptance_thresholds(old.sure, old.columns, classes, ERROR)
    outcomes, _ = passed("variable_threshold", old, labels, [min(one, 1 - ERROR) for one in limits])
    kept = outcomes == Outcome.ACCEPT
    before, before_truth = float((1 - old.sure[kept]).sum()), int((~old.right[kept]).sum())

    temperature = choose_temperature(*told).value
    pool, audit = (Judged.of(project, rows, temperature) for rows in (project.pool, project.audit))
    known: Reliability = stream.fit_reliability(audit.sure, audit.right)
    evidence = Evidence(audit.columns, audit.sure, audit.right, known)
    chances = known.chances(pool.sure)
    found = stream.acceptance_thresholds(pool.sure, pool.columns, classes, ERROR, chances)
    limits = tuple(min(one, known.confidence(1 - ERROR)) for one in found)
    outcomes, _ = passed("budget_ratio", pool, labels, limits)
    kept = outcomes == Outcome.ACCEPT
    wrong = evidence.count_wrong(pool.sure[kept], np.array(limits), 1.0)
    return Foreseen(
        int(kept.sum()),
        int((~pool.right[kept]).sum()),
        before,
        before_truth,
        wrong.expected,
        wrong.low,
        wrong.high,
    )


def errors_table(keep: Path, projects: int) -> tuple[list[list[str]], str]:
    """Play projects through, a third on each data set, and say how often the interval held."""
    rows, inside = [], 0
    for number, name in enumerate(TITLES):
        x, y = load(name, keep)
        pool, labels, audit = SMALL
        pool = min(pool, len(y) - labels - audit)
        some = [
            foreseen(rehearse(x, y, labels, audit, seed, pool), pool // 10)
            for seed in range(number, projects, len(TITLES))
        ]
        print(name, *some, sep="\n", file=sys.stderr, flush=True)
        held = sum(one.low <= one.truth <= one.high for one in some)
        inside += held
        means = {key: np.mean([getattr(one, key) for one in some]) for key in Foreseen.__slots__}
        rows.append(
            [
                TITLES[name],
                str(len(some)),
                f"{means['before']:.0f}, {means['before_truth']:.0f}",
                f"{means['accepted']:,.0f}",
                f"{means['expected']:.0f}, {means['truth']:.0f}",
                f"{means['low']:.0f} to {means['high']:.0f}",
                f"{held} of {len(some)}",
            ]
        )
    return rows, f"The stated 95 % interval held the truth in {inside} of {projects} projects."


def report_strategies(keep: Path) -> None:
    """Write the section on what each strategy asks about."""
    project = rehearse(*load("fashion", keep), 500, 300, 0, PASSING)
    told = project.logits[project.valid], project.truth[project.valid]
    pool = Judged.of(project, project.pool, choose_temperature(*told).value)
    update_section(
        "stream",
        "What a stream asks about",
        [
            "strategy",
            "asked",
            f"of the {ASKED:,} least sure",
            "median confidence asked",
            "gone by unasked",
            "gone by below the median asked",
            "asked about that were wrong",
        ],
        strategies_table(pool, ASKED),
        notes=(
            f"{len(pool.sure):,} Fashion-MNIST images in the order of their arrival, {ASKED:,} "
            f"labels left, the default head on 500 labels picked by margin; nothing is accepted, "
            f"so that all is asked about or goes by. `budget_ratio` is the default."
        ),
    )


def report_errors(keep: Path, projects: int) -> None:
    """Write the section on wrong generated labels."""
    rows, text = errors_table(keep, projects)
    pool, labels, audit = SMALL
    update_section(
        "stream_errors",
        "Wrong generated labels, expected and found",
        [
            "data set",
            "projects",
            "expected, wrong before",
            "generated",
            "expected, wrong now",
            "interval at 95 %",
            "held",
        ],
        rows,
        notes=(
            f"{text} Means over projects of {pool:,} unlabelled images at most, {labels} labels of "
            f"which most are picked by margin, a tenth of the images asked about, {audit} audit "
            f"labels, {ERROR:.0%} wrong labels wanted at most. Before: the sum of one minus the "
            f"confidence, calibrated on the validation labels."
        ),
        script="stream",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for features, to go on from")
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--only", choices=("strategies", "errors"), help="one of the two tables")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        keep = options.keep or Path(made)
        if options.only != "errors":
            report_strategies(keep)
        if options.only != "strategies":
            report_errors(keep, options.projects)


if __name__ == "__main__":
    main()
