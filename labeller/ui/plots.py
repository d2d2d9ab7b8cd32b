"""Plotly figures of the rounds page. Plotly is imported when a figure is made: it is large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from labeller.services import headline
from labeller.services.evaluation_scores import Share
from labeller.services.palette import PALETTE, colour
from labeller.ui.view import STAGE_TITLES, strategy_title

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from labeller.services.evaluation_curve import CurvePoint

BLUE, ORANGE, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]
SPLIT_COLOURS = {"train": PALETTE[5], "valid": PALETTE[2], "audit": PALETTE[1]}
CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "pan2d", "zoom2d"],
}
# The palette's colours with 3:1 against the page, strongest contrasts between neighbours first.
LINES = {
    False: (PALETTE[0], PALETTE[3], PALETTE[2], PALETTE[4], "#8a6100", PALETTE[9], PALETTE[12]),
    True: (PALETTE[5], PALETTE[1], "#2fc79b", PALETTE[4], PALETTE[6], "#ff8a4d", "#a9a0ff"),
}
GREYS = {False: PALETTE[7], True: "#b5b9c4"}
_LONGEST = 28
_MOST_NUMBERS = 20
_ROW = 26


def literal(name: str) -> str:
    """Return a class name for a figure: not read as HTML, and cut when it is long."""
    cut = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return escape(cut, quote=False)


def learning_curve(points: Sequence[CurvePoint], dark: bool) -> Figure:
    """Draw audit accuracy, with its 95 % interval as a band, against labels spent."""
    import plotly.graph_objects as go

    line = PALETTE[5] if dark else BLUE
    x = [point.labels for point in points]
    known = [(point, point.audited >= headline.LEAST) for point in points]
    few = len(points) == 1 or not all(told for _, told in known)
    low, high = ([100 * getattr(p, name) for p in points] for name in ("low", "high"))
    band = go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({', '.join(map(str, rgb(line)))}, 0.18)",
        line={"width": 0},
        hoverinfo="skip",
        name="95 % interval",
    )
    curve = go.Scatter(
        x=x,
        # Of few audit labels there is a range only: its middle carries the bar and no point.
        y=[100 * (p.accuracy if told else (p.low + p.high) / 2) for p, told in known],
        mode="lines+markers",
        line={"color": line, "width": 2.5 if all(told for _, told in known) else 0},
        marker={"size": [9 if told else 0 for _, told in known]},
        error_y=_error_bars(known, line) if few else None,
        customdata=[
            [p.round, strategy_title(p.strategy), _hover(p), p.spent, p.audited] for p in points
        ],
        hovertemplate="<b>%{customdata[2]}</b><br>%{x:,} labels, %{customdata[3]:,.6~g} spent<br>"
        "round %{customdata[0]} · %{customdata[1]}, %{customdata[4]:,} audit labels"
        "<extra></extra>",
        name="Audit accuracy",
    )
    figure = go.Figure([band, curve])
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title="Audit accuracy (%)", range=_y_range(low, high), ticksuffix=" ")
    span = [0, 2 * x[0] or 1] if len(x) == 1 else None
    figure.update_xaxes(title="Labels", range=span, tickformat=",d")
    return laid_out(figure, 340)


def replay_curves(result: Mapping[str, Any], dark: bool) -> Figure:
    """Draw the mean curve of each replayed strategy, its 95 % interval over seeds as a band."""
    import plotly.graph_objects as go

    figure = go.Figure()
    named = [name for name in result["planned"] if name != "random"]
    alpha = min(0.14, 0.6 / len(result["strategies"]))  # many bands would hide each other
    for row in result["strategies"]:
        name, curve = row["strategy"], row["curve"]
        ink = next_ink(named.index(name), dark) if name in named else GREYS[dark]
        x = [point[0] for point in curve]
        bounds = [point[2] or (point[1], point[1]) for point in curve]
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[100 * high for _, high in bounds] + [100 * low for low, _ in reversed(bounds)],
            mode="lines",
            fill="toself",
            fillcolor=f"rgba({', '.join(map(str, rgb(ink)))}, {alpha:.3f})",
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=name,
            showlegend=False,
        )
        figure.add_scatter(
            x=x,
            y=[100 * point[1] for point in curve],
            mode="lines+markers",
            name=strategy_title(name),
            legendgroup=name,
            line={"color": ink, "width": 2.5, "dash": "solid" if name in named else "dash"},
            marker={"size": 6},
            customdata=[[100 * low, 100 * high] for low, high in bounds],
            hovertemplate="<b>%{y:.1f} %</b> (%{customdata[0]:.1f}–%{customdata[1]:.1f})"
            "<br>%{x:,} labels",
        )
    figure.update_yaxes(title="Accuracy (%)", ticksuffix=" ")
    figure.update_xaxes(title="Labels", tickformat=",d")
    return laid_out(figure, 430)


def next_ink(number: int, dark: bool) -> str:
    """Return the colour of a curve: readable on the page, told apart by colour-blind people."""
    return LINES[dark][number] if number < len(LINES[dark]) else colour(number)


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str], dark: bool) -> Figure:
    """Draw a confusion matrix: rows are true classes, colour is the share of the row."""
    import plotly.graph_objects as go

    counts = np.asarray(matrix, dtype=float)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    labels = unique([literal(name) for name in names])
    few = len(labels) <= _MOST_NUMBERS
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=labels,
            y=labels,
            customdata=counts,
            zmin=0,
            zmax=1,
            colorscale=[[0, "#1b202d"], [1, "#8fa2ff"]]
            if dark
            else [[0, "#f4f6fd"], [1, "#2c3eb8"]],
            text=[[f"{n:,.0f}" if n else "" for n in row] for row in counts],
            texttemplate="%{text}" if few else None,
            hovertemplate="true <b>%{y}</b>, predicted <b>%{x}</b><br>"
            "%{customdata:.0f} items, %{z:.0%} of the class<extra></extra>",
            colorbar={"title": "share", "tickformat": ".0%", "thickness": 10, "len": 0.9},
            xgap=1,
            ygap=1,
        )
    )
    figure.update_yaxes(title="True", autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(title="Predicted", showgrid=False, type="category", tickangle=-40)
    return laid_out(figure, max(320, 150 + _ROW * len(labels)))


def balance(names: Sequence[str], splits: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the labels of each class as bars, parted by split."""
    import plotly.graph_objects as go

    labels = unique([literal(name) for name in names])
    figure = go.Figure(
        [
            go.Bar(
                y=labels,
                x=list(numbers),
                name=split,
                orientation="h",
                marker_color=SPLIT_COLOURS.get(split),
                hovertemplate=f"%{{y}}: %{{x:,}} in {split}<extra></extra>",
            )
            for split, numbers in splits.items()
        ]
    )
    figure.update_layout(barmode="stack", bargap=0.25, legend_traceorder="normal")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title="Labels", tickformat=",d")
    return laid_out(figure, max(240, 120 + _ROW * len(labels)))


