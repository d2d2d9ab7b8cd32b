"""What to expect of a stream: the curves, each class, and the dry run."""

from __future__ import annotations

import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import recent, streams
from labeller.services.streams import DryRun, Expected, Outlook, StreamPlan
from labeller.ui import plots, stream_plots, stream_view, view
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from strategies.base import StrategyError

_DRY = "stream_dry_run"


def outlook(project: Project, plan: StreamPlan) -> Outlook:
    """Return what to expect of a plan; worked out again only when something has changed."""
    with project.store.read() as unit:
        model = unit.models.in_use()
        state = (
            unit.items.count(),
            unit.budget.get(),
            unit.queue.counts(),
            unit.classes.all(archived=True),
            [(run.id, run.verdict, run.passed) for run in unit.generated.all()],
            model.id if model else None,
        )
    return _outlook(str(project.root), repr(plan), repr((state, project.settings)), plan)


@st.cache_data(max_entries=16, show_spinner=False)
def _outlook(root: str, asked: str, state: str, _plan: StreamPlan) -> Outlook:
    """Ask the service; a pool of a million takes seconds, and every widget draws the page anew."""
    del asked, state
    try:
        return streams.outlook(recent.opened(root), _plan)
    except (LabellerError, StoreError, StrategyError) as error:
        return Outlook(why_not=str(error))


def try_out(project: Project, plan: StreamPlan) -> None:
    """Make the dry run and keep what came of it with the plan it belongs to."""
    try:
        with st.spinner("Letting the images pass …"):
            st.session_state[_DRY] = (project.id, plan, streams.dry_run(project, plan))
    except (LabellerError, StoreError, StrategyError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")


def show(found: Outlook, plan: StreamPlan) -> None:
    """Draw what to expect: the curves with the operating point, and each class."""
    st.subheader(
        "What to expect",
        help="The strategy itself, tried on the model's predictions in the order in which the "
        "images would pass. How many labels are wrong is reckoned from the audit set: a random "
        "sample that the model has not learned from.",
    )
    dark = st.context.theme.type == "dark"
    if found.expected is not None:
        st.markdown(expected_line(found.expected, found))
    if found.operating is not None:
        st.caption(operating_line(found, plan.error))
    st.plotly_chart(
        stream_plots.outlook(found, plan.error, dark),
        theme="streamlit",
        config=plots.CONFIG,
        key=f"stream_outlook_{dark}",
        alt="Expected questions and expected share of wrong labels against the threshold",
    )
    st.markdown(
        f"**By class** :gray[a class's labels are generated from the confidence on at which "
        f"{view.percent(plan.error)} of them are expected to be wrong; before any is asked about]"
    )
    st.dataframe(
        stream_view.class_rows(found.classes),
        hide_index=True,
        height="content" if len(found.classes) <= 12 else 420,
        key="stream_classes",
        column_config={
            "Accepted from": st.column_config.TextColumn(
                alignment="right",
                help="The least confidence at which a label of this class is generated.",
            ),
            "Expected wrong": st.column_config.TextColumn(alignment="right"),
            "Predicted": st.column_config.NumberColumn(format="localized"),
            "Expected accepted": st.column_config.NumberColumn(format="localized"),
        },
    )


def expected_line(expected: Expected, found: Outlook) -> str:
    """Say what would become of the images."""
    about = "" if expected.tried == found.items else "about "
    unreached = (
        f", {expected.unreached:,} are not reached before the questions are spent"
        if expected.unreached
        else ""
    )
    return (
        f"**Of {view.count(found.items, 'image')} {about}{expected.asked:,} are asked about, "
        f"{expected.accepted:,} get a generated label, {expected.deferred:,} stay in the "
        f"pool**{unreached}. Of the generated labels {stream_view.wrong(expected.wrong)}."
    )


def operating_line(found: Outlook, error: float) -> str:
    """Say where on the curves the questions would last for all, and what is accepted then."""
    point = found.operating
    if point is None:
        return ""
    line = (
        f"Asking about every image below {point.threshold:.2f} takes "
        f"{view.count(point.questions, 'question')}; {view.percent(point.error_rate)} of the "
        "others would be wrong."
    )
    if point.error_rate <= error:
        return f"{line} Each class is accepted from its own limit on."
    return (
        f"{line} That is more than you want, so each class is accepted from its own limit on, and "
        f"what lies between stays in the pool."
    )


def show_dry_run(project: Project, plan: StreamPlan) -> None:
    """Show the last dry run while it is that of the plan on screen."""
    kept: tuple[str, StreamPlan, DryRun] | None = st.session_state.get(_DRY)
    if kept is None or kept[0] != project.id:
        return
    st.subheader("Dry run")
    if kept[1] != plan:
        st.caption("The settings have changed since: press Dry run again.")
        return
    tried = kept[2]
    dark = st.context.theme.type == "dark"
    st.markdown(tried_line(tried))
    columns = st.columns(4)
    for column, (name, value) in zip(columns, numbers(tried).items(), strict=True):
        column.metric(name, f"{value:,}", border=True)
    st.plotly_chart(
        stream_plots.dry_run(tried, dark),
        theme="streamlit",
        config=plots.CONFIG,
        key=f"stream_dry_plot_{dark}",
        alt="Images asked about, accepted and deferred as they pass",
    )


def numbers(tried: DryRun) -> dict[str, int]:
    """Return the four counts of a dry run by their names."""
    return {
        "Asked": tried.asked,
        "Accepted": tried.accepted,
        "Deferred": tried.deferred,
        "Not reached": tried.unreached,
    }


def tried_line(tried: DryRun) -> str:
    """Say what a dry run looked at, and that it changed nothing."""
    limited = f", the first of {tried.items:,}" if tried.limited else ""
    new = (
        f" {view.count(tried.unpredicted, 'image')} without a prediction yet were left out."
        if tried.unpredicted
        else ""
    )
    wrong = f" Of the accepted labels {stream_view.wrong(tried.wrong)}." if tried.accepted else ""
    return (
        f"**Nothing was written.** {view.count(tried.seen, 'image')} passed on trial{limited}."
        f"{wrong}{new}"
    )


def forget() -> None:
    """Drop the last dry run: a stream has started, so it is no longer what would happen."""
    st.session_state.pop(_DRY, None)
