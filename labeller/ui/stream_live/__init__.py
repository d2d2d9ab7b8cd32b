"""The counts of a stream that runs: they ask the API themselves, so that the page stays still."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller import tokens
from labeller.project import Project
from labeller.services.streams import RunView

_HERE = Path(__file__).parent
_LIVE = st.components.v2.component(
    "labeller_stream_live",
    html=(_HERE / "live.html").read_text(encoding="utf-8"),
    css=(_HERE / "live.css").read_text(encoding="utf-8"),
    js=(_HERE / "live.js").read_text(encoding="utf-8"),
)


def counters(project: Project, annotator: str, shown: RunView, note: str) -> None:
    """Draw the counts and the bar of a run; while a job runs it they go on by themselves.

    Parameters
    ----------
    project : Project
        Whose run it is.
    annotator : str
        In whose name the browser asks the API.
    shown : RunView
        The run as it is now.
    note : str
        What stands below the bar while nothing moves.
    """
    _LIVE(
        key=f"stream_live_{shown.run.id}",
        data={
            "run": shown.run.id,
            "job": shown.job.id if shown.job else None,
            "asked": shown.run.asked,
            "accepted": shown.run.accepted,
            "deferred": shown.run.deferred,
            "left": shown.unreached,
            "note": note,
            "api": "api/v1/",
            "token": tokens.make(project, annotator, "page"),
        },
    )
