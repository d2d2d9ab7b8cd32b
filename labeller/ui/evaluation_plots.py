"""Plotly figures of the evaluation page. Plotly is imported when a figure is made: it is large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labeller.services import headline
from labeller.services.agreement import Agreement
from labeller.services.evaluation_calibration import Bin, Calibration
from labeller.services.evaluation_scores import share
from labeller.services.palette import PALETTE
from labeller.services.stopping import Curve, Forecast, Measured
from labeller.ui.plots import GREYS, LINES, laid_out, literal, rgb, unique
from labeller.ui.view import count

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_CLASSES = 40  # more rows than this cannot be read, nor their cells hit
_FEW = 20
_ROW = 26


def shown_classes(table: NDArray[np.int64], most: int = MOST_CLASSES) -> NDArray[np.int64]:
    """Return the columns to draw: all, or those with most mistakes, in their order."""
    if len(table) <= most:
        return np.arange(len(table))
    wrong = table.sum(axis=0) + table.sum(axis=1) - 2 * np.diag(table)
    return np.sort(np.argsort(-wrong, kind="stable")[:most])


def confusion(
    table: NDArray[np.int64], class_ids: Sequence[int], names: Sequence[str], dark: bool
) -> Figure:
    """Draw a confusion matrix whose cells can be clicked.

    A heat map takes no clicks in Streamlit, so an invisible marker lies on every cell; its
    `customdata` begins with the ids of the true and the predicted class.
    """
    import plotly.graph_objects as go

    rows = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, rows, out=np.zeros(table.shape), where=rows > 0)
    labels = unique([literal(name) for name in names])
    scale = [[0, "#1b202d"], [1, "#4b5fd8"]] if dark else [[0, "#f4f6fd"], [1, "#2c3eb8"]]
    heat = go.Heatmap(
        z=shares,
        x=labels,
        y=labels,
        zmin=0,
        zmax=1,
        colorscale=scale,
        text=[[f"{n:,}" if n else "" for n in row] for row in table.tolist()],
        texttemplate="%{text}" if len(labels) <= _FEW else None,
        textfont={"color": "#ffffff"} if dark else None,
        hoverinfo="skip",
        colorbar={"title": "share", "tickformat": ".0%", "thickness": 10, "len": 0.9},
        xgap=1,
        ygap=1,
    )
    cells = _cells(table, shares, class_ids, labels)
    figure = laid_out(go.Figure([heat, cells]), max(340, 150 + _ROW * len(labels)))
    figure.update_layout(hovermode="closest", hoverdistance=-1, showlegend=False)
    figure.update_yaxes(title="Labelled", autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(title="Predicted", showgrid=False, type="category", tickangle=-40)
    return figure


def _cells(
    table: NDArray[np.int64], shares: NDArray[Any], class_ids: Sequence[int], labels: Sequence[str]
) -> Any:
    """Return the markers that take the clicks: unseen, but for the one that was clicked."""
    import plotly.graph_objects as go

    places = [(r, c) for r in range(len(labels)) for c in range(len(labels))]
    cells = go.Scatter(
        x=[labels[c] for _, c in places],
        y=[labels[r] for r, _ in places],
        mode="markers",
        marker={"symbol": "square-open", "size": 20, "opacity": 0, "color": PALETTE[1]},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 0}},
        customdata=[
            [class_ids[r], class_ids[c], count(int(table[r, c]), "image"), float(shares[r, c])]
            for r, c in places
        ],
        hovertemplate="labelled <b>%{y}</b>, predicted <b>%{x}</b><br>"
        "%{customdata[2]}, %{customdata[3]:.0%} of the class<extra></extra>",
    )
    cells.marker.line.width = 3
    return cells


def curve(
    points: Sequence[Measured],
    fitted: Curve | None,
    expected: Forecast | None,
    ceiling: Agreement | None,
    dark: bool,
) -> Figure:
    """Draw the measured models, the fitted learning curve with its band, and the ceiling."""
    import plotly.graph_objects as go

    ink, other = LINES[dark][0], LINES[dark][1]
    figure = go.Figure()
    labels = [point.labels for point in points]
    end = max([*labels, (expected.labels + expected.more) if expected else 0])
    if fitted is not None:
        # A little further than asked, so that the forecast does not lie on the frame.
        at = np.linspace(min(labels), end * 1.08, 80)
        _band(figure, at, fitted, ink)
    _points(figure, points, ink)
    if expected is not None and fitted is not None:
        _ahead(figure, fitted, expected, other)
    if ceiling is not None:
        figure.add_hrect(
            y0=100 * ceiling.low,
            y1=100 * ceiling.high,
            fillcolor=GREYS[dark],
            opacity=0.08,
            line_width=0,
            layer="below",
        )
        figure.add_hline(
            y=100 * ceiling.share,
            line={"color": GREYS[dark], "dash": "dash", "width": 1.5},
            annotation={"text": "annotators agree", "font": {"color": GREYS[dark]}},
            annotation_position="bottom left",
        )
    figure.update_yaxes(title="Audit accuracy (%)", ticksuffix=" ")
    alone = len(set(labels)) == 1 and expected is None  # plotly would show half labels around it
    span = [0, 2 * labels[0]] if alone else None
    figure.update_xaxes(title="Labels", tickformat=",d", range=span)
    return laid_out(figure, 360)


def _band(figure: Figure, at: NDArray[Any], fitted: Curve, ink: str) -> None:
    """Draw the fitted curve and its 95 % band."""
    mean, low, high = fitted.at(at)
    figure.add_scatter(
        x=[*at, *at[::-1]],
        y=[*(100 * high), *(100 * low[::-1])],
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({', '.join(map(str, rgb(ink)))}, 0.16)",
        line={"width": 0},
        hoverinfo="skip",
        name="95 % band",
    )
    figure.add_scatter(
        x=at,
        y=100 * mean,
        mode="lines",
        name="fitted curve",
        line={"color": ink, "width": 2},
        hovertemplate="%{y:.1f} % expected<br>%{x:,.0f} labels<extra></extra>",
    )


def _points(figure: Figure, points: Sequence[Measured], ink: str) -> None:
    """Draw what was measured, with Wilson's 95 % intervals; of few labels these alone."""
    found = [share(round(point.accuracy * point.n), point.n) for point in points]
    told = [one.n >= headline.LEAST for one in found]
    heights = [
        point.accuracy if known else (one.low + one.high) / 2
        for point, one, known in zip(points, found, told, strict=True)
    ]
    figure.add_scatter(
        x=[point.labels for point in points],
        y=[100 * height for height in heights],
        mode="markers",
        name="measured",
        marker={"size": [9 if known else 0 for known in told], "color": ink},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (one.high - y) for one, y in zip(found, heights, strict=True)],
            "arrayminus": [100 * (y - one.low) for one, y in zip(found, heights, strict=True)],
            "color": ink,
            "thickness": 1.2,
        },
        customdata=[[headline.short(one), one.n] for one in found],
        hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]:,} audit labels"
        "<br>%{x:,} labels<extra></extra>",
    )


