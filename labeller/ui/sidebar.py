"""The side bar of every page: project, budget, model, rounds and the job that runs."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from labeller import jobs, tokens
from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import recent, rounds
from labeller.ui import facts, live, pieces, session, view
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import JobRecord
from strategies import registry
from strategies.base import Needs

BUSY_SECONDS = 1.0
IDLE_SECONDS = 4.0
WITHOUT_MODEL = Needs.EMBEDDINGS | Needs.LABELLED  # what a round has before the first model
_WATCHED = "sidebar_watched"
_ERROR = "sidebar_error"
_HERE = st.components.v2.component("labeller_here", js=live.here())


def show(project: Project, toasts: bool = True) -> None:
    """Draw the side bar; while a job runs, only its panel is drawn again every second.

    Without `toasts` the page tells what there is to tell by itself.
    """
    with st.sidebar:
        _switch(project)
        _annotator(project)
        active = _watch(project)
        every = BUSY_SECONDS if active else IDLE_SECONDS
        st.fragment(_panel, run_every=every)(str(project.root))
    if toasts:
        session.show_toasts()


def show_read_only(project: Project) -> None:
    """Draw what a project that can only be read has, and the way to others."""
    with st.sidebar:
        _switch(project)
        now = facts.gather(project)
        st.html(pieces.meter_html(view.meter(now.budget, project.settings.label_price)))
        lines = view.model_lines(
            now.model, now.measured, now.model_round, now.behind, now.counts.labelled
        )
        st.html(pieces.model_html(lines))


def _watch(project: Project) -> set[int]:
    """Note which jobs are active and say of those that no longer are how they ended."""
    jobs.reap(project)
    before: dict[str, set[int]] = st.session_state.setdefault(_WATCHED, {})
    with project.store.read() as unit:
        active = {job.id for job in unit.jobs.active()}
        ended = [unit.jobs.get(job_id) for job_id in before.get(project.id, set()) - active]
    for job in ended:
        _announce(job)
    before[project.id] = active
    return active


def _switch(project: Project) -> None:
    """Show the project's name; behind it, the way to other projects."""
    with st.popover(
        escape_markdown(project.name), icon=":material/folder_open:", width="stretch", wrap=False
    ):
        st.caption(escape_markdown(str(project.root)))
        others = [r for r in recent.recent() if r.exists and r.path != project.root][:6]
        for other in others:
            if st.button(
                escape_markdown(other.name),
                key=f"switch_{other.id}_{other.path}",
                help=escape_markdown(str(other.path)),
                width="stretch",
                type="tertiary",
            ):
                _open(other.path)
        if st.button("All projects", icon=":material/apps:", key="switch_all", width="stretch"):
            session.close()
            st.rerun()


def _open(path: Path) -> None:
    """Open another project and draw everything anew."""
    try:
        session.open(path)
    except LabellerError as error:
        st.error(escape_markdown(str(error)))
        return
    st.rerun()


def _panel(root: str) -> None:
    """Draw what changes by itself; runs alone, every second or every few."""
    project = recent.opened(root)
    watched = st.session_state.get(_WATCHED, {}).get(project.id, set())
    try:
        if watched:
            jobs.reap(project)
        now = facts.gather(project)
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)))
        return
    if {job.id for job in now.active} != watched:
        # A job began or ended: the whole page is drawn once more, with the rate that fits.
        st.rerun(scope="app")
    session.note_counts(project, now.counts.items, now.counts.labelled)
    with st.container(key="lb_panel"):
        with st.container(key="lb_budget"):  # the browser brings it up to date by itself
            st.html(pieces.meter_html(view.meter(now.budget, project.settings.label_price)))
        lines = view.model_lines(
            now.model, now.measured, now.model_round, now.behind, now.counts.labelled
        )
        st.html(pieces.model_html(lines))
        st.html(pieces.queue_html(view.queue_lines(now.queue, now.queue_by, now.queue_round)))
        with st.container(key="lb_round"):
            _round(project, now)
        for job in now.failed:
            _failure(project, job)


def _announce(job: JobRecord) -> None:
    """Keep a toast about how a job ended for the next run of the page."""
    if job.state == "done":
        session.toast_later(escape_markdown(view.finished_line(job)), view.finished_icon(job))
    elif job.state == "cancelled":
        title = view.KIND_TITLES.get(job.kind, job.kind)
        session.toast_later(f"{escape_markdown(title)} was cancelled.", ":material/cancel:")
    elif job.state == "failed":
        title = view.KIND_TITLES.get(job.kind, job.kind)
        session.toast_later(f"{escape_markdown(title)} failed.", ":material/error:")


def _round(project: Project, now: facts.Facts) -> None:
    """Offer the next round; below it, what runs. The offer stays, so that nothing jumps."""
    _offer(project, now)
    for job in now.active:
        _running(project, job)


