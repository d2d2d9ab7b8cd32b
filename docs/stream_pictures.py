"""Draw what each stream strategy asks on one drifting stream, by the rules themselves.

The stream is 700 items: a calm stretch, a sudden change of light in which the model is unsure of
most, a slow recovery. 70 labels are left, so one item in ten may be asked about.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from strategies import stream
from strategies.stream import Outcome

ITEMS, LABELS = 700, 70
CHANGE, CALM = 280, 430  # the change begins, and is over
ACCEPT_FROM = 0.95
OPTIONS = {"fixed_threshold": {"threshold": 0.7}}
ASKED, ACCEPTED, DEFERRED, LINE = "#d55e00", "#a6d8c8", "#d0d0d0", "#222222"


def confidences() -> np.ndarray:
    """Return the confidence (700,) of each item in turn, from 1/3 to 1."""
    rng = np.random.default_rng(7)
    position = np.arange(ITEMS)
    unsure = np.where(position < CHANGE, 0.0, np.clip((CALM + 180 - position) / 330, 0, 1))
    sure = rng.beta(9, 1.1, ITEMS)
    lost = rng.beta(3.5, 3, ITEMS)
    mixed = np.where(rng.random(ITEMS) < unsure, lost, sure)
    return 1 / 3 + (2 / 3) * mixed


def draw(name: str, path: Path) -> None:
    """Draw threshold and outcome over the stream."""
    sure = confidences()
    state = stream.start(
        name,
        labels_left=LABELS,
        items_expected=ITEMS,
        accept_from=[ACCEPT_FROM] * 3,
        seed=1,
        options=OPTIONS.get(name),
        coming=sure,
    )
    arrivals = ((item, 0, float(value)) for item, value in enumerate(sure))
    decisions = [decision for _, decision, _ in stream.run(state, arrivals)]
    outcomes = np.array([decision.outcome for decision in decisions])
    heard = [row for row, decision in enumerate(decisions) if decision.threshold is not None]
    line = [decisions[row].threshold for row in heard]
    drawn = bool(max(len(decision.draws) for decision in decisions) and name != "split")
    figure, axes = plt.subplots(figsize=(5.4, 2.5), dpi=110, layout="constrained")
    axes.axvspan(CHANGE, CALM, color="#f3efe2", linewidth=0)
    for outcome, colour, size, label in (
        (Outcome.DEFER, DEFERRED, 7, "back to the pool"),
        (Outcome.ACCEPT, ACCEPTED, 7, "generated label"),
        (Outcome.ASK, ASKED, 20, "asked"),
    ):
        rows = np.flatnonzero(outcomes == outcome)
        axes.scatter(
            rows, sure[rows], s=size, c=colour, linewidths=0, label=f"{label}: {len(rows)}"
        )
    rest = np.arange(len(decisions), ITEMS)
    if len(rest):
        axes.scatter(rest, sure[rest], s=5, c="#eeeeee", linewidths=0, label="not reached")
    if drawn:  # the threshold of each item is drawn: no line
        axes.plot(heard, line, ".", color=LINE, markersize=2.5, label="threshold")
    else:
        axes.step(heard, line, where="post", color=LINE, linewidth=1, label="threshold")
    axes.set(xlim=(-8, ITEMS + 8), ylim=(0.3, 1.08), ylabel="confidence", xlabel="items passed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    figure.legend(
        loc="outside upper center",
        ncols=5,
        fontsize=7,
        frameon=False,
        handletextpad=0.3,
        columnspacing=1.0,
    )
    figure.savefig(path)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
