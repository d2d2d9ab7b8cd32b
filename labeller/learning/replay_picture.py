"""The learning curves of a replay as a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from labeller.services.palette import colour
from labeller.services.replay_results import RANDOM
from store.durable import write_whole

INK = "#333333"
DPI = 150


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """Draw mean accuracy against labels, with its 95 % interval over the seeds as a band.

    Parameters
    ----------
    path : Path
        The PNG to write, as a whole or not at all.
    result : mapping
        As ``result.json`` holds it. Random is dashed; the legend goes by rank.
    """
    figure = Figure(figsize=(9, 5.2), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    names = [name for name in result["planned"] if name != RANDOM]
    alpha = min(0.13, 0.6 / len(result["strategies"]))  # many bands would hide each other
    for row in result["strategies"]:
        name = row["strategy"]
        ink = INK if name == RANDOM else colour(names.index(name))
        labels = [point[0] for point in row["curve"]]
        axes.plot(
            labels,
            [100 * point[1] for point in row["curve"]],
            color=ink,
            linestyle="--" if name == RANDOM else "-",
            linewidth=2,
            marker="o",
            markersize=3.5,
            label=f"{row['rank']}. {name} ({100 * row['area']:.1f})",
            zorder=3,
        )
        if row["area_interval"]:
            low = [100 * point[2][0] for point in row["curve"]]
            high = [100 * point[2][1] for point in row["curve"]]
            axes.fill_between(labels, low, high, color=ink, alpha=alpha, linewidth=0, zorder=2)
    axes.set_xlabel("Labels")
    axes.set_ylabel("Accuracy on held-out images (%)")
    bands = "bands: 95 % interval over seeds (t)" if result["seeds"] > 1 else "one seed: no band"
    axes.set_title(
        f"{result['pool']:,} images to choose from, {result['test']:,} held out, "
        f"{result['seeds']} seed{'s' if result['seeds'] > 1 else ''}; {bands}",
        fontsize=10,
        loc="left",
    )
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        loc="outside right upper", title="Rank, strategy (mean)", fontsize=9, frameon=False
    )
    data = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(data, format="png")
    write_whole(path, data.getvalue())
