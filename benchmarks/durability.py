"""What it costs that an answer waits for the disk: ``python benchmarks/durability.py``.

The same work with every flush and with none (``synchronous=NORMAL``, no fsync), in turns, each in
server and job processes of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import httpx  # noqa: E402

from benchmarks._lazy_disk import lazy_environment  # noqa: E402
from benchmarks.import_speed import make_images  # noqa: E402
from benchmarks.report import update_section  # noqa: E402
from labeller import tokens  # noqa: E402
from labeller.project import Project, create_project  # noqa: E402
from tests.browser import start_app  # noqa: E402
from tests.cards import queued_project  # noqa: E402

PEOPLE = 50
Answers = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1000, help="of fifty people together")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    figures: dict[str, dict[str, Answers]] = {"flushed": {}, "lazy": {}}
    with tempfile.TemporaryDirectory() as name:  # where TMPDIR says; in memory all is quick
        work = Path(name)
        lazy = lazy_environment(work / "lazy")
        make_images(work / "images", options.images)
        for turn in range(options.repeat):
            for kind, environment in (("flushed", {}), ("lazy", lazy)):
                place = work / f"{kind}-{turn}"
                found = label_by_many(place, options.labels, environment)
                found |= import_images(place, work / "images", environment)
                for what, values in found.items():
                    figures[kind].setdefault(what, []).extend(values)
        flush = time_flushes(work)
    report(figures, options.labels, options.images, options.repeat, flush)


def label_by_many(place: Path, labels: int, environment: Mapping[str, str]) -> dict[str, Answers]:
    """Have fifty people label as fast as they are answered, then one alone."""
    project = queued_project(place / "project", items=labels + 200, side=32)
    app = start_app(project.root, place / "state", environment)
    try:
        url = f"{app.url}/api/v1"
        alone = label(project, url, range(labels + 1, labels + 201))
        shares = [range(first, labels + 1, PEOPLE) for first in range(1, PEOPLE + 1)]
        start = time.perf_counter()
        with ThreadPoolExecutor(PEOPLE) as people:
            many = list(people.map(lambda share: label(project, url, share), shares))
        seconds = time.perf_counter() - start
    finally:
        app.kill()
    together = [one for answers in many for one in answers]
    return {"alone": alone, "together": together, "labels a second": [labels / seconds]}


def label(project: Project, url: str, items: range) -> Answers:
    """Label items one after the other; returns the seconds until each answer."""
    person = f"person-{items.start}"
    headers = {"Authorization": f"Bearer {tokens.make(project, person)}"}
    answers = []
    with httpx.Client(headers=headers, timeout=60) as client:
        for item in items:
            event = {"key": f"{person}-{item}", "kind": "label", "item": item, "class": "cat"}
            start = time.perf_counter()
            told = client.post(f"{url}/labels", json={"session": person, "events": [event]}).json()
            answers.append(time.perf_counter() - start)
            assert told["results"][0]["status"] == "accepted", told
    return answers


def import_images(place: Path, images: Path, environment: Mapping[str, str]) -> dict[str, Answers]:
    """Import a folder where it lies, and with copies; returns images a second."""
    rates: dict[str, Answers] = {}
    for what, more in (("import", ()), ("import --copy", ("--copy",))):
        root = place / what.replace(" ", "")
        create_project(root, ["a"]).store.close()
        command = [sys.executable, "-m", "labeller", "import", str(root), str(images), *more]
        start = time.perf_counter()
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True
        )
        rates[what] = [len(list(images.iterdir())) / (time.perf_counter() - start)]
    return rates


def time_flushes(folder: Path) -> float:
    """Return the median milliseconds of a flush of four kilobytes."""
    seconds = []
    with (folder / "flush").open("wb") as file:
        for _ in range(200):
            file.write(bytes(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def report(
    figures: Mapping[str, Mapping[str, Answers]], labels: int, images: int, turns: int, flush: float
) -> None:
    """Print the table and keep it in docs/benchmarks.md."""
    rows = []
    for what, title in (("alone", "answer to one person"), ("together", f"answer to {PEOPLE}")):
        for share, name in ((50, "median"), (95, "p95")):
            on, off = (percentile(figures[kind][what], share) for kind in ("flushed", "lazy"))
            cells = [f"{value * 1000:.1f} ms" for value in (on, off)]
            rows.append([f"{title}, {name}", *cells, f"{on / off:.2f}"])
    for what, title in (
        ("labels a second", f"labels a second of {PEOPLE}"),
        ("import", "import where they lie, images a second"),
        ("import --copy", "import with copies, images a second"),
    ):
        on, off = (statistics.median(figures[kind][what]) for kind in ("flushed", "lazy"))
        rows.append([title, f"{on:.0f}", f"{off:.0f}", f"{on / off:.2f}"])
    update_section(
        "durability",
        "What waiting for the disk costs",
        ["what", "answers wait for the disk", "nothing is flushed", "ratio"],
        rows,
        f"{labels:,} labels over HTTP by {PEOPLE} people who never pause, each a request of its "
        f"own, and 200 by one alone; imports of {images:,} JPEGs of 1024 × 1024 pixels. "
        f"{turns} turns each, alternating; medians over all answers, and over the turns. Both "
        f"clients and the server share {len(os.sched_getaffinity(0))} cores. A flush of 4 kB takes "
        f"{flush:.2f} ms on this disk.",
    )


def percentile(values: Answers, share: int) -> float:
    """Return the smallest value that `share` per cent do not exceed."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]


if __name__ == "__main__":
    main()
