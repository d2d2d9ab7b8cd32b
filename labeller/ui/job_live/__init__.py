"""The counts of a job that is on: they ask the API themselves, so that the page stays still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from labeller import jobs, tokens
from labeller.errors import LabellerError
from labeller.project import Project
from labeller.ui import session
from labeller.ui.text import escape_markdown
from labeller.ui.titles import STAGE_TITLES
from store.errors import StoreError
from store.records import JobRecord

GOOD, NEUTRAL, BAD = "#009e73", "#7d8596", "#d1495b"
_HERE = Path(__file__).parent
_LIVE = st.components.v2.component(
    "labeller_job_live",
    html=(_HERE / "live.html").read_text(encoding="utf-8"),
    css=(_HERE / "live.css").read_text(encoding="utf-8"),
    js=(_HERE / "live.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True)
class Count:
    """A number in the job's details: its `name` there, and its title and colour on the page."""

    name: str
    title: str
    ink: str


def panel(
    project: Project,
    title: str,
    job: JobRecord,
    counts: Sequence[Count],
    stage: str,
    noun: str,
    cancel_help: str,
) -> None:
    """Draw what is on: title, Cancel, and counts and a bar that go on by themselves.

    Parameters
    ----------
    project : Project
    title : str
        Markdown.
    job : JobRecord
        As it is now.
    counts : sequence of Count
        The numbers to show; what is still to come of the stage stands behind them.
    stage : str
        The one in which the numbers move; of others the title is shown.
    noun : str
        What is counted, in the plural.
    cancel_help : str
        What becomes of what is done.
    """
    with st.container(border=True, key=f"lb_{job.kind}_job"):
        head = st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        )
        head.markdown(title, width="content")
        head.button(
            "Cancelling…" if job.cancel_requested else "Cancel",
            key=f"{job.kind}_cancel_{job.id}",
            icon=":material/stop_circle:",
            disabled=job.cancel_requested,
            help=cancel_help,
            on_click=_cancel,
            args=(project, job.id),
        )
        _LIVE(
            key=f"live_{job.kind}_{job.id}",
            data={
                "job": job.id,
                "first": {
                    "state": job.state,
                    "stage": job.stage,
                    "progress": job.progress,
                    "detail": dict(job.detail),
                },
                "counts": [asdict(count) for count in counts],
                "stage": stage,
                "noun": noun,
                "stages": STAGE_TITLES,
                "api": "api/v1/",
                "token": tokens.make(project, session.annotator(), "page"),
            },
        )


def _cancel(project: Project, job_id: int) -> None:
    """Ask the job to stop; one that ended in the meantime needs nothing."""
    try:
        jobs.cancel(project, job_id)
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/info:")