def _running(project: Project, job: JobRecord) -> None:
    """Show a running job and its Cancel."""
    st.html(pieces.job_html(view.job_lines(job)))
    st.button(
        "Cancelling…" if job.cancel_requested else "Cancel",
        key=f"cancel_{job.id}",
        icon=":material/stop_circle:",
        disabled=job.cancel_requested,
        width="stretch",
        on_click=_cancel,
        args=(project, job.id),
    )


def _strategy(project: Project, now: facts.Facts) -> str:
    """Let the person choose how the next images are picked, and say what the choice does."""
    names = rounds.offered(project)
    first = _first(project, names)
    strategy = st.selectbox(
        "Strategy",
        names,
        index=names.index(first),
        format_func=view.short_strategy_title,
        key=f"strategy_{project.id}",
        help="How the next images are chosen. The settings page makes mixtures.",
    )
    info = registry.get(strategy)
    text = info.summary
    if strategy == rounds.AUTO:
        labels = now.counts.labelled_train + now.counts.labelled_valid
        choice = rounds.auto_choice(labels, now.classes, now.trainable)
        text = view.auto_line(choice, now.trainable)
    elif not now.trainable and info.needs & ~WITHOUT_MODEL:
        text += f" Without a model: images that cover the pool ({rounds.COLD_START})."
    st.caption(escape_markdown(text), help=escape_markdown(info.reference))
    return strategy


def _first(project: Project, names: list[str]) -> str:
    """Return the strategy that the project begins with, or one that there is."""
    try:
        name = rounds.chosen(project, project.settings.strategy).name
    except LabellerError:
        return names[0]
    return name if name in names else names[0]


def _offer(project: Project, now: facts.Facts) -> None:
    """Let the person choose strategy and batch, and start a round."""
    strategy = _strategy(project, now)
    left, right = st.columns([2, 3], gap="small", vertical_alignment="bottom", wrap=False)
    batch = left.number_input(
        "Batch",
        min_value=1,
        max_value=100_000,
        value=project.settings.batch,
        step=10,
        key=f"batch_{project.id}",
    )
    hindrance = view.retrain_hindrance(
        items=now.counts.items,
        classes=now.classes,
        labelled=now.counts.labelled,
        active=now.job("round"),
        same_as_last=facts.repeats_last(now, strategy, int(batch)),
    )
    right.button(
        "Retrain round",
        key="retrain",
        type="primary",
        width="stretch",
        disabled=hindrance is not None,
        help=hindrance,
        on_click=_start,
        args=(project, strategy, int(batch)),
    )
    if hindrance and not now.active:
        st.caption(hindrance)
    if error := st.session_state.get(_ERROR):
        st.error(escape_markdown(error), icon=":material/error:")


def _start(project: Project, strategy: str, batch: int) -> None:
    """Start a round; an error waits in the panel until the next press."""
    st.session_state.pop(_ERROR, None)
    try:
        rounds.start_round(project, strategy, batch)
    except (LabellerError, StoreError) as error:
        st.session_state[_ERROR] = str(error)


def _cancel(project: Project, job_id: int) -> None:
    """Ask a job to stop; one that ended in the meantime needs nothing."""
    try:
        jobs.cancel(project, job_id)
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/info:")


def _failure(project: Project, job: JobRecord) -> None:
    """Show why a job failed until somebody has read it."""
    title = view.KIND_TITLES.get(job.kind, job.kind)
    reason = job.error or f"No reason was given; see logs/job-{job.id}.log."
    when = view.ago(job.finished_at or job.created_at, time.time())
    st.error(
        f"**{escape_markdown(title)} failed** {when}  \n{escape_markdown(reason)}",
        icon=":material/error:",
    )
    st.button(
        "Dismiss",
        key=f"dismiss_{job.id}",
        width="stretch",
        on_click=facts.dismiss,
        args=(project, job.id),
    )


def _annotator(project: Project) -> None:
    """Ask who labels; the browser remembers the name, and asks in it how the budget stands."""
    name = session.annotator()
    st.text_input(
        "You label as",
        value=name,
        key="annotator_field",
        max_chars=session.LONGEST_NAME,
        icon=":material/person:",
        help="Every label carries this name.",
        on_change=_rename,
    )
    _HERE(
        key="here",
        data={
            "name": session.COOKIE,
            "value": name,
            "project": project.id,
            "api": "api/v1/",
            "token": tokens.make(project, name, "page", "read"),
        },
        height=1,
    )


def _rename() -> None:
    """Take the name over, cleaned; an empty one gives way to the one before."""
    session.set_annotator(st.session_state["annotator_field"])
    st.session_state["annotator_field"] = session.annotator()
