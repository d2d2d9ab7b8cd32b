"""The counts of a run that is on: they ask the API themselves, so that the page stays still."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller import tokens
from labeller.project import Project
from labeller.services.synthesis_making import STAGE
from labeller.ui.titles import STAGE_TITLES
from store.records import JobRecord

_HERE = Path(__file__).parent
_LIVE = st.components.v2.component(
    "labeller_synthesis_live",
    html=(_HERE / "live.html").read_text(encoding="utf-8"),
    css=(_HERE / "live.css").read_text(encoding="utf-8"),
    js=(_HERE / "live.js").read_text(encoding="utf-8"),
)


def live(project: Project, annotator: str, job: JobRecord) -> None:
    """Draw the counts and the bar of a job; they go on by themselves.

    Parameters
    ----------
    project : Project
    annotator : str
        In whose name the browser asks the API.
    job : JobRecord
        Of kind ``synthesis``, as it is now.
    """
    _LIVE(
        key=f"synthesis_live_{job.id}",
        data={
            "job": job.id,
            "first": {
                "state": job.state,
                "stage": job.stage,
                "progress": job.progress,
                "detail": dict(job.detail),
            },
            "making": STAGE,
            "stages": STAGE_TITLES,
            "api": "api/v1/",
            "token": tokens.make(project, annotator, "page"),
        },
    )
