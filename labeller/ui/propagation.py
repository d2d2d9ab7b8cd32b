"""The second part of the stream page: generated labels for the rest of the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from labeller import jobs
from labeller.project import Project
from labeller.services import propagation, recent, streams
from labeller.services.propagation import CONFIDENCE, Outlook, PropagationPlan
from labeller.services.streams import RunView
from labeller.ui import (
    address,
    attempts,
    plots,
    propagation_runs,
    session,
    stream_audit,
    stream_view,
    view,
)
from labeller.ui.text import escape_markdown

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STREAM, REST = "Stream", "Label the rest"
METHODS = {"model": "The model in use", "spreading": propagation_runs.SPREADING}
ABOUT = {
    "model": "The predictions that it made of every image.",
    "spreading": "Labels spread from image to similar image, along a graph of nearest neighbours "
    "(Zhou et al. 2004). Only your training labels are spread; the validation labels calibrate.",
}
_PLACE = "propagation"


def chosen() -> bool:
    """Let the person choose between the two parts of the page; True for this one."""
    address.choice("part", "stream_part", (STREAM, REST), STREAM, lambda _: "rest")
    part = st.segmented_control(
        "What to do",
        (STREAM, REST),
        required=True,
        key="stream_part",
        label_visibility="collapsed",
    )
    return part == REST


def show(project: Project) -> None:
    """Draw the set-up or the run that is on, and the runs there were."""
    st.markdown(
        "Every unlabelled image whose class is sure enough gets a generated label; nobody is "
        "asked. What is generated stays marked, is checked by a random sample, and can be rolled "
        "back in one step."
    )
    runs = propagation.runs(project)
    now = next((one for one in runs if one.run.state != "finished"), None)
    earlier = [one for one in runs if one.job is None]
    attempts.show_error(_PLACE)
    if now is not None:
        _now(project, now)
    elif not earlier:
        _new(project)
    else:
        box = st.expander(
            "Label the rest again",
            icon=":material/add:",
            key=f"propagation_new_{len(runs)}",
            on_change="rerun",
        )
        if box.open:
            with box:
                _new(project)
    if earlier:
        propagation_runs.show(project, earlier)


def _now(project: Project, now: RunView) -> None:
    """Draw the run that is not finished."""
    run = now.run
    with st.container(border=True):
        st.markdown(f"**Run {run.id}** :gray[{escape_markdown(_set(now))}]")
        if now.job is not None:
            st.caption("It is on; see the side bar for its progress.")
            st.button(
                "Pausing …" if now.job.cancel_requested else "Pause",
                key=f"propagation_pause_{now.job.id}",
                icon=":material/pause:",
                disabled=now.job.cancel_requested,
                on_click=attempts.tried,
                args=(_PLACE, lambda: jobs.cancel(project, now.job.id if now.job else 0)),
            )
            return
        st.caption(escape_markdown(f"Paused. {run.reason or ''}"))
        with st.container(horizontal=True, gap="small"):
            st.button(
                "Go on",
                key=f"propagation_go_on_{run.id}",
                type="primary",
                icon=":material/play_arrow:",
                on_click=attempts.tried,
                args=(_PLACE, lambda: propagation.go_on(project, run.id)),
            )
            st.button(
                "Finish",
                key=f"propagation_finish_{run.id}",
                icon=":material/stop:",
                help="It ends for good; its generated labels stay.",
                on_click=attempts.tried,
                args=(_PLACE, lambda: streams.finish(project, run.id)),
            )


def _set(one: RunView) -> str:
    """Say what was set for a run."""
    least = view.percent(one.plan.options[CONFIDENCE])
    return f"{propagation_runs.by(one)}, confidence from {least}"


def _new(project: Project) -> None:
    """Draw the settings, what to expect, and the start; or say what is missing first."""
    with st.container(border=True):
        plan = _form(project)
        found = outlook(project, plan)
        if found.why_not is not None:
            st.markdown(escape_markdown(found.why_not))
            st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")
            return
        st.markdown(expected(found, plan))
        for note in found.notes:
            st.caption(escape_markdown(note))
        st.button(
            "Label the rest",
            key="propagation_start",
            type="primary",
            icon=":material/auto_awesome:",
            on_click=_start,
            args=(project, plan),
        )
    if found.classes:
        _expected(found, plan)


def _form(project: Project) -> PropagationPlan:
    """Draw the settings and return the plan they make."""
    usual = PropagationPlan()
    left, right = st.columns(2, gap="medium")
    with left:
        method = st.segmented_control(
            "Labelled by",
            propagation.METHODS,
            default=usual.method,
            required=True,
            format_func=METHODS.__getitem__,
            key=f"propagation_method_{project.id}",
        )
        st.caption(ABOUT[method])
    with right:
        confidence = st.slider(
            "Confidence from",
            min_value=50.0,
            max_value=100.0,
            value=100 * usual.confidence,
            step=0.5,
            format="%g %%",
            key=f"propagation_confidence_{project.id}",
            help="Calibrated: of images at 95 % one in twenty is expected to be wrong. Less sure "
            "ones stay in the pool.",
        )
        share = stream_audit.share_slider(f"propagation_audit_{project.id}", usual.audit_share)
    return PropagationPlan(method, confidence / 100, share)


def outlook(project: Project, plan: PropagationPlan) -> Outlook:
    """Return what to expect of a plan; worked out again only when something has changed."""
    with project.store.read() as unit:
        model = unit.models.in_use()
        state = (
            unit.items.count(),
            unit.queue.counts(),
            unit.classes.all(archived=True),
            [(run.id, run.verdict, run.passed) for run in unit.generated.all()],
            model.id if model else None,
        )
    return _outlook(str(project.root), repr((plan, state)), plan)


@st.cache_data(max_entries=16, show_spinner=False)
def _outlook(root: str, state: str, _plan: PropagationPlan) -> Outlook:
    """Ask the service; a pool of a million takes seconds."""
    del state
    return propagation.outlook(recent.opened(root), _plan)


def expected(found: Outlook, plan: PropagationPlan) -> str:
    """Say in one sentence what a plan would bring, as Markdown."""
    pool = view.count(found.items, "unlabelled image")
    if plan.method == "spreading":
        return f"{pool}; how sure spreading is of them shows when it runs."
    wrong = f", {stream_view.wrong(found.wrong)}" if found.wrong else ""
    return (
        f"**{found.accepted:,} of {pool}** would get a label{wrong} "
        f":gray[(model of round {found.model_round})]."
    )


def _expected(found: Outlook, plan: PropagationPlan) -> None:
    """Draw how many labels each confidence would bring, and each class."""
    dark = st.context.theme.type == "dark"
    st.plotly_chart(
        curve(found, plan.confidence, dark),
        theme="streamlit",
        config=plots.CONFIG,
        key=f"propagation_curve_{dark}",
        alt="Generated labels and expected share of wrong ones against the confidence",
    )
    rows = [
        {
            "Class": one.name,
            "Generated": one.accepted,
            "Expected wrong": stream_view.expected(one.errors),
        }
        for one in found.classes
    ]
    st.dataframe(
        rows,
        hide_index=True,
        key="propagation_classes",
        column_config={"Generated": st.column_config.NumberColumn(format="localized")},
    )


def curve(found: Outlook, confidence: float, dark: bool) -> Figure:
    """Return labels and expected error against the confidence, with the one that is set."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    x = 100 * found.thresholds
    for row, values, unit in (
        (1, found.accepted_curve, "%{y:,} labels"),
        (2, 100 * found.error_rates, "%{y:.1f} % wrong"),
    ):
        figure.add_scatter(
            x=x,
            y=values,
            mode="lines",
            line={"color": plots.LINES[dark][row - 1], "width": 2.5},
            hovertemplate=f"from %{{x:.0f}} %: <b>{unit}</b><extra></extra>",
            row=row,
            col=1,
        )
    figure.add_vline(x=100 * confidence, line={"color": plots.GREYS[dark], "dash": "dot"})
    figure.update_layout(showlegend=False, hovermode="x")
    figure.update_yaxes(title="Labels", tickformat=",d", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="Wrong (%)", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title="Confidence from (%)", row=2, col=1)
    return plots.laid_out(figure, 360)


def _start(project: Project, plan: PropagationPlan) -> None:
    with attempts.attempt(_PLACE):
        propagation.start(project, plan)
        session.toast_later("Labelling the rest has started.", ":material/auto_awesome:")
