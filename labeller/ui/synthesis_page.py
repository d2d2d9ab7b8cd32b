"""The synthesis page: make new training examples, check them, and see what each run brought."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller.project import Project
from labeller.services import checking, synthesis
from labeller.services.synthesis import RunView
from labeller.services.synthesis_making import STAGE
from labeller.ui import address, live, synthesis_check, synthesis_make, synthesis_runs
from labeller.ui.live import BAD, GOOD, NEUTRAL, Count
from store.records import JobRecord

_HERE = Path(__file__).parent
SECTIONS = {"make": "Make", "check": "Check", "runs": "Runs"}
COUNTS = (
    Count("made", "Made", GOOD),
    Count("unchanged", "Unchanged, left out", NEUTRAL),
    Count("failed", "Failed", BAD),
)


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
    key = f"synthesis_section_{project.id}"
    address.choice("part", key, SECTIONS, "make")
    section = st.segmented_control(
        "Part of the page",
        list(SECTIONS),
        required=True,
        format_func=lambda name: (
            f"{SECTIONS[name]} {numbers[name]:,}" if numbers.get(name) else SECTIONS[name]
        ),
        key=key,
        label_visibility="collapsed",
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
    title = "Making new items" if run is None else f"Run {run.id} is on"
    live.panel(project, f"**{title}**", job, COUNTS, STAGE, "items", "What is made stays.")
