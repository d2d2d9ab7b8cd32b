"""The synthesis page: make new training examples, check them, and see what each run brought."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller import jobs
from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import checking, synthesis
from labeller.services.synthesis import RunView
from labeller.ui import session, synthesis_check, synthesis_make, synthesis_runs
from labeller.ui.synthesis_live import live
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import JobRecord

_HERE = Path(__file__).parent
SECTIONS = {"make": "Make", "check": "Check", "runs": "Runs"}


def show(project: Project) -> None:
    """Draw the page."""
    st.html(_HERE / "synthesis.css")
    st.title("Synthesis")
    st.markdown(
        "New training examples made from labelled ones, where data is missing. Each costs budget, "
        "keeps its parent's label, and is only ever trained on."
    )
    runs = synthesis.runs(project)
    job = synthesis.job(project)
    if job is not None:
        _running(project, job, runs)
    _, unjudged = checking.waiting(project, limit=0)
    numbers = {"check": unjudged, "runs": sum(one.run.state != "deleted" for one in runs)}
    section = st.segmented_control(
        "Part of the page",
        list(SECTIONS),
        default="make",
        required=True,
        format_func=lambda name: (
            f"{SECTIONS[name]} {numbers[name]:,}" if numbers.get(name) else SECTIONS[name]
        ),
        key=f"synthesis_section_{project.id}",
        label_visibility="collapsed",
        persist_state="session",
    )
    if section == "check":
        synthesis_check.show(project, runs)
    elif section == "runs":
        synthesis_runs.show(project, runs)
    else:
        synthesis_make.show(project)


def _running(project: Project, job: JobRecord, runs: list[RunView]) -> None:
    """Show the run that is on: counts that the browser keeps fresh by itself, and Cancel."""
    run = next((one.run for one in runs if one.job is not None), None)
    with st.container(border=True, key="lb_synthesis_job"):
        head = st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        )
        title = "Making new items" if run is None else f"Run {run.id} is on"
        head.markdown(f"**{title}**", width="content")
        head.button(
            "Cancelling…" if job.cancel_requested else "Cancel",
            key=f"synthesis_cancel_{job.id}",
            icon=":material/stop_circle:",
            disabled=job.cancel_requested,
            help="What is made stays.",
            on_click=_cancel,
            args=(project, job.id),
        )
        live(project, session.annotator(), job)


def _cancel(project: Project, job_id: int) -> None:
    """Ask the job to stop; one that ended in the meantime needs nothing."""
    try:
        jobs.cancel(project, job_id)
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/info:")
