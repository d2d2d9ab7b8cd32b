"""Fifty people label for two minutes while rounds run: ``python benchmarks/annotators.py``.

Each looks at an image for two seconds or so. Beside them, in the same run, one person alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

from benchmarks.report import update_section  # noqa: E402
from tests.browser import start_app  # noqa: E402
from tests.cards import queued_project, until  # noqa: E402
from tests.faults.crowd import (  # noqa: E402
    CLASSES,
    Person,
    check_crowd,
    percentile,
    work_together,
)
from tests.faults.test_load import rounds_going, states_of_rounds  # noqa: E402

THINK = 2.0
ALONE_SECONDS, ALONE_THINK = 30.0, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--items", type=int, default=8_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        project = queued_project(
            work / "project", items=options.items, side=48, classes=CLASSES, workers=1
        )
        app = start_app(project.root, work / "state", {"LABELLER_START_WORKERS": "false"})
        try:
            alone = work_together(project, app.url, 1, ALONE_SECONDS, ALONE_THINK)
            many = work_together(project, app.url, options.people, 30, THINK, first=1)
            with rounds_going(project, batch=3_000):
                until(lambda: "running" in states_of_rounds(project), "a round runs")
                first = 1 + options.people
                loaded = work_together(
                    project, app.url, options.people, options.seconds, THINK, first
                )
                assert not {"failed", "cancelled"} & states_of_rounds(project)
        finally:
            app.kill()
        labels = check_crowd(project, [*alone, *many, *loaded])
    report(alone, many, loaded, labels, options.seconds)


def report(
    alone: Sequence[Person],
    many: Sequence[Person],
    loaded: Sequence[Person],
    labels: int,
    seconds: float,
) -> None:
    """Print the table and keep it in docs/benchmarks.md."""
    rows = []
    for route, title in (("queue/claim", "claim"), ("labels", "label"), ("undo", "undo")):
        for share, name in ((50, "median"), (95, "p95")):
            cells = []
            for crowd in (alone, many, loaded):
                waits = [wait for person in crowd for wait in person.seconds[route]]
                cells.append(f"{percentile(waits, share) * 1000:.0f} ms" if waits else "–")
            rows.append([f"{title}, {name}", *cells])
    people = len(loaded)
    update_section(
        "annotators",
        "Many people and a round",
        ["answer to", "one person", f"{people} people", f"{people} people and rounds"],
        rows,
        f"{people} people claim, look for {THINK:.0f} s or so and label, over HTTP, for "
        f"{seconds:.0f} s while a process trains one round after the other; the same without "
        f"rounds for 30 s; and one person alone. {labels:,} labels stand, every answered event is "
        f"in the database once, the budget is exact. Server, clients and rounds share "
        f"{len(os.sched_getaffinity(0))} cores.",
    )


if __name__ == "__main__":
    main()
