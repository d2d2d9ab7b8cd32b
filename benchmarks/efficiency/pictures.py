"""The learning curves of label_efficiency.py as pictures for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.efficiency.tables import PREFIX, Outcome
from labeller.services.replay_results import RANDOM, interval

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
CURVES, GAINS = "efficiency_curves.svg", "efficiency_gains.svg"
LINKS = (
    f"![Learning curves of all strategies on each data set.](pictures/{CURVES})\n\n"
    f"![What auto gains over random, seed by seed, with its 95 % interval.](pictures/{GAINS})"
)
SHOWN = {  # the others are thin and grey
    RANDOM: ("#222222", "--"),
    "auto": ("#d55e00", "-"),
    "margin": ("#0072b2", "-"),
    "badge": ("#009e73", "-"),
    "typiclust": ("#cc79a7", "-"),
    "max_herding": ("#e69f00", "-"),
}
GREY = "#bbbbbb"


def draw(outcomes: Sequence[Outcome], folder: Path = PICTURES) -> None:
    """Draw the learning curves, and what `auto` gains over `random`, as two SVG files.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One panel each.
    folder : Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure = _figure(len(outcomes), 4.6)
    for place, one in enumerate(outcomes):
        axes = _panel(figure, place, len(outcomes), one.name)
        _curves(axes, one)
        if place == 0:
            axes.set_ylabel("Accuracy on held-out images (%)")
    drawn = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    texts = [name for name in SHOWN if name in drawn] + ["others", "scikit-activeml"]
    handles = [drawn[name] for name in texts[:-2]]
    handles += [Line2D([], [], color=GREY, linestyle=style) for style in ("-", ":")]
    figure.legend(handles, texts, loc="outside lower center", ncols=8, frameon=False)
    _write(figure, folder / CURVES)

    figure = _figure(len(outcomes), 3.4)
    for place, one in enumerate(outcomes):
        axes = _panel(figure, place, len(outcomes), one.name)
        _gains(axes, one)
        if place == 0:
            axes.set_ylabel("auto less random (points)")
    _write(figure, folder / GAINS)


def _curves(axes: Axes, one: Outcome) -> None:
    """Draw mean accuracy with its 95 % interval over the seeds; those not `SHOWN` in grey."""
    labels = np.array(one.runs[0].labels)
    names = list(dict.fromkeys(run.strategy for run in one.runs))
    for name in sorted(names, key=lambda name: name in SHOWN):
        values = 100 * one.accuracies(name)
        if name not in SHOWN:
            style = ":" if name.startswith(PREFIX) else "-"
            axes.plot(labels, values.mean(0), style, color=GREY, linewidth=0.8, label=f"_{name}")
            continue
        colour, style = SHOWN[name]
        axes.plot(labels, values.mean(0), style, color=colour, linewidth=1.8, label=name, zorder=4)
        if name in (RANDOM, "auto"):
            bounds = np.array([interval(column) or (np.nan, np.nan) for column in values.T])
            axes.fill_between(labels, *bounds.T, color=colour, alpha=0.15, linewidth=0, zorder=3)
    final = 100 * one.accuracies(RANDOM)[:, -1].mean()
    axes.axhline(final, color="#222222", linewidth=0.6, linestyle=(0, (1, 3)))
    everything = [100 * one.accuracies(name).mean(0) for name in SHOWN if name in names]
    axes.set_ylim(bottom=np.min(everything) - 1)


def _gains(axes: Axes, one: Outcome) -> None:
    """Draw the difference of `auto` from `random`, seed by seed, with its 95 % interval."""
    if "auto" not in {run.strategy for run in one.runs}:
        return
    labels = np.array(one.runs[0].labels)
    points = 100 * (one.accuracies("auto") - one.accuracies(RANDOM))
    bounds = np.array([interval(column) or (np.nan, np.nan) for column in points.T])
    colour = SHOWN["auto"][0]
    axes.axhline(0, color="#222222", linewidth=1, linestyle="--")
    axes.plot(np.broadcast_to(labels, points.shape).T, points.T, ".", color=GREY, markersize=4)
    axes.plot(labels, points.mean(0), color=colour, linewidth=1.8)
    axes.fill_between(labels, *bounds.T, color=colour, alpha=0.2, linewidth=0)


def _figure(panels: int, height: float) -> Figure:
    return Figure(figsize=(4 * panels, height), layout="constrained")


def _panel(figure: Figure, place: int, panels: int, title: str) -> Axes:
    axes = figure.add_subplot(1, panels, place + 1)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("Labels")
    axes.grid(color="#e5e5e5", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _write(figure: Figure, path: Path) -> None:
    """Write an SVG that is the same for the same curves."""
    figure.patch.set_facecolor("white")
    FigureCanvasSVG(figure)
    figure.savefig(path, metadata={"Date": None})
