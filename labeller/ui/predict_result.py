"""What came of a prediction: numbers, plots, and below them the images."""

from __future__ import annotations

import streamlit as st

from labeller.project import Project
from labeller.services import energies
from labeller.services.prediction_index import Summary
from labeller.services.predictions import Kept
from labeller.ui import plots, predict_drift, predict_gallery, predict_plots, view

_UNFAMILIAR = (
    "Their energy is above that of 95 % of the images of the audit set, a random sample, however "
    "sure the model is of its class. Of images like those of the project, about 5 % lie above."
)
_NO_THRESHOLD = (
    f"This model cannot tell: it takes {energies.FEWEST} images of the audit set to say from which "
    f"energy on. Import more, then retrain."
)
_TALL = 8  # classes: more scroll


def show(project: Project, kept: Kept, summary: Summary) -> None:
    """Draw a finished prediction."""
    if not summary.predicted and not summary.failed:
        st.info("No image was found there.", icon=":material/image_not_supported:")
        return
    _numbers(summary)
    if summary.predicted:
        _plots(project, kept, summary)
        predict_drift.show(project, kept)
    predict_gallery.show(project, kept, summary)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("To label some of them, bring them into the project.", width="content")
        st.page_link("pages/images.py", label="Import images", icon=":material/photo_library:")


def _numbers(summary: Summary) -> None:
    known = summary.unfamiliar is not None
    first, second, third = st.columns(3)
    first.metric("Images predicted", f"{summary.predicted:,}", border=True, height="stretch")
    second.metric(
        "Look like nothing seen",
        share(summary.unfamiliar, summary.predicted),
        border=True,
        height="stretch",
        help=_UNFAMILIAR if known else _NO_THRESHOLD,
    )
    third.metric("Could not be read", f"{summary.failed:,}", border=True, height="stretch")


def share(part: int | None, whole: int) -> str:
    """Write how many of how many: the number and the share; a dash when it is unknown."""
    if part is None:
        return "–"
    return f"{part:,} ({view.percent(part / whole)})" if part and whole else f"{part:,}"


def _plots(project: Project, kept: Kept, summary: Summary) -> None:
    with project.store.read() as unit:
        colours = {one.name: one.colour for one in unit.classes.all()}
    dark = st.context.theme.type == "dark"
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Predicted classes**")
        many = len(summary.classes) > _TALL
        with st.container(height=330 if many else "content", border=False):
            st.plotly_chart(
                predict_plots.classes(summary, colours, dark),
                theme="streamlit",
                config=plots.CONFIG,
                key=f"predict_classes_{kept.plan.id}_{dark}",
                alt="How many images were predicted as each class",
            )
        if len(summary.classes) > predict_plots.MOST:
            st.caption(
                f"The {predict_plots.MOST} most frequent of "
                f"{view.count(len(summary.classes), 'class', 'classes')}."
            )
    with right:
        st.markdown("**Confidence**")
        st.plotly_chart(
            predict_plots.confidences(summary, dark),
            theme="streamlit",
            config=plots.CONFIG,
            key=f"predict_confidences_{kept.plan.id}_{dark}",
            alt="How many images were predicted with which confidence",
        )
        _doubtful(summary)


def _doubtful(summary: Summary) -> None:
    """Say of how many images the model is in doubt."""
    unsure = sum(summary.confidences[: len(summary.confidences) // 2])
    few = view.count(unsure, "image")
    st.caption(f"Confidence below 50 %: {few} ({view.percent(unsure / summary.predicted)}).")
