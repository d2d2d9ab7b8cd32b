"""The stream that is on: its counts, pause, go on and finish."""

from __future__ import annotations

import streamlit as st

from labeller import jobs
from labeller.project import Project
from labeller.services import streams
from labeller.services.streams import RunView
from labeller.services.streams_run import KIND
from labeller.ui import attempts, live, view
from labeller.ui.live import DOUBTFUL, GOOD, NEUTRAL, Count
from labeller.ui.stream_setup import PLACE

COUNTS = (
    Count("asked", "Asked", DOUBTFUL),
    Count("accepted", "Accepted", GOOD),
    Count("deferred", "Deferred", NEUTRAL),
)


def show(project: Project, now: RunView) -> None:
    """Draw the panel of the stream that is not finished."""
    with st.container(border=True, key="lb_stream_now"):
        st.markdown(f"**Run {now.run.id}** {heading(now)}")
        _counts(project, now)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _buttons(project, now)
            st.page_link("pages/label.py", label="Label what it asks", icon=":material/ads_click:")
        attempts.show_error(PLACE)
        if now.outdated:
            st.caption(
                f"A newer model is in use; this run keeps the one of round {now.model_round}. "
                "Finish it to start one with the new model."
            )


def _counts(project: Project, now: RunView) -> None:
    """Draw the run's counts: they outlive its jobs."""
    run = now.run
    detail = {count.name: getattr(run, count.name) for count in COUNTS}
    first = live.Told(
        state=now.job.state if now.job else run.state,
        stage=KIND,
        detail=detail | {"done": run.passed, "total": run.passed + now.unreached},
        cancel_requested=now.job is not None and now.job.cancel_requested,
    )
    job = now.job.id if now.job else None
    live.draw(project, f"stream_{run.id}", job, first, COUNTS, KIND, "images", note(now))


def heading(now: RunView) -> str:
    """Say what was set for a run, as Markdown."""
    cap = view.count(now.run.asked + now.left, "question")
    follow = ", follows new arrivals" if now.run.follow else ""
    return (
        f":gray[{view.strategy_title(now.run.strategy)}, model of round {now.model_round}, "
        f"error wanted {view.percent(now.plan.error)}, at most {cap}{follow}]"
    )


def note(now: RunView) -> str:
    """Say what a run waits for while nothing moves."""
    if now.job is not None:
        return "Waiting for a worker to take it." if now.job.state == "waiting" else ""
    if now.run.follow and not now.unreached:
        return "All images have passed. New ones join when they are imported."
    return f"Paused. {now.run.reason or ''} Go on takes it up at the image where it stopped."


def _buttons(project: Project, now: RunView) -> None:
    """Offer Pause while a job runs it, otherwise Go on; and Finish."""
    job = now.job
    if job is not None:
        st.button(
            "Pausing …" if job.cancel_requested else "Pause",
            key=f"stream_pause_{job.id}",
            icon=":material/pause:",
            disabled=job.cancel_requested,
            on_click=attempts.tried,
            args=(PLACE, lambda: jobs.cancel(project, job.id)),
        )
    else:
        st.button(
            "Go on",
            key=f"stream_go_on_{now.run.id}",
            type="primary",
            icon=":material/play_arrow:",
            on_click=attempts.tried,
            args=(PLACE, lambda: streams.go_on(project, now.run.id)),
        )
    with st.popover(
        "Finish",
        icon=":material/stop:",
        key=f"stream_finish_{now.run.id}",
        disabled=job is not None,
        help="Pause it first." if job is not None else None,
    ):
        st.markdown(
            "The stream ends for good. Its generated labels and questions stay; images that did "
            "not pass stay in the pool, for a new stream or a round."
        )
        st.button(
            "Finish the stream",
            key=f"stream_finish_now_{now.run.id}",
            type="primary",
            on_click=attempts.tried,
            args=(PLACE, lambda: streams.finish(project, now.run.id)),
        )
