"""Draw docs/pictures/strategies/NAME.png for every strategy, and the recipes' contact sheets.

``python docs/strategy_pictures.py [NAME ...]``. Pool strategies pick from one toy pool: 600 points
in the plane in three classes, one of them rare; the model a linear one on 12 labelled points, its
ensemble the same on resampled labels. The other families are in stream_pictures.py,
synthesis_pictures.py and recipe_pictures.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import matplotlib.pyplot as plt  # noqa: E402
import recipe_pictures  # noqa: E402
import stream_pictures  # noqa: E402
import synthesis_pictures  # noqa: E402

from strategies import registry  # noqa: E402
from strategies.base import Pool  # noqa: E402
from strategies.synthesis.recipes.recipe import GROUPS  # noqa: E402

FOLDER = ROOT / "docs" / "pictures" / "strategies"
COLOURS = ("#0072b2", "#e69f00", "#009e73")
PICKS = 12
CENTRES = np.array([[-1.2, 0.7], [1.3, 0.9], [0.3, -1.4]])
SPREADS = np.array([[0.75, 0.6], [0.7, 0.7], [0.35, 0.3]])
SHARES = (0.5, 0.42, 0.08)


def fit(points: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fit a linear softmax model by gradient descent; the last row of the weights are biases."""
    inputs, wanted = with_bias(points), np.eye(3)[classes]
    weights: np.ndarray = 0.01 * rng.normal(size=(3, 3))
    for _ in range(400):
        weights -= 0.5 * (inputs.T @ (softmax(inputs @ weights) - wanted) / len(points))
        weights -= 0.002 * weights
    return weights


def with_bias(points: np.ndarray) -> np.ndarray:
    """Add a column of ones."""
    return np.column_stack([points, np.ones(len(points))])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return softmax over the last axis."""
    powers: np.ndarray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def directions(points: np.ndarray) -> np.ndarray:
    """Put the plane on a sphere, so that strategies that compare directions see the distances."""
    return np.column_stack([points / 3, np.ones(len(points))])


def toy() -> tuple[Pool, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the pool, its points, the labelled points and their classes, and the weights."""
    rng = np.random.default_rng(4)
    truth = rng.choice(3, size=612, p=SHARES)
    points = CENTRES[truth] + SPREADS[truth] * rng.normal(size=(612, 2))
    labelled, classes, points = points[:12], truth[:12], points[12:]
    weights = fit(labelled, classes, rng)
    members = []
    for _ in range(20):
        rows = rng.integers(12, size=12)
        members.append(fit(labelled[rows], classes[rows], rng))
    logits = with_bias(points) @ weights
    pool = Pool(
        np.arange(600),
        probs=softmax(logits),
        logits=logits,
        mc_probs=softmax(np.stack([with_bias(points) @ member for member in members])),
        embeddings=directions(points),
        labelled_embeddings=directions(labelled),
        labelled_classes=classes,
        labelled_probs=softmax(with_bias(labelled) @ weights),
    )
    return pool, points, labelled, classes, weights


def draw(name: str, path: Path) -> None:
    """Draw what one strategy picks."""
    pool, points, labelled, classes, weights = toy()
    picked = points[registry.get(name).function(pool, PICKS, np.random.default_rng(0)).ids]
    figure = plt.figure(figsize=(3.6, 2.7), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    x, y = np.meshgrid(np.linspace(-3.6, 3.9, 240), np.linspace(-2.9, 3.1, 180))
    shares = softmax(with_bias(np.column_stack([x.ravel(), y.ravel()])) @ weights)
    rgb = shares @ np.array([mpl.colors.to_rgb(colour) for colour in COLOURS])
    faded = 1 - 0.28 * (1 - rgb.reshape(180, 240, 3))
    axes.imshow(faded, extent=(-3.6, 3.9, -2.9, 3.1), origin="lower", aspect="auto")
    axes.scatter(points[:, 0], points[:, 1], s=5, c="#777777", linewidths=0)
    colours = [COLOURS[c] for c in classes]
    x, y = labelled.T
    axes.scatter(x, y, s=70, c=colours, marker="*", edgecolors="black", linewidths=0.5)
    x, y = picked.T
    axes.scatter(x, y, s=52, facecolors="white", edgecolors="black", linewidths=1.2)
    for number, (left, bottom) in enumerate(picked, 1):
        axes.text(left, bottom, str(number), fontsize=5, ha="center", va="center_baseline")
    axes.set(xlim=(-3.6, 3.9), ylim=(-2.9, 3.1))
    axes.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE).save(
        path, optimize=True
    )


def main() -> None:
    """Draw all, or those that are named."""
    mpl.use("Agg")
    wanted = sys.argv[1:]
    drawers = {"pool": draw, "stream": stream_pictures.draw, "synthesis": synthesis_pictures.draw}
    for info in registry.all():
        if not wanted or info.name in wanted:
            drawers[info.family](info.name, FOLDER / f"{info.name}.png")
    for group in GROUPS:
        if not wanted or group in wanted:
            recipe_pictures.draw(group, FOLDER.parent / "recipes" / f"{group}.jpg")


if __name__ == "__main__":
    main()
