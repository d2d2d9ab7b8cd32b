"""Figures of the synthesis page: classes before and after, accuracy with and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labeller.services.palette import PALETTE
from labeller.services.synthesis import ClassOutlook
from labeller.ui.plots import GREYS, LINES, laid_out, literal, unique

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from labeller.services.ablations import Ablation

LABELS, MADE, PLANNED = PALETTE[5], PALETTE[2], PALETTE[1]
_ROW = 24


def class_counts(classes: Sequence[ClassOutlook]) -> Figure:
    """Draw the training examples of each class: labels, synthetic items so far, and planned."""
    import plotly.graph_objects as go

    names = unique([literal(one.name) for one in classes])
    parts = [
        ("Labels", [one.labels for one in classes], LABELS, ""),
        ("Synthetic so far", [one.synthetic for one in classes], MADE, ""),
        ("This run", [one.planned or 0 for one in classes], PLANNED, "/"),
    ]
    figure = go.Figure(
        [
            go.Bar(
                y=names,
                x=numbers,
                name=title,
                orientation="h",
                marker={"color": ink, "pattern": {"shape": shape, "solidity": 0.35}},
                hovertemplate=f"%{{y}}: %{{x:,}} {title.lower()}<extra></extra>",
            )
            for title, numbers, ink, shape in parts
            if any(numbers)
        ]
    )
    figure.update_layout(barmode="stack", bargap=0.3, legend_traceorder="normal", showlegend=True)
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title="Training examples", tickformat=",d", rangemode="tozero")
    laid_out(figure, max(170, 100 + _ROW * len(names)))
    figure.update_layout(legend={"y": 1, "yanchor": "bottom"})
    return figure


def ablation(found: Ablation, dark: bool) -> Figure:
    """Draw audit accuracy with and without synthetic items, with the 95 % intervals."""
    import plotly.graph_objects as go

    sides = [
        (name, score, ink)
        for name, score, ink in (
            ("Without", found.without, GREYS[dark]),
            ("With synthetic items", found.with_synthetic, LINES[dark][0]),
        )
        if score is not None
    ]
    figure = go.Figure(
        [
            go.Scatter(
                y=[name],
                x=[100 * score.accuracy],
                mode="markers",
                marker={"size": 12, "color": ink},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (score.high - score.accuracy)],
                    "arrayminus": [100 * (score.accuracy - score.low)],
                    "color": ink,
                    "thickness": 2.5,
                    "width": 6,
                },
                hovertemplate=f"{name}: <b>%{{x:.1f}} %</b> "
                f"({100 * score.low:.1f}–{100 * score.high:.1f})<extra></extra>",
            )
            for name, score, ink in sides
        ]
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(type="category", range=[-0.6, 1.6])
    figure.update_xaxes(title="Audit accuracy (%)")
    return laid_out(figure, 190)
