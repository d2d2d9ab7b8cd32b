"""Accuracy of the default model on Fashion-MNIST: ``python benchmarks/accuracy.py``."""

from __future__ import annotations

import argparse
import gzip
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from labeller.learning import device, lite0
from labeller.learning.backbones import get
from labeller.learning.extraction import extract
from labeller.learning.features import Scaling
from labeller.learning.fitting import Labelled
from labeller.learning.head_training import fit_head
from labeller.progress import Silent
from labeller.squares import square

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.report import update_section

DATA = Path("/usr/share/datasets/fashion-mnist")
POOL = 6_000
TEST = 4_000
# MEASURED.md, medians of three: raw pixels added to the mids, and the mids alone with an MLP
MEASURED = {200: (0.792, 0.788), 500: (0.838, 0.828), 1_000: (0.862, 0.859)}


def features() -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Return features of pool and test images one under the other, classes, and the pool's size."""
    parts, classes = [], []
    recipe, trunk = get(lite0.NAME).recipe(28), lite0.Lite0()
    where = device.choose("auto")
    trunk.module.to(where.torch)
    for name, number in (("train", POOL), ("t10k", TEST)):
        with gzip.open(DATA / f"{name}-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(DATA / f"{name}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        chosen = np.random.default_rng(0).permutation(len(images))[:number]
        classes.append(labels[chosen].astype(np.int64))
        for start in range(0, number, 64):
            some = [Image.fromarray(images[i]).convert("RGB") for i in chosen[start : start + 64]]
            pixels = np.stack([square(image, recipe.resize) for image in some])
            parts.append(extract(trunk, recipe, pixels, where))
    return np.concatenate(parts), np.concatenate(classes), POOL


def accuracies(
    rows: NDArray[np.float32], classes: NDArray[np.int64], pool: int, labels: int, seeds: int
) -> tuple[list[float], list[float]]:
    """Return accuracy on the test images and fit seconds, by seed, for random labels."""
    scaling = Scaling(rows[:pool].mean(0), np.maximum(rows[:pool].std(0), 0.01))
    x, y = torch.from_numpy(rows), torch.from_numpy(classes)
    found, seconds = [], []
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).permutation(pool)[:labels]
        began = time.perf_counter()
        head = fit_head(
            Labelled(x[chosen], y[chosen]),
            None,
            10,
            scaling,
            seed=seed,
            device=device.choose("auto"),
            progress=Silent(),
        )
        seconds.append(time.perf_counter() - began)
        with torch.inference_mode():
            given = x[pool:].to(next(head.parameters()).device)
            found.append(float((head(given).argmax(1).cpu() == y[pool:]).float().mean()))
    return found, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    began = time.perf_counter()
    rows, classes, pool = features()
    speed = len(rows) / (time.perf_counter() - began)
    table = []
    for labels, (logistic, mlp) in MEASURED.items():
        found, seconds = accuracies(rows, classes, pool, labels, options.seeds)
        table.append(
            [
                f"{labels:,}",
                f"{statistics.median(found):.1%}",
                f"{min(found):.1%} to {max(found):.1%}",
                f"{statistics.median(seconds):.1f}",
                f"{logistic:.1%}",
                f"{mlp:.1%}",
            ]
        )
    update_section(
        "accuracy",
        "Accuracy of the default model",
        [
            "random labels",
            "median",
            "range",
            "fit, s",
            "measured: mids + raw + HOG, logistic",
            "measured: mids, MLP",
        ],
        table,
        notes=(
            f"Fashion-MNIST, {TEST:,} test images, median of {options.seeds} draws of labels from "
            f"{POOL:,} images; features of {get(lite0.NAME).recipe(28).tag} on "
            f"{device.choose('auto').text} at {speed:,.0f} images/s."
        ),
    )


if __name__ == "__main__":
    main()