def timings(seconds: Mapping[str, float]) -> Figure:
    """Draw how long each stage of a round took."""
    import plotly.graph_objects as go

    stages = list(seconds)
    figure = go.Figure(
        go.Bar(
            y=[STAGE_TITLES.get(stage, stage.capitalize()) for stage in stages],
            x=[seconds[stage] for stage in stages],
            orientation="h",
            marker_color=PALETTE[5],
            text=[f"{seconds[stage]:.1f} s" for stage in stages],
            textposition="auto",
            hovertemplate="%{y}: %{x:.2f} s<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title="Seconds")
    return laid_out(figure, max(200, 90 + 30 * len(stages)))


def laid_out(figure: Figure, height: int) -> Figure:
    """Give a figure its height, narrow margins, a legend below, and drags that scroll the page."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "y": -80 / height, "yanchor": "top", "x": 0},
        hoverlabel={"align": "left"},
        dragmode=False,
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _hover(point: CurvePoint) -> str:
    """Write the accuracy of a point, or its range."""
    return headline.short(Share(0, point.audited, point.accuracy, point.low, point.high))


def _error_bars(known: Sequence[tuple[CurvePoint, bool]], colour: str) -> dict[str, Any]:
    """Return bars for the interval, for when there is no band to draw, or no point in it."""
    middles = [p.accuracy if told else (p.low + p.high) / 2 for p, told in known]
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (p.high - y) for (p, _), y in zip(known, middles, strict=True)],
        "arrayminus": [100 * (y - p.low) for (p, _), y in zip(known, middles, strict=True)],
        "color": colour,
    }


def _y_range(low: Sequence[float], high: Sequence[float]) -> list[float]:
    """Return an axis that holds every interval with some air, within 0 to 100 %."""
    bottom, top = min(low), max(high)
    air = max(2.0, 0.08 * (top - bottom))
    return [max(0.0, bottom - air), min(100.5, top + air)]


def unique(names: Sequence[str]) -> list[str]:
    """Tell names apart that cutting made equal: an axis would put them in one row."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#rrggbb``, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
