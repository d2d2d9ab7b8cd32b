"""Draw what each synthesis strategy plans: pictures of Fashion-MNIST, and points in the plane.

The model that `disagreement` and `weak_spots` ask is a linear one on the pixels of 600 images; the
trial children are rendered by the recipes themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from labeller import demo
from strategies.synthesis import (
    Parents,
    Plan,
    Unchanged,
    blend,
    render,
    strategy_called,
    trial_plans,
)
from strategies.synthesis.recipes import USUAL
from strategies.synthesis.recipes.recipe import Recipe

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
RECIPES = tuple(one for one in USUAL if one.name != "resize")  # a model of pixels has one size
FEW = ("brightness", "blur", "rotate", "crop", "skew", "patch", "shadow", "opacity")
SIDE = 28


@cache
def model() -> tuple[np.ndarray, np.ndarray, LogisticRegression]:
    """Return the demo's images and classes in a random order, and a model of the first 600."""
    images, classes = demo.load()
    order = np.random.default_rng(0).permutation(len(images))
    images, classes = images[order], classes[order]
    fitted = LogisticRegression(C=0.02, max_iter=300)
    fitted.fit(images[:600].reshape(600, -1) / 255, classes[:600])
    return images, classes, fitted


def child(plan: Plan) -> np.ndarray:
    """Return the picture of a plan at the size of its parent; the parent where nothing changes."""
    parent = Image.fromarray(model()[0][plan.parent])
    try:
        made = render(parent, plan)
    except Unchanged:
        made = parent
    return np.asarray(made.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def predicted(pictures: np.ndarray) -> np.ndarray:
    """Return the model's probabilities of pictures (..., 28, 28)."""
    flat = pictures.reshape(-1, SIDE * SIDE) / 255
    return model()[2].predict_proba(flat).reshape(*pictures.shape[:-2], -1)


def trials(ids: np.ndarray, tried: tuple[Recipe, ...]) -> np.ndarray:
    """Return the probabilities (R, n, C) of one trial child per recipe and item."""
    plans = trial_plans(ids, tried, np.random.default_rng(1))
    return predicted(np.array([[child(plan) for plan in row] for row in plans]))


def balance(figure: mpl.figure.Figure) -> None:
    """Bars: what each class had, and what it gets."""
    had = np.array([60, 34, 21, 9, 4])
    parents = Parents(np.arange(had.sum()), np.repeat(np.arange(5), had), 5, RECIPES)
    plans = strategy_called("balance").plan(parents, 90, np.random.default_rng(0))
    got = np.bincount(parents.classes[[plan.parent for plan in plans]], minlength=5)
    axes = figure.subplots()
    places = np.arange(5)
    axes.bar(places, had, color="#b8b8b8", label="labelled")
    axes.bar(places, got, bottom=had, color=COLOURS[0], label="new, 90 in all")
    for place, extra, top in zip(places, got, had + got, strict=True):
        axes.text(place, top + 1, f"+{extra}" if extra else "", ha="center", fontsize=8)
    axes.set_xticks(places, [demo.CLASSES[i] for i in (0, 1, 5, 8, 9)], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(ylim=(0, 72), ylabel="training items")
    axes.legend(fontsize=8, frameon=False)


def disagreement(figure: mpl.figure.Figure) -> None:
    """Pairs of parent and child, most changed first."""
    images, classes, _ = model()
    ids, tried = np.arange(40), tuple(one for one in RECIPES if one.name in FEW)
    parents = Parents(
        ids,
        classes[:40],
        10,
        tried,
        probs=predicted(images[:40]),
        child_probs=trials(ids, tried),
    )
    plans = strategy_called("disagreement").plan(parents, 6, np.random.default_rng(0), each=1)
    for column, plan in enumerate(plans):
        for bottom, picture in ((0.57, images[plan.parent]), (0.12, child(plan))):
            axes = figure.add_axes((0.008 + column / 6, bottom, 0.15, 0.34))
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto")
            axes.axis("off")
            best = predicted(picture[None])[0]
            told = f"{demo.CLASSES[best.argmax()]} {best.max():.2f}"
            axes.set_title(told, fontsize=7, pad=2)
        told = f"{plan.recipe}\n{plan.score:.1f} nats"
        figure.text(0.083 + column / 6, 0.1, told, ha="center", va="top", fontsize=7)


def weak_spots(figure: mpl.figure.Figure) -> None:
    """Bars: how much accuracy each recipe costs, and the children it gets."""
    images, classes, _ = model()
    ids = np.arange(600, 680)
    parents = Parents(
        np.arange(60),
        classes[:60],
        10,
        RECIPES,
        trial_classes=classes[ids],
        trial_probs=predicted(images[ids]),
        trial_child_probs=trials(ids, RECIPES),
    )
    plans = strategy_called("weak_spots").plan(parents, 100, np.random.default_rng(0))
    counts = Counter(plan.recipe for plan in plans)
    drops = {plan.recipe: 100 * plan.score for plan in plans}
    names = list(drops)[:12]
    axes = figure.subplots()
    axes.barh(names, [drops[name] for name in names], color=COLOURS[0], height=0.7)
    for row, name in enumerate(names):
        axes.text(
            drops[name] + 0.6, row, f"{counts[name]} of 100 children", va="center", fontsize=7
        )
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("points of accuracy lost", fontsize=8)
    axes.set_xlim(0, max(drops.values()) * 1.4)


def _mixed(name: str, figure: mpl.figure.Figure, k: int, sizes: tuple[int, ...]) -> None:
    """Points of some classes, and the mixtures between them in mixed colours."""
    rng = np.random.default_rng(5)
    centres = np.array([[-1.1, 0.4], [1.1, 0.7], [0.2, -1.3]])
    classes = np.repeat(np.arange(3), sizes)
    points = centres[classes] + 0.42 * rng.normal(size=(len(classes), 2))
    parents = Parents(np.arange(len(classes)), classes, 3, (), embeddings=points)
    plans = strategy_called(name).plan(parents, k, np.random.default_rng(0))
    made, targets = blend(plans, parents)
    colours = np.array([mpl.colors.to_rgb(colour) for colour in COLOURS[:3]])
    axes = figure.add_axes((0, 0, 1, 1))
    for plan in plans:
        ends = points[[plan.parent, int(plan.values["partner"])]]
        axes.plot(*ends.T, color="#c8c8c8", linewidth=0.6, zorder=1)
    axes.scatter(*points.T, c=colours[classes], s=46, marker="*", linewidths=0, zorder=2)
    axes.scatter(*made.T, c=targets @ colours, s=22, edgecolors="black", linewidths=0.6, zorder=3)
    axes.axis("off")


def latent_mixup(figure: mpl.figure.Figure) -> None:
    """Mixtures of any two points."""
    _mixed("latent_mixup", figure, 40, (14, 12, 10))


def interpolate(figure: mpl.figure.Figure) -> None:
    """Mixtures of neighbours of the rarest class."""
    _mixed("interpolate", figure, 26, (30, 16, 6))


PICTURES: dict[str, tuple[Callable[[mpl.figure.Figure], None], tuple[float, float], str | None]] = {
    "balance": (balance, (4.4, 2.7), "constrained"),
    "disagreement": (disagreement, (5.4, 2.6), None),
    "weak_spots": (weak_spots, (4.8, 3.0), "constrained"),
    "latent_mixup": (latent_mixup, (3.6, 2.7), None),
    "interpolate": (interpolate, (3.6, 2.7), None),
}


def draw(name: str, path: Path) -> None:
    """Draw what one strategy plans."""
    paint, size, layout = PICTURES[name]
    figure = plt.figure(figsize=size, dpi=110, layout=layout)
    paint(figure)
    figure.savefig(path)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(96).save(path, optimize=True)
