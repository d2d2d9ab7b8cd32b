"""Which first batch, from nothing: ``python benchmarks/efficiency_start.py``.

Strategies that need no model pick 20, 50 or 100 images of each data set; a head learns from these
alone and is measured on the held-out images. Each seed picks from another half of the pool.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.efficiency.sets import HEADS, available, prepared, with_head  # noqa: E402
from benchmarks.efficiency.tables import difference  # noqa: E402
from benchmarks.report import update_section  # noqa: E402
from labeller.learning.picker import WITHOUT_MODEL  # noqa: E402
from labeller.learning.replay_ground import Ground  # noqa: E402
from labeller.learning.replay_run import Heads, accuracy_on, trained  # noqa: E402
from labeller.learning.selection import Known, build_pool  # noqa: E402
from labeller.learning.snapshot import Labels  # noqa: E402
from labeller.progress import Silent  # noqa: E402
from labeller.services.replay_results import RANDOM, interval  # noqa: E402
from labeller.services.replays import Plan  # noqa: E402
from strategies import registry  # noqa: E402
from strategies.base import Needs  # noqa: E402

SIZES = (20, 50, 100)
SEEDS = 5
BEST = ("max_herding", "typiclust")
MOST = 5_000

Floats = NDArray[np.float64]


def first(ground: Ground, name: str, size: int, seed: int) -> tuple[float, int]:
    """Return accuracy after a first batch of a strategy, and how many classes the batch has."""
    rng = np.random.default_rng([seed, 0])
    half = np.sort(rng.permutation(len(ground.pool))[: len(ground.pool) // 2])
    pool = Labels(ground.pool.ids[half], ground.pool.columns[half])
    strategy = registry.get(name)
    nothing = Labels(pool.ids[:0], pool.columns[:0])
    classes = len(ground.class_ids)
    known = Known(ground.features, ground.scaling, nothing, classes=classes)
    rng = np.random.default_rng([seed, size])
    shown = build_pool(strategy.needs, pool.ids, pool.ids[:0], known, rng, Silent())
    given = pool.among(np.sort(strategy(shown, size, rng).ids))
    heads = Heads(replace(ground, pool=pool), seed, 0)
    model = trained(heads, given, Needs.NOTHING, Silent())
    return accuracy_on(model, ground.test, Silent()), len(np.unique(given.columns))


def candidates() -> list[str]:
    """Return the strategies that can pick before there is a model, random last."""
    names = [one.name for one in registry.all("pool") if not one.needs & ~WITHOUT_MODEL]
    return [name for name in names if name != RANDOM] + [RANDOM]


def cell(values: Floats, baseline: Floats) -> str:
    """Write mean accuracies (seeds,) with their paired difference from random's."""
    text = f"{100 * values.mean():.1f}"
    if values is baseline:
        return text
    points = 100 * (values - baseline)
    low, high = interval(points) or (np.nan, np.nan)
    return f"{text} ({points.mean():+.1f}, {low:+.1f} to {high:+.1f})"


def measured(ground: Ground, names: Sequence[str], seeds: int) -> dict[str, Floats]:
    """Return by strategy accuracy and classes (seeds, sizes, 2) of its first batches."""
    return {
        one: np.array([[first(ground, one, size, seed) for size in SIZES] for seed in range(seeds)])
        for one in names
    }


def table(name: str, classes: int, found: Mapping[str, Floats]) -> list[list[str]]:
    """Return a data set's rows: accuracy by size, and classes found in the smallest batch."""
    baseline = [found[RANDOM][:, place, 0] for place in range(len(SIZES))]
    rows = []
    for one in found:
        own = [found[one][:, place, 0] for place in range(len(SIZES))]
        pairs = zip(baseline if one == RANDOM else own, baseline, strict=True)
        cells = [cell(values, random) for values, random in pairs]
        seen = found[one][:, 0, 1].mean()
        rows.append([name, f"`{one}`", *cells, f"{seen:.1f} of {classes}"])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    return rows


def decided(results: Mapping[str, Mapping[str, Floats]]) -> str:
    """Say how the two best compare, over all sizes of a batch."""
    first, second = BEST
    parts = [
        f"{difference((found[first] - found[second])[:, :, 0].mean(axis=1))} ({name})"
        for name, found in results.items()
    ]
    return f"`{first}` less `{second}`, mean of the sizes, in points: {', '.join(parts)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--head", choices=tuple(HEADS), default="product")
    parser.add_argument("--keep", type=Path, help="folder of label_efficiency.py's data sets")
    options = parser.parse_args()
    seeds = 1 if options.quick else SEEDS
    rows: list[list[str]] = []
    results: dict[str, dict[str, Floats]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = options.keep or Path(temporary)
        for one, images, classes in available():
            plan = Plan((RANDOM,), max(SIZES), min(SIZES), seeds)
            ground = prepared(home / one.folder, images, classes, MOST, plan)
            ground = with_head(ground, options.head)
            results[one.name] = measured(ground, candidates(), seeds)
            rows += table(one.name, len(ground.class_ids), results[one.name])
    update_section(
        "efficiency_start",
        "The first batch, from nothing",
        ("data set", "strategy", *(f"{size} labels" for size in SIZES), f"classes in {SIZES[0]}"),
        rows,
        f"Accuracy in % of {HEADS[options.head]} after one batch that was picked without any "
        f"label, images held out as in the section on label efficiency; mean of {seeds} seeds, "
        "each with another random half of the pool and another head; in brackets the difference "
        "from `random` in points, seed by seed, with its 95 % interval by Student's t; last, how "
        f"many classes the batch of {SIZES[0]} has on average. {decided(results)}",
    )


if __name__ == "__main__":
    main()
