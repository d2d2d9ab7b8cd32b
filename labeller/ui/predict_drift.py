"""The panel below a prediction that compares it with the audit set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import doubtful, drift
from labeller.services.drift import Drift, Sides
from labeller.services.predictions import Kept
from labeller.ui import attempts, plots, session, view
from labeller.ui.plots import GREYS, LINES, laid_out, literal, unique
from labeller.ui.text import escape_markdown

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_PAGE = "predict_drift"
_BINS = 20
_MOST = 12  # classes in the figure: those that differ most
_USUAL = 50  # images to queue
_VERDICTS = {
    "unknown": ("Too few images to compare", "gray", "help"),
    "none": ("No drift found", "green", "check_circle"),
    "small": ("A small shift: watch it", "orange", "info"),
    "drift": ("Drift: the audit accuracy may not hold here", "red", "warning"),
}
_HELP = (
    "The audit set is a random sample of the images the model was made for. Confidences and "
    "energies are compared by the test of Kolmogorov and Smirnov, classes by a chi-square test; "
    "together they are wrong once in 20 times when nothing has changed. A distance of 0.1 means "
    "that a tenth of the images would have to change."
)


def show(project: Project, kept: Kept) -> None:
    """Draw the comparison, its plots, and the way to label what is doubtful."""
    with st.container(border=True, key="lb_drift"):
        st.markdown("**Compared with the audit set**", help=_HELP)
        try:
            found, sides = drift.compare_prediction(project, kept.number)
        except LabellerError as error:
            st.caption(escape_markdown(str(error)))
            return
        text, colour, icon = _VERDICTS[found.verdict]
        st.markdown(f":{colour}[:material/{icon}: **{text}**]")
        for reason in found.reasons:
            st.markdown(escape_markdown(reason))
        if found.verdict != "unknown":
            _draw_plots(found, sides, kept)
        _queue_form(project, kept)


def _draw_plots(found: Drift, sides: Sides, kept: Kept) -> None:
    dark = st.context.theme.type == "dark"
    figures = {
        "Confidence": spread_figure(
            100 * sides.audit.confidences, 100 * sides.later.confidences, "Confidence (%)", dark
        ),
        "Classes": shares_figure(found, dark),
    }
    if found.energy is not None:
        figures["Energy"] = spread_figure(
            sides.audit.energies, sides.later.energies, "Energy", dark, sides.threshold
        )
    for column, (name, figure) in zip(
        st.columns(len(figures), gap="medium"), figures.items(), strict=True
    ):
        with column:
            st.markdown(f"**{name}**")
            st.plotly_chart(
                figure,
                theme="streamlit",
                config=plots.CONFIG,
                key=f"drift_{name}_{kept.plan.id}_{dark}",
                alt=f"{name} of the audit set and of these images",
            )


def spread_figure(
    audit: drift.Floats,
    later: drift.Floats,
    title: str,
    dark: bool,
    threshold: float | None = None,
) -> Figure:
    """Draw how one number is spread in the audit set (line) and among later images (bars)."""
    import plotly.graph_objects as go

    both = np.concatenate([audit, later])
    edges = np.histogram_bin_edges(both, _BINS, (0, 100) if title.endswith("(%)") else None)
    middles, width = (edges[:-1] + edges[1:]) / 2, float(edges[1] - edges[0])
    shares = [100 * np.histogram(side, edges)[0] / max(1, len(side)) for side in (audit, later)]
    figure = go.Figure()
    figure.add_bar(
        x=middles,
        y=shares[1],
        width=width,
        name="These images",
        marker={"color": LINES[dark][0], "line": {"width": 0}},
        hovertemplate="%{x:.3~g}: <b>%{y:.1f} %</b> of these images<extra></extra>",
    )
    figure.add_scatter(
        x=middles,
        y=shares[0],
        name="Audit set",
        mode="lines",
        line={"color": LINES[dark][1], "width": 2.5, "shape": "hvh"},
        hovertemplate="%{x:.3~g}: <b>%{y:.1f} %</b> of the audit set<extra></extra>",
    )
    if threshold is not None:
        figure.add_vline(x=threshold, line={"color": GREYS[dark], "dash": "dash"})
    return _finished(figure, title)


def shares_figure(found: Drift, dark: bool) -> Figure:
    """Draw the share of each class on both sides, those that differ most first."""
    import plotly.graph_objects as go

    apart = sorted(found.shares.items(), key=lambda one: -abs(one[1][0] - one[1][1]))[:_MOST]
    names = unique([literal(name) for name, _ in apart])
    figure = go.Figure()
    for place, title, ink in ((1, "These images", 0), (0, "Audit set", 1)):
        figure.add_bar(
            y=names,
            x=[100 * shares[place] for _, shares in apart],
            orientation="h",
            name=title,
            marker_color=LINES[dark][ink],
            hovertemplate=f"%{{y}}: <b>%{{x:.1f}} %</b> · {title}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.3)
    figure.update_yaxes(autorange="reversed", type="category")
    return _finished(figure, "Share (%)", bars=True)


def _finished(figure: Figure, title: str, bars: bool = False) -> Figure:
    figure.update_xaxes(title=title)
    if not bars:
        figure.update_yaxes(title="Share of images (%)", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return laid_out(figure, 300)


def _queue_form(project: Project, kept: Kept) -> None:
    """Offer to label the images that the model is least sure of."""
    attempts.show_error(_PAGE)
    predicted = 0 if kept.summary is None else kept.summary.predicted
    most = min(predicted, doubtful.MOST)
    if not most:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        count = st.number_input(
            "Least sure images",
            1,
            most,
            min(_USUAL, most),
            key=f"drift_count_{kept.plan.id}",
            width=160,
        )
        st.button(
            "Import them into the queue",
            icon=":material/playlist_add:",
            key=f"drift_queue_{kept.plan.id}",
            help="They become items for training and come first in the queue. A model chose them, "
            "so none of them joins the audit set.",
            on_click=_queue,
            args=(project, kept.number, int(count)),
        )


def _queue(project: Project, number: int, count: int) -> None:
    with attempts.attempt(_PAGE), st.spinner(f"Importing {view.count(count, 'image')}"):
        images = doubtful.queue_doubtful(project, number, count)
        session.toast_later(images.text, ":material/playlist_add_check:")
