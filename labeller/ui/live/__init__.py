"""Counts that a job moves: they ask the API themselves, so that the page stays still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from labeller import jobs, tokens
from labeller.errors import LabellerError
from labeller.project import Project
from labeller.ui import session
from labeller.ui.text import escape_markdown
from labeller.ui.titles import STAGE_TITLES
from store.errors import StoreError
from store.records import JobRecord

GOOD, DOUBTFUL, NEUTRAL, BAD = "#009e73", "#e69f00", "#7d8596", "#d1495b"
_HERE = Path(__file__).parent
_LIVE = st.components.v2.component(
    "labeller_live",
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


@dataclass(frozen=True, slots=True)
class Told:
    """How a job stands, as the API tells it.

    Without a `progress` the bar shows how far the counted stage is, not the whole job.
    """

    state: str
    stage: str
    detail: dict[str, Any]
    cancel_requested: bool = False
    progress: float | None = None


def pulse() -> str:
    """Return the script that asks for the whole page; it stands before those that listen."""
    return (_HERE / "pulse.js").read_text(encoding="utf-8")


def here() -> str:
    """Return the side bar's own script."""
    return pulse() + (_HERE / "here.js").read_text(encoding="utf-8")


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
        first = Told(job.state, job.stage, dict(job.detail), job.cancel_requested, job.progress)
        draw(
            project, f"{job.kind}_{job.id}", job.id, first, counts, stage, noun, "Waiting to start"
        )


def draw(
    project: Project,
    key: str,
    job: int | None,
    first: Told,
    counts: Sequence[Count],
    stage: str,
    noun: str,
    note: str,
) -> None:
    """Draw counts and a bar alone, also while no job moves them.

    Parameters
    ----------
    project : Project
    key : str
        Of what is counted.
    job : int or None
        The job to ask about.
    first : Told
        How it stands now.
    counts, stage, noun
        As for :func:`panel`.
    note : str
        What stands below the bar while no job runs.
    """
    _LIVE(
        key=f"live_{key}",
        data={
            "job": job,
            "first": asdict(first),
            "whole": first.progress is not None,
            "counts": [asdict(count) for count in counts],
            "stage": stage,
            "noun": noun,
            "note": note,
            "stages": STAGE_TITLES,
            "api": "api/v1/",
            "token": tokens.make(project, session.annotator(), "page", "read"),
        },
    )


def _cancel(project: Project, job_id: int) -> None:
    """Ask the job to stop; one that ended in the meantime needs nothing."""
    try:
        jobs.cancel(project, job_id)
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/info:")
