"""The audit of a run: how many generated labels were checked, and how wrong the others may be."""

from __future__ import annotations

import streamlit as st

from labeller.project import Project
from labeller.services import streams
from labeller.services.streams import AuditReport
from labeller.ui import attempts, plots, session, stream_labels, stream_plots, stream_view, view
from store.records_made import GeneratedRunRecord
from strategies.stream.quality.bounds import audits_needed

_PLACE = "stream_audit"
_MOST_PLOTTED = 40


def show(project: Project, run: GeneratedRunRecord) -> None:
    """Draw what the audit has found, ask for more, and show where the model was wrong."""
    if not run.accepted:
        st.caption("This run has generated no label, so there is nothing to check.")
        return
    report = streams.audit(project, run.id)
    _found(report)
    _ask(project, run, report)
    with project.store.read() as unit:
        answers = unit.generated_labels.audit_answers(run.id)
    stream_labels.disagreements(project, run.id, answers)


def _found(report: AuditReport) -> None:
    """Draw the numbers, as a headline, a plot and a table."""
    st.markdown(headline(report))
    dark = st.context.theme.type == "dark"
    if any(row.audited for row in report.rows) and len(report.rows) <= _MOST_PLOTTED:
        st.plotly_chart(
            stream_plots.bounds(report, dark),
            theme="streamlit",
            config=plots.CONFIG,
            key=f"stream_bounds_{report.run_id}_{dark}",
            alt="Share of wrong generated labels of each class, as found and at most",
        )
    st.dataframe(
        stream_view.audit_rows(report),
        hide_index=True,
        height="content" if len(report.rows) <= 12 else 460,
        key=f"stream_audit_{report.run_id}",
        column_config={
            **{
                name: st.column_config.NumberColumn(format="localized")
                for name in ("Generated", "Checked", "Wrong")
            },
            "Rate": st.column_config.TextColumn(alignment="right"),
            "At most (95 %)": st.column_config.TextColumn(
                alignment="right",
                help="Upper bound by Clopper and Pearson: the true rate is below it in 95 of 100 "
                "such audits.",
            ),
            **{
                f"For {view.percent(bound, 0)}": st.column_config.TextColumn(
                    alignment="right",
                    help=f"Checks still needed for a bound of {view.percent(bound, 0)}, if all of "
                    "them turn out right.",
                )
                for bound in stream_view.BOUNDS
            },
        },
    )
    if report.total.audited < sum(row.audited for row in report.rows):
        st.caption(
            "The row of all classes counts only checks drawn from all labels alike; checks that "
            "were added to a class count for that class."
        )


def headline(report: AuditReport) -> str:
    """Say the audit in one line, as Markdown."""
    total = report.total
    open_ = (
        f" {view.count(report.open, 'check')} wait in the queue, without the generated label."
        if report.open
        else ""
    )
    if not total.audited:
        return f"**Nothing is checked yet** of {total.generated:,} generated labels.{open_}"
    return (
        f"**At most {view.percent(total.upper)} of the {total.generated:,} generated labels are "
        f"wrong** (95 %): {total.wrong:,} of {total.audited:,} checked were.{open_}"
    )


def _ask(project: Project, run: GeneratedRunRecord, report: AuditReport) -> None:
    """Offer to queue more checks, and the way to what waits."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        share = st.number_input(
            "Share of all (%)",
            min_value=0,
            max_value=100,
            value=0,
            key=f"stream_more_share_{run.id}",
            help="Drawn from all generated labels alike: lowers the bound of all classes.",
            width=150,
        )
        least = st.number_input(
            "At least, of each class",
            min_value=0,
            max_value=10_000,
            value=audits_needed(stream_view.BOUNDS[0]),
            key=f"stream_more_least_{run.id}",
            help=f"{audits_needed(0.05)} without an error bound a class by 5 %, "
            f"{audits_needed(0.01)} by 1 %.",
            width=170,
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Ask more",
            key=f"stream_more_{run.id}",
            icon=":material/quiz:",
            disabled=run.verdict == "rolled_back" or not (share or least),
            help="A rolled back run needs no audit." if run.verdict == "rolled_back" else None,
            on_click=_more,
            args=(project, run.id, share / 100, int(least)),
        )
        if report.open:
            st.page_link("pages/label.py", label="Check them", icon=":material/ads_click:")
    attempts.show_error(_PLACE)


def _more(project: Project, run_id: int, share: float, least: int) -> None:
    with attempts.attempt(_PLACE):
        asked = streams.ask_audit(project, run_id, share, least)
        text = f"{view.count(asked, 'more check')} in the queue."
        session.toast_later(text if asked else "None is left to ask.", ":material/quiz:")


def share_slider(key: str, usual: float) -> float:
    """Let the person set the share of the generated labels that is checked."""
    share = st.slider(
        "Audit share",
        min_value=0,
        max_value=50,
        value=round(100 * usual),
        format="%d %%",
        key=key,
        help="This share of the generated labels is drawn at random, and you are asked about "
        "them without being shown what was generated.",
    )
    return share / 100
