"""Seconds from Retrain to the new queue, by stage: ``python benchmarks/round.py``."""

from __future__ import annotations

import argparse
import gzip
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.report import update_section  # noqa: E402
from labeller import demo  # noqa: E402
from labeller.jobs.control import get  # noqa: E402
from labeller.project import Project, create_project  # noqa: E402
from labeller.services import rounds  # noqa: E402
from labeller.services.demo import create_demo  # noqa: E402
from labeller.services.importing import import_sources  # noqa: E402
from store.records import NewEvent  # noqa: E402

DATA = Path("/usr/share/datasets/fashion-mnist")
STAGES = (
    "start",
    "features",
    "guard",
    "train",
    "calibrate",
    "evaluate",
    "predict",
    "select",
    "queue",
)
TARGET = 15.0


def fashion(root: Path, images: int, labels: int) -> Project:
    """Make a project of Fashion-MNIST's first images, some labelled, features not computed."""
    with gzip.open(DATA / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:images]
    with gzip.open(DATA / "train-labels-idx1-ubyte.gz") as file:
        classes = np.frombuffer(file.read(), np.uint8, offset=8)[:images]
    folder = root / "source"
    folder.mkdir(parents=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number:05}.png")
    project = create_project(root / "project", demo.CLASSES)
    report = import_sources(project, [folder])
    assert report.added + report.known == images, report.problems
    chosen = np.random.default_rng(0).permutation(images)[:labels]
    with project.store.write() as unit:
        ids = {one.name: one.id for one in unit.classes.all()}
        items = {Path(item.path).stem: item.id for item in _all(unit)}
        events = [
            NewEvent(
                key=f"benchmark:{i}",
                kind="label",
                item_id=items[f"{i:05}"],
                class_id=ids[demo.CLASSES[classes[i]]],
            )
            for i in chosen.tolist()
            if f"{i:05}" in items
        ]
        unit.labels.record("benchmark", None, "import", events, 0.0)
    return project


def _all(unit: Any) -> list[Any]:
    return [item for part in unit.items.stream() for item in part]


def round_seconds(project: Project, strategy: str) -> dict[str, float]:
    """Press Retrain, wait for the new queue, return the seconds by stage."""
    began = time.perf_counter()
    job = rounds.start_round(project, strategy)
    while (job := get(project, job.id)).active:
        time.sleep(0.02)
    total = time.perf_counter() - began
    assert job.state == "done", job.error
    assert job.result is not None
    timings: dict[str, float] = dict(job.result["timings"])
    return {"total": total, **timings, "rest": total - sum(timings.values())}


def measured(name: str, project: Project, strategy: str, repeats: int) -> list[list[str]]:
    """Return the rows of one project: features computed, then cached (median)."""
    first = round_seconds(project, strategy)
    cached = [round_seconds(project, strategy) for _ in range(repeats)]
    median = sorted(cached, key=lambda one: one["total"])[len(cached) // 2]
    rows = []
    for what, seconds in (("to compute", first), ("cached", median)):
        cells = [f"{seconds.get(stage, 0):.2f}" for stage in ("total", *STAGES, "rest")]
        rows.append([name, what, strategy, *cells])
    worst = max(one["total"] for one in cached)
    spread = statistics.median(one["total"] for one in cached)
    print(f"{name}: cached {spread:.1f} s, worst of {repeats} {worst:.1f} s")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--strategy", default="margin")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(
            "demo: 3,000 images, 300 labels",
            create_demo(Path(folder) / "demo"),
            options.strategy,
            options.repeats,
        )
        rows += measured(
            f"Fashion-MNIST: {options.images:,} images, {options.labels:,} labels",
            fashion(Path(folder) / "fashion", options.images, options.labels),
            options.strategy,
            options.repeats,
        )
    update_section(
        "round",
        "From Retrain to the new queue",
        ["project", "features", "strategy", "seconds", *STAGES, "rest"],
        rows,
        notes=(
            f"Seconds from the press to the job's end, a new process each time; median of "
            f"{options.repeats} with features cached. `start` is the process coming up and "
            f"importing torch and fastai, `rest` is the end being noticed. To reach with features "
            f"cached: {TARGET:.0f} s on two cores."
        ),
    )


if __name__ == "__main__":
    main()
