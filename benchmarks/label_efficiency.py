"""Strategies against random and against scikit-activeml's on real data.

``python benchmarks/label_efficiency.py [--keep DIR] [--strategies margin,badge] [--quick]``

Every pool strategy, and scikit-activeml's own beside them, goes through the replay behind
``labeller simulate`` with the same images, features, head and first random batch. The head is the
product's with fewer hidden units and steps, so that thousands can be trained; `auto` and random are
run once more with the product's own, as ``--head product`` runs all. A run that was stopped goes on
with the same ``--keep`` folder. ``--quick`` takes little of everything.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

from benchmarks.efficiency import peers, pictures, tables  # noqa: E402
from benchmarks.efficiency.sets import (  # noqa: E402
    HEADS,
    SETS,
    available,
    lead_of_product,
    prepared,
    with_head,
)
from benchmarks.efficiency.tables import Outcome  # noqa: E402
from benchmarks.report import update_section  # noqa: E402
from labeller.learning.replay import replay  # noqa: E402
from labeller.learning.replay_run import STAGE  # noqa: E402
from labeller.progress import Silent  # noqa: E402
from labeller.services.replay_results import RANDOM  # noqa: E402
from labeller.services.replays import Plan  # noqa: E402
from strategies import registry  # noqa: E402

QUICK = ("auto", "margin", "skactiveml margin", RANDOM)
MOST = 5_000  # images of a data set
AGAIN = "The same once more with the product's own head and all features, these two only:"
EVERY = 10.0  # seconds between lines of progress


class Told(Silent):
    """Prints where a replay is, every ten seconds at most."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = 0.0

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Print where the replay is."""
        now = time.monotonic()
        if stage == STAGE and message and now - self.last > EVERY:
            self.last = now
            print(f"{self.name}: {done:,} of {total:,}, {message}", file=sys.stderr, flush=True)
        super().update(stage, done, total, message, **detail)


def run(home: Path, plan: Plan, most: int, head: str, sets: Container[str]) -> list[Outcome]:
    """Replay a plan on the data sets that are there; finished runs in `home` are kept."""
    outcomes = []
    for one, images, classes in available():
        if one.name not in sets:
            continue
        folder = home / one.folder
        own = prepared(folder, images, classes, most, plan)
        ground = with_head(own, head)
        out = folder / head
        out.mkdir(exist_ok=True)
        runs = replay(ground, plan, out, Told(one.name))
        if any(done.labels != plan.points for done in runs):
            raise SystemExit(
                f"{out}: holds runs with other numbers of labels. Take another folder."
            )
        lead = None if ground is own else lead_of_product(own, ground, plan.budget, plan.seeds)
        sizes = len(ground.pool), len(ground.test)
        outcomes.append(Outcome(one.name, *sizes, tuple(runs), lead))
    return outcomes


def report(outcomes: list[Outcome], again: list[Outcome], plan: Plan, quick: bool) -> None:
    """Draw the pictures and write the section of docs/benchmarks.md.

    `again` are outcomes of `auto` and random with the product's own head.
    """
    header, rows = tables.strategies_table(outcomes)
    texts = [
        tables.notes(outcomes, plan, quick),
        tables.promise(outcomes, plan.budget),
        tables.promise(again, plan.budget) and f"{AGAIN} {tables.promise(again, plan.budget)}",
        tables.beside_table(outcomes),
    ]
    if not quick:
        pictures.draw(outcomes)
        texts.append(pictures.LINKS)
    update_section(
        "label_efficiency", "Label efficiency", header, rows, "\n\n".join(filter(None, texts))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--strategies", help="names, separated by commas; all if left out")
    parser.add_argument("--sets", default=",".join(one.name for one in SETS))
    parser.add_argument("--head", choices=tuple(HEADS), default="small")
    parser.add_argument("--keep", type=Path, help="folder for images and runs, to go on from")
    options = parser.parse_args()
    theirs = peers.register()
    own = tuple(name for name in registry.names("pool") if name not in theirs)
    chosen = tuple(options.strategies.split(",")) if options.strategies else own + theirs
    if options.quick and not options.strategies:
        chosen = QUICK
    chosen = tuple(dict.fromkeys((*chosen, RANDOM)))
    most, plan = (
        (600, Plan(chosen, 60, 20, 2)) if options.quick else (MOST, Plan(chosen, 500, 50, 5))
    )
    with tempfile.TemporaryDirectory() as temporary:
        home = options.keep or Path(temporary)
        sets = options.sets.split(",")
        outcomes = run(home, plan, most, options.head, sets)
        again = []
        if options.head != "product" and not options.quick and not options.strategies:
            again = run(home, replace(plan, strategies=("auto", RANDOM)), most, "product", sets)
    report(outcomes, again, plan, options.quick)


if __name__ == "__main__":
    main()
