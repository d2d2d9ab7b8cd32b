"""Plotly figures of a prediction: how many of each class, and how sure the model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labeller.services.prediction_index import BINS, Summary
from labeller.ui.plots import GREYS, LINES, laid_out, literal, unique

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST = 25  # classes in one figure
_ROW = 26
_EACH = 6  # up to so many images every number has its tick


def classes(summary: Summary, colours: Mapping[str, str], dark: bool) -> Figure:
    """Draw how many images each class has, the most frequent first, 25 classes at most.

    Parameters
    ----------
    summary : Summary
    colours : mapping of str to str
        Of the project's classes, by name.
    dark : bool
        Whether the page is.
    """
    import plotly.graph_objects as go

    counted = zip(summary.classes, summary.counts, strict=True)
    top = sorted(counted, key=lambda one: -one[1])[:MOST]
    figure = go.Figure(
        go.Bar(
            y=unique([literal(name) for name, _ in top]),
            x=[count for _, count in top],
            orientation="h",
            marker_color=[colours.get(name, GREYS[dark]) for name, _ in top],
            text=[f"{count:,}" for _, count in top],
            textposition="auto",
            hovertemplate="%{y}: <b>%{x:,}</b><extra></extra>",
        )
    )
    figure.update_layout(bargap=0.25)
    figure.update_yaxes(title="Class", autorange="reversed", type="category")
    figure.update_xaxes(title="Images", **_whole([count for _, count in top]))
    return laid_out(figure, max(260, 100 + _ROW * len(top)))


def confidences(summary: Summary, dark: bool) -> Figure:
    """Draw how many images have which confidence."""
    import plotly.graph_objects as go

    width = 100 / BINS
    figure = go.Figure(
        go.Bar(
            x=[(place + 0.5) * width for place in range(BINS)],
            y=list(summary.confidences),
            width=width,
            marker={"color": LINES[dark][0], "line": {"width": 0}},
            customdata=[[place * width, (place + 1) * width] for place in range(BINS)],
            hovertemplate="%{customdata[0]:.0f} to %{customdata[1]:.0f} %: <b>%{y:,}</b>"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(title="Confidence (%)", range=[0, 100], dtick=20)
    figure.update_yaxes(title="Images", **_whole(summary.confidences))
    return laid_out(figure, 260)


def _whole(counts: Sequence[int]) -> dict[str, Any]:
    """Return an axis of counts: from 0 up, and no half images between its ticks."""
    most = max(counts, default=0)
    few = {"dtick": 1} if most <= _EACH else {}
    return {"tickformat": ",d", "range": [0, 1.08 * max(most, 1)], **few}
