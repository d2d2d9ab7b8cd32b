"""The set-up of a stream: what is wanted, what to expect of it, a dry run, the start."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st

from labeller.project import Project
from labeller.services import streams
from labeller.services.streams import Outlook, StreamPlan
from labeller.ui import attempts, session, stream_audit, stream_expected, view
from labeller.ui.text import escape_markdown
from strategies import registry
from strategies.stream.machine.rule import StreamInfo, list_options

PLACE = "stream"  # of what is attempted with the stream that is on, or is to begin


def show(project: Project, first: Outlook) -> None:
    """Draw the form, what to expect, and the dry run.

    Parameters
    ----------
    project : Project
    first : Outlook
        Of the plan that nobody changed; says what the budget allows.
    """
    with st.container(border=True, key="lb_stream_setup"):
        plan = _form(project, first)
        found = stream_expected.outlook(project, plan)
        _actions(project, plan, found)
    if found.why_not is None:
        stream_expected.show_dry_run(project, plan)
        stream_expected.show(found, plan)


def _form(project: Project, first: Outlook) -> StreamPlan:
    """Draw the settings and return the plan they make."""
    usual = StreamPlan()
    left, right = st.columns(2, gap="medium")
    with left:
        strategy, options = _strategy(project, usual.strategy)
        follow = st.toggle(
            "Follow new arrivals",
            value=usual.follow,
            key=f"stream_follow_{project.id}",
            help="Images that are imported later join the stream by themselves.",
        )
    with right:
        error = st.slider(
            "Error wanted",
            min_value=0.5,
            max_value=30.0,
            value=100 * usual.error,
            step=0.5,
            format="%g %%",
            key=f"stream_error_{project.id}",
            help="At most this share of the generated labels of each class is expected to be "
            "wrong. Smaller: fewer labels are generated.",
        )
        ask = st.number_input(
            "Questions at most",
            min_value=1,
            max_value=10_000_000,
            value=None,
            key=f"stream_ask_{project.id}",
            placeholder=f"{first.labels_left:,}, what the budget allows",
            help="Images that you are asked about; the stream ends when they are spent. What "
            "waits in the queue already is taken off the budget.",
        )
        share = stream_audit.share_slider(f"stream_audit_{project.id}", usual.audit_share)
    return StreamPlan(
        strategy=strategy,
        error=error / 100,
        ask_at_most=ask,
        follow=follow,
        audit_share=share,
        options=options,
    )


def _strategy(project: Project, usual: str) -> tuple[str, dict[str, float]]:
    """Let the person choose a strategy, and say what it does."""
    names = list(streams.names())
    name = st.selectbox(
        "Strategy",
        names,
        index=names.index(usual),
        format_func=view.strategy_title,
        key=f"stream_strategy_{project.id}",
        help="Which of the unsure images you are asked about.",
    )
    info = cast("StreamInfo", registry.get(name))
    st.caption(escape_markdown(info.summary), help=escape_markdown(info.reference))
    with st.expander("Options of this strategy", icon=":material/tune:"):
        options = _options(project, info)
    return name, options


def _options(project: Project, info: StreamInfo) -> dict[str, float]:
    """Draw the rule's own numbers; those left as they are stay out of the plan."""
    chosen: dict[str, float] = {}
    for name, default in list_options(info).items():
        whole = isinstance(default, int)
        value: float | None = st.number_input(
            name.capitalize(),
            value=cast("Any", default),
            step=1 if whole else 0.01,
            format="%d" if whole else "%g",
            key=f"stream_{info.name}_{name}_{project.id}",
            placeholder="from the budget" if default is None else None,
        )
        if value is not None and value != default:
            chosen[name] = value
    if not list_options(info):
        st.caption("It has none.")
    return chosen


def _actions(project: Project, plan: StreamPlan, found: Outlook) -> None:
    """Say what would pass; offer the dry run and the start."""
    if found.why_not is not None:
        st.error(escape_markdown(found.why_not), icon=":material/error:")
    else:
        st.caption(passing(found))
        for note in found.notes:
            st.caption(escape_markdown(note))
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Start the stream",
            key="stream_start",
            type="primary",
            icon=":material/play_arrow:",
            disabled=found.why_not is not None,
            on_click=_start,
            args=(project, plan),
        )
        tried = st.button(
            "Dry run",
            key="stream_dry",
            icon=":material/science:",
            disabled=found.why_not is not None,
            help="Counts what would happen. Nothing is written.",
        )
    attempts.show_error(PLACE)
    if tried:
        stream_expected.try_out(project, plan)


def passing(found: Outlook) -> str:
    """Say what would pass, and what it could cost."""
    budget = f"at most {view.count(found.labels_left, 'question')}"
    audits = f", {found.audits:,} more kept back for the audit" if found.audits else ""
    return (
        f"{view.count(found.items, 'unlabelled image')} would pass, in the order in which they "
        f"arrived; the model of round {found.model_round} decides; {budget}{audits}."
    )


def _start(project: Project, plan: StreamPlan) -> None:
    with attempts.attempt(PLACE):
        streams.start(project, plan)
        stream_expected.forget()
        session.toast_later("The stream has started.", ":material/play_arrow:")
