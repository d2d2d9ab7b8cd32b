"""The stream page: a new stream or the one that is on, and all streams with their audits."""

from __future__ import annotations

import streamlit as st

from labeller.project import Project
from labeller.services import streams
from labeller.services.streams import Outlook, RunView, StreamPlan
from labeller.ui import propagation, stream_expected, stream_now, stream_runs, stream_setup
from labeller.ui.text import escape_markdown


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Stream")
    if propagation.chosen():
        propagation.show(project)
        return
    st.markdown(
        "Unlabelled images pass one by one. Where the model is sure enough it labels them itself; "
        "about others you are asked; the rest stays in the pool. What it labelled stays marked, "
        "is checked by a random sample, and can be rolled back in one step."
    )
    runs = streams.runs(project)
    now = on(project, runs)
    earlier = [one for one in runs if one.job is None]
    if now is not None:
        stream_now.show(project, now)
    elif not earlier:
        _new(project)
    else:
        # What came of the last stream is looked at more often than another is begun.
        box = st.expander(
            "New stream", icon=":material/add:", key=f"stream_new_{len(runs)}", on_change="rerun"
        )
        if box.open:
            with box:
                _new(project)
    if earlier:
        stream_runs.show(project, earlier)


def on(project: Project, runs: list[RunView]) -> RunView | None:
    """Return the run that is not finished, None when there is none."""
    found = streams.current(project)
    return next((one for one in runs if found is not None and one.run.id == found.id), None)


def _new(project: Project) -> None:
    """Offer a new stream, or say what is missing for one."""
    first = stream_expected.outlook(project, StreamPlan())
    if first.why_not is not None and (first.model_id is None or first.labels_left < 1):
        _empty(first)
    else:
        stream_setup.show(project, first)


def _empty(found: Outlook) -> None:
    """Say why there can be no stream, and where to get what is missing."""
    with st.container(border=True):
        st.markdown(f"**No stream can start yet.** {escape_markdown(found.why_not or '')}")
        with st.container(horizontal=True):
            st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")
            if found.model_id is not None:
                st.page_link("pages/settings.py", label="Raise the budget", icon=":material/tune:")
        if found.model_id is None:
            st.caption("A round is started by **Retrain round** in the side bar.")
