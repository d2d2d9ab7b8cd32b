"""Projects played through without people: features, rounds of margin sampling, a model, its logits.

With the product's features, head, splits and temperature, but arrays in place of a store, so that
dozens of projects take minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.efficiency import sets
from benchmarks.efficiency.head import fit_plain
from labeller.learning import device, lite0
from labeller.learning.backbones import get
from labeller.learning.extraction import extract
from labeller.learning.features import Scaling
from labeller.learning.fitting import Labelled
from labeller.learning.heads import HeadConfig
from labeller.progress import Silent
from labeller.squares import square

Ints = NDArray[np.int64]
Rows = NDArray[np.float32]

VALID = 0.2
FIRST = 0.3  # of the labels are random, the others picked by margin in two rounds
MOST = 20_000


def _fashion() -> tuple[sets.Images, list[str]]:
    """Return images of the Fashion-MNIST training set: there are more of them."""
    files = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
    images, labels = (sets.read_idx(sets.FASHION / file) for file in files)
    return images, [sets.FASHION_CLASSES[label] for label in labels]


LOADERS: dict[str, Callable[[], tuple[sets.Images, list[str]]]] = {
    "fashion": _fashion,
    "mnist": sets.mnist,
    "digits": sets.digits,
}
TITLES = {"fashion": "Fashion-MNIST", "mnist": "MNIST 5k", "digits": "digits"}


def load(name: str, keep: Path) -> tuple[Rows, Ints]:
    """Return features (N, d) and classes (N,) of a data set, kept in a folder."""
    path = keep / f"{name}.npz"
    if not path.exists():
        images, classes = LOADERS[name]()
        order = np.random.default_rng(0).permutation(len(images))[:MOST]
        names = sorted(set(classes))
        columns = np.array([names.index(classes[row]) for row in order], np.int64)
        keep.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=_features(images[order]), y=columns)
    with np.load(path) as found:
        return found["x"].astype(np.float32), found["y"].astype(np.int64)


def _features(images: sets.Images) -> NDArray[np.float16]:
    recipe, trunk = get(lite0.NAME).recipe(images.shape[1]), lite0.Lite0()
    where = device.choose("cpu")
    trunk.module.to(where.torch)
    parts = []
    for start in range(0, len(images), 64):
        some = [Image.fromarray(one).convert("RGB") for one in images[start : start + 64]]
        pixels = np.stack([square(one, recipe.resize) for one in some])
        parts.append(extract(trunk, recipe, pixels, where).astype(np.float16))
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """A project after its last round: logits (N, C) and classes (N,) of all its images.

    `train`, `valid`, `audit` (labelled) and `pool` are rows of them; the pool is in order of
    arrival.
    """

    logits: NDArray[np.float64]
    truth: Ints
    train: Ints
    valid: Ints
    audit: Ints
    pool: Ints


def rehearse(x: Rows, y: Ints, labels: int, audit: int, seed: int, pool: int = 4_000) -> Rehearsal:
    """Play a project through: random labels first, then margin, a fifth of them for validation."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))[: pool + audit + labels]
    sealed, free = rows[:audit], rows[audit:]
    scaling = Scaling(x[free].mean(axis=0), np.maximum(x[free].std(axis=0), 0.01))
    validates = rng.random(len(y)) < VALID
    have = free[: max(12, round(FIRST * labels))]
    for rest in (2, 1):
        scores = _margins(_logits(_trained(x, y, have[~validates[have]], scaling, seed), x[free]))
        wanted = free[np.argsort(scores, kind="stable")]
        wanted = wanted[~np.isin(wanted, have)][: (labels - len(have)) // rest]
        have = np.concatenate([have, wanted])
    train, valid = have[~validates[have]], have[validates[have]]
    logits = np.zeros((len(y), int(y.max()) + 1))
    logits[rows] = _logits(_trained(x, y, train, scaling, seed), x[rows])
    return Rehearsal(logits, y, train, valid, sealed, np.setdiff1d(free, have))


def _trained(x: Rows, y: Ints, rows: Ints, scaling: Scaling, seed: int) -> torch.nn.Module:
    return fit_plain(
        Labelled(torch.from_numpy(x[rows]), torch.from_numpy(y[rows])),
        None,
        int(y.max()) + 1,
        scaling,
        seed=seed,
        device=device.choose("cpu"),
        progress=Silent(),
        config=HeadConfig(),
    )


def _logits(head: torch.nn.Module, x: Rows) -> NDArray[np.float64]:
    with torch.inference_mode():
        return np.asarray(head(torch.from_numpy(x)).numpy(), np.float64)


def _margins(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    best = np.sort(exact / exact.sum(axis=1, keepdims=True), axis=1)
    return np.asarray(best[:, -1] - best[:, -2], np.float64)
