"""Plotly figures of the evaluation page about single classes: their scores, their shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labeller.services.evaluation import ClassBalance
from labeller.services.evaluation_scores import ClassScore, wilson
from labeller.ui.plots import GREYS, LINES, SPLIT_COLOURS, laid_out, literal, unique

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def class_shares(balance: Sequence[ClassBalance], dark: bool) -> Figure:
    """Draw the share of each class in each split, with Wilson's 95 % intervals."""
    import plotly.graph_objects as go

    labels = unique([literal(row.name) for row in balance])
    figure = go.Figure()
    for split, ink in SPLIT_COLOURS.items():
        counts = [int(getattr(row, split)) for row in balance]
        total = sum(counts)
        if not total:
            continue
        bounds = [wilson(count, total) for count in counts]
        figure.add_bar(
            x=labels,
            y=[100 * count / total for count in counts],
            name=split,
            marker_color=ink,
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [
                    100 * (high - c / total) for c, (_, high) in zip(counts, bounds, strict=True)
                ],
                "arrayminus": [
                    100 * (c / total - low) for c, (low, _) in zip(counts, bounds, strict=True)
                ],
                "thickness": 1,
                "width": 2,
                "color": GREYS[dark],
            },
            customdata=counts,
            hovertemplate=f"%{{x}}: %{{y:.1f}} % of {split}, %{{customdata:,}} labels"
            f"<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(title="Share of the split (%)", ticksuffix=" ", rangemode="tozero")
    figure.update_xaxes(type="category", tickangle=-40)
    return laid_out(figure, 360)


def class_bars(scores: Sequence[ClassScore], names: Mapping[int, str], dark: bool) -> Figure:
    """Draw precision and recall of each class with their intervals."""
    import plotly.graph_objects as go

    labels = unique([literal(names.get(s.class_id, f"class {s.class_id}")) for s in scores])
    figure = go.Figure()
    inks = (LINES[dark][0], LINES[dark][1])
    for name, offset, ink in (("precision", -0.14, inks[0]), ("recall", 0.14, inks[1])):
        found = [
            (place + offset, labels[place], getattr(score, name))
            for place, score in enumerate(scores)
            if getattr(score, name).value is not None
        ]
        figure.add_scatter(
            x=[100 * one.value for _, _, one in found],
            y=[place for place, _, _ in found],
            mode="markers",
            name=name,
            marker={"color": ink, "size": 8},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * (one.high - one.value) for _, _, one in found],
                "arrayminus": [100 * (one.value - one.low) for _, _, one in found],
                "color": ink,
                "thickness": 1.4,
                "width": 3,
            },
            customdata=[[label, one.right, one.n] for _, label, one in found],
            hovertemplate=f"%{{customdata[0]}}: {name} %{{x:.1f}} %, "
            f"%{{customdata[1]:,}} of %{{customdata[2]:,}}<extra></extra>",
        )
    figure.update_xaxes(title="%", range=[-1, 102])
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[len(labels) - 0.5, -0.5],
        zeroline=False,
    )
    return laid_out(figure, max(260, 120 + 32 * len(labels)))