def _ahead(figure: Figure, fitted: Curve, expected: Forecast, ink: str) -> None:
    """Mark where the next labels would lead."""
    target = expected.labels + expected.more
    mean, low, high = (100 * float(v[0]) for v in fitted.at(np.array([target], np.float64)))
    figure.add_scatter(
        x=[target],
        y=[mean],
        mode="markers",
        name=f"after {expected.more:,} more",
        marker={"size": 11, "symbol": "diamond", "color": ink},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - mean],
            "arrayminus": [mean - low],
            "color": ink,
        },
        hovertemplate=f"<b>%{{y:.1f}} %</b> ({low:.1f}–{high:.1f}) expected"
        f"<br>%{{x:,}} labels<extra></extra>",
    )


def reliability(found: Calibration, dark: bool) -> Figure:
    """Draw accuracy against confidence, before and after temperature scaling."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="as it should be",
        line={"color": GREYS[dark], "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )
    series = (("before", found.before, LINES[dark][1]), ("after", found.after, LINES[dark][0]))
    for name, bins, ink in series:
        figure.add_trace(_bins(f"{name} temperature", bins, ink))
    figure.update_xaxes(title="Confidence (%)", range=[-1, 104])
    figure.update_yaxes(title="Accuracy (%)", range=[-4, 106], ticksuffix=" ", zeroline=False)
    return laid_out(figure, 400)


def _bins(name: str, bins: Sequence[Bin], ink: str) -> Any:
    """Return the points of a reliability plot, larger where more items are."""
    import plotly.graph_objects as go

    most = max((one.n for one in bins), default=1)
    return go.Scatter(
        x=[100 * one.confidence for one in bins],
        y=[100 * one.accuracy for one in bins],
        mode="lines+markers",
        name=name,
        line={"color": ink, "width": 2},
        marker={"size": [6 + 12 * (one.n / most) ** 0.5 for one in bins], "color": ink},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (one.high - one.accuracy) for one in bins],
            "arrayminus": [100 * (one.accuracy - one.low) for one in bins],
            "color": ink,
            "thickness": 1,
        },
        customdata=[[one.n, 100 * one.low, 100 * one.high] for one in bins],
        hovertemplate=f"{name}<br>%{{y:.1f}} % right (%{{customdata[1]:.0f}}–"
        f"%{{customdata[2]:.0f}}) at %{{x:.1f}} % confidence<br>%{{customdata[0]:,}} images"
        f"<extra></extra>",
    )
