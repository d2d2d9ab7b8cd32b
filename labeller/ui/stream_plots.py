"""Plotly figures of the stream page. Plotly is imported when a figure is made: it is large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from labeller.services.palette import PALETTE
from labeller.services.streams import AuditReport, DryRun, Outlook
from labeller.ui.plots import GREYS, LINES, laid_out, literal, rgb, unique

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ASKED, ACCEPTED = PALETTE[1], PALETTE[2]
DEFERRED = "#8b93a5"
INK = {False: "#171b26", True: "#e8ebf4"}
_ROW = 34


def outlook(found: Outlook, error: float, dark: bool) -> Figure:
    """Draw expected questions and errors against the threshold, with the operating point.

    Parameters
    ----------
    found : Outlook
        With a forecast.
    error : float
        The error wanted among the generated labels.
    dark : bool
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    blue, orange = LINES[dark][0], LINES[dark][1]
    rates = 100 * found.error_rates
    for row, values, ink, unit in (
        (1, found.questions, blue, "%{y:,} questions"),
        (2, rates, orange, "%{y:.1f} % wrong"),
    ):
        figure.add_scatter(
            x=found.thresholds,
            y=values,
            mode="lines",
            line={"color": ink, "width": 2.5},
            hovertemplate=f"threshold %{{x:.2f}}: <b>{unit}</b><extra></extra>",
            row=row,
            col=1,
        )
    _limits(figure, found, error, dark)
    figure.update_layout(showlegend=False, hovermode="x")
    figure.update_yaxes(title="Questions", tickformat=",d", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="Wrong (%)", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(range=_span(found))
    figure.update_xaxes(title="Threshold: less sure images are asked about", row=2, col=1)
    return laid_out(figure, 420)


def _limits(figure: Figure, found: Outlook, error: float, dark: bool) -> None:
    """Mark what the budget and the person allow, and where that is on the curves."""
    dashed = {"color": GREYS[dark], "width": 1.5, "dash": "dash"}
    figure.add_hline(
        y=found.labels_left,
        line=dashed,
        row=1,
        col=1,
        annotation_text=f"at most {found.labels_left:,} questions",
        annotation_position="top left",
    )
    figure.add_hline(
        y=100 * error,
        line=dashed,
        row=2,
        col=1,
        annotation_text=f"wanted: {100 * error:g} %",
        annotation_position="top left",
    )
    point = found.operating
    if point is None:
        return
    figure.add_vline(x=point.threshold, line={"color": GREYS[dark], "width": 1, "dash": "dot"})
    for row, value in ((1, point.questions), (2, 100 * point.error_rate)):
        figure.add_scatter(
            x=[point.threshold],
            y=[value],
            mode="markers",
            marker={"size": 12, "color": INK[dark], "symbol": "diamond"},
            hoverinfo="skip",
            row=row,
            col=1,
        )


def _span(found: Outlook) -> list[float]:
    """Return the thresholds worth drawing: from just below the least sure item."""
    some = np.flatnonzero(found.questions)
    first = max(0, int(some[0]) - 2) if len(some) else 0
    return [float(found.thresholds[first]), 1.005]


def dry_run(tried: DryRun, dark: bool) -> Figure:
    """Draw what becomes of the items as they pass: asked, accepted and deferred, stacked."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, values, ink in (
        ("Accepted", tried.accepted_curve, ACCEPTED),
        ("Asked", tried.asked_curve, ASKED),
        ("Deferred", tried.deferred_curve, DEFERRED),
    ):
        figure.add_scatter(
            x=tried.positions,
            y=values,
            name=name,
            mode="lines",
            stackgroup="one",
            line={"color": ink, "width": 1.5},
            fillcolor=f"rgba({', '.join(map(str, rgb(ink)))}, {0.55 if dark else 0.5})",
            hovertemplate="%{y:,}",
        )
    if tried.unreached:
        figure.add_vline(
            x=int(tried.positions[-1]),
            line={"color": INK[dark], "width": 1.5, "dash": "dash"},
            annotation_text="labels spent",
            annotation_position="top left",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(title="Images", tickformat=",d", range=[0, 1.12 * max(1, tried.seen)])
    figure.update_xaxes(
        title="Images that have passed", tickformat=",d", range=[0, max(1, tried.seen)]
    )
    return laid_out(figure, 330)


def bounds(report: AuditReport, dark: bool) -> Figure:
    """Draw each class's error rate as it was found, and up to where it may be."""
    import plotly.graph_objects as go

    rows = [report.total, *report.rows]
    names = unique(["All classes", *(literal(row.name) for row in report.rows)])
    ink = LINES[dark][1]
    faint = f"rgba({', '.join(map(str, rgb(ink)))}, 0.35)"
    figure = go.Figure()
    figure.add_bar(
        y=names,
        x=[100 * row.upper if row.audited else 0.0 for row in rows],
        orientation="h",
        marker={"color": faint},
        text=[_bound(row.upper) if row.audited else "not checked" for row in rows],
        textposition="outside",
        textfont={"color": INK[dark]},
        hoverinfo="skip",
        name="at most (95 %)",
    )
    checked = [(name, row) for name, row in zip(names, rows, strict=True) if row.audited]
    figure.add_scatter(
        y=[name for name, _ in checked],
        x=[100 * row.rate for _, row in checked],
        mode="markers",
        marker={"size": 10, "color": ink, "symbol": "line-ns", "line": {"width": 3, "color": ink}},
        customdata=[[row.wrong, row.audited] for _, row in checked],
        hovertemplate="%{y}: <b>%{x:.1f} %</b> wrong, %{customdata[0]:,} of "
        "%{customdata[1]:,} checked<extra></extra>",
        name="found",
    )
    figure.update_layout(bargap=0.35, legend_traceorder="reversed")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title="Wrong generated labels (%)", range=[0, 100 * _longest(rows)])
    return laid_out(figure, max(200, 130 + _ROW * len(rows)))


def _bound(upper: float) -> str:
    return f"≤ {100 * upper:.1f} %"


def _longest(rows: list[Any]) -> float:
    """Return the axis' end: the largest bound that is known, with room for what stands there."""
    known = [row.upper for row in rows if row.audited]
    return 1.2 * max(known) if known else 1.0
