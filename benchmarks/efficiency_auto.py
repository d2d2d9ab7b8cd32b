"""Where one strategy overtakes another: ``python benchmarks/efficiency_auto.py [--keep DIR]``.

The measurements behind the switch of `auto`, past 1,000 labels. Writes its table into
docs/strategies.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

from benchmarks.efficiency.sets import available, prepared, with_head  # noqa: E402
from benchmarks.efficiency.tables import Outcome, difference  # noqa: E402
from benchmarks.label_efficiency import MOST, Told  # noqa: E402
from benchmarks.report import update_section  # noqa: E402
from labeller.learning.replay import replay  # noqa: E402
from labeller.services.replay_results import RANDOM  # noqa: E402
from labeller.services.replays import Plan  # noqa: E402

PAGE = ROOT / "docs" / "strategies.md"
STRATEGIES = (RANDOM, "margin", "badge", "uncertainty_herding")
COMPARED = ("uncertainty_herding", "margin")
SETS = ("Fashion-MNIST", "MNIST 5k")  # the others are too small
BUDGET, BATCH, SEEDS = 1_500, 100, 5
SHOWN = (200, 300, 500, 700, 1_000, 1_200, 1_500)


def rows_of(one: Outcome) -> list[list[str]]:
    """Return a data set's rows: mean accuracy by labels, and the two strategies' difference."""
    labels = one.runs[0].labels
    rows = []
    for count in SHOWN:
        if count not in labels:
            continue
        place = labels.index(count)
        means = [f"{100 * one.accuracies(name)[:, place].mean():.1f}" for name in STRATEGIES]
        first, second = (one.accuracies(name)[:, place] for name in COMPARED)
        rows.append([one.name, f"{count:,}", *means, difference(first - second)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds of a few labels")
    parser.add_argument("--keep", type=Path, help="folder for images and runs, to go on from")
    options = parser.parse_args()
    rows: list[list[str]] = []
    sizes = []
    with tempfile.TemporaryDirectory() as temporary:
        home = options.keep or Path(temporary)
        for one, images, classes in available():
            if one.name not in SETS:
                continue
            plan = Plan(STRATEGIES, BUDGET, BATCH, SEEDS)
            if options.quick:
                plan = Plan(STRATEGIES, 300, BATCH, 2)
            folder = home / one.folder
            ground = with_head(prepared(folder, images, classes, MOST, plan), "small")
            out = folder / f"auto-{plan.budget}-{plan.batch}"
            out.mkdir(exist_ok=True)
            runs = replay(ground, plan, out, Told(one.name))
            outcome = Outcome(one.name, len(ground.pool), len(ground.test), tuple(runs))
            rows += rows_of(outcome)
            sizes.append(f"{one.name} {outcome.pool:,} and {outcome.test:,}")
    first, second = (f"`{name}`" for name in COMPARED)
    update_section(
        "efficiency_auto",
        "Why `auto` changes when it does",
        ["data set", "labels", *(f"`{name}`" for name in STRATEGIES), f"{first} less {second}"],
        rows,
        f"Accuracy in %, mean of {plan.seeds} seeds, batches of {BATCH}, the same first random "
        f"batch for all; images to pick from and held out: {', '.join(sizes)}; head and features "
        "as in the section on label efficiency of [benchmarks.md](benchmarks.md). Last the "
        "difference in points, seed by seed, with its 95 % interval by Student's t.",
        PAGE,
    )


if __name__ == "__main__":
    main()
