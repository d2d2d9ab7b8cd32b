"""All streams: their table, and of the chosen one the audit, the labels and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import streams
from labeller.services.streams import RunView
from labeller.ui import attempts, keys, session, stream_audit, stream_labels, stream_view, view
from labeller.ui.choosing import chosen_row
from labeller.ui.text import escape_markdown
from store.records_made import GeneratedRunRecord, Verdict

_PLACE = "stream_verdict"


@dataclass(frozen=True, slots=True)
class Step:
    """A verdict that can be given: its button, what it does, and the button that confirms it."""

    verdict: Verdict
    title: str
    icon: str
    text: str
    confirm: str


def show(project: Project, runs: list[RunView]) -> None:
    """Draw the table of the runs that no job is at, and the chosen one."""
    st.subheader("Runs")
    chosen = _table(runs)
    run = chosen.run
    verdict(project, run)
    # Without the run in its key a tab would keep what the run before showed.
    audit, labels, about = st.tabs(
        ["Audit", "Generated labels", "About"], key=f"stream_tabs_{run.id}"
    )
    with audit:
        stream_audit.show(project, run)
    with labels:
        stream_labels.browse(project, run.id, run.accepted)
    with about:
        st.markdown(about_text(chosen))


def _table(runs: list[RunView]) -> RunView:
    """List the runs, newest first, and return the chosen one."""
    place = chosen_row(
        stream_view.run_rows(runs, time.time()),
        key=f"stream_runs_{len(runs)}",
        named=("run", [one.run.id for one in runs]),
        columns={
            "Run": st.column_config.NumberColumn(width=50),
            **{
                name: st.column_config.NumberColumn(format="localized")
                for name in ("Asked", "Accepted", "Deferred")
            },
        },
    )
    return runs[place]


def steps(run: GeneratedRunRecord) -> list[Step]:
    """Return the verdicts that can be given now."""
    labels = view.count(run.accepted, "generated label")
    accept = Step(
        "accepted",
        "Accept",
        "check",
        f"{labels} count as accepted. They stay marked as generated, wherever they show. It can "
        "be undone.",
        "Accept them",
    )
    back = Step(
        "rolled_back",
        "Roll back",
        "undo",
        f"{labels} of run {run.id} are taken back in one step; the images go back to the pool. "
        "What you labelled yourself stays. It can be undone.",
        "Roll the run back",
    )
    if run.state != "finished":
        back = replace(back, text=f"{back.text} The stream ends.")
    again = Step(
        "open",
        "Reopen",
        "replay",
        f"The question is open again: {labels} count, and are not accepted yet.",
        "Reopen the run",
    )
    return {
        "open": [accept, back],
        "accepted": [back, again],
        "rolled_back": [again],
    }[run.verdict]


def verdict(project: Project, run: GeneratedRunRecord) -> None:
    """Say what was decided and by whom; offer what can be decided now."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="lb_stream_verdict"
    ):
        name = stream_view.VERDICTS[run.verdict]
        line = escape_markdown(stream_view.verdict_line(run, time.time()))
        st.markdown(f"**Run {run.id}: {name.lower()}.** :gray[{line}]", width="stretch")
        for step in steps(run):
            with st.popover(
                step.title,
                icon=f":material/{step.icon}:",
                # Another verdict is another set of buttons: an open one does not stay behind.
                key=f"stream_{step.verdict}_{run.id}_{run.verdict}_{run.verdict_at}",
            ):
                st.markdown(step.text)
                st.button(
                    step.confirm,
                    key=f"stream_{step.verdict}_now_{run.id}",
                    type="primary",
                    on_click=_decide,
                    args=(project, run.id, step.verdict),
                )
        _steps(project, run)
    attempts.show_error(_PLACE)


def _steps(project: Project, run: GeneratedRunRecord) -> None:
    """Offer to take the last verdict back, and to give it again."""
    undo, redo = streams.next_steps(project, run.id)
    for word, last, take in (
        ("Undo", undo, streams.undo_verdict),
        ("Redo", redo, streams.redo_verdict),
    ):
        if last is None and word == "Redo" and undo is None:
            continue  # nothing was decided yet: the row stays short
        st.button(
            keys.badge(f"{word}: {last.text}" if last else word, word.lower()),
            icon=f":material/{word.lower()}:",
            key=f"stream_{word.lower()}",
            disabled=last is None,
            help=f"By {escape_markdown(last.by)}." if last else None,
            on_click=_take,
            args=(project, run.id, word, take),
        )
    keys.listen("stream", {"undo": "stream_undo", "redo": "stream_redo"})


def _take(
    project: Project, run_id: int, word: str, take: Callable[[Project, int, str], str]
) -> None:
    with attempts.attempt(_PLACE):
        text = take(project, run_id, session.annotator())
        session.toast_later(f"Run {run_id}, {text}: {word[:-1].lower()}one.", ":material/info:")


def _decide(project: Project, run_id: int, verdict: Verdict) -> None:
    what = {"open": "open again", "accepted": "accepted", "rolled_back": "rolled back"}[verdict]
    with attempts.attempt(_PLACE):
        streams.decide(project, run_id, verdict, session.annotator())
        session.toast_later(f"Run {run_id} is {what}.", ":material/check_circle:")


def about_text(chosen: RunView) -> str:
    """Return what was set for a run and how it ended, as Markdown."""
    run, plan = chosen.run, chosen.plan
    facts: dict[str, Any] = {
        "Strategy": view.strategy_title(run.strategy),
        "Options": ", ".join(f"{k} {v:g}" for k, v in plan.options.items()) or "the usual ones",
        "Model": f"round {chosen.model_round}" + (", no longer in use" if chosen.outdated else ""),
        "Error wanted": view.percent(plan.error),
        "Audit share": view.percent(plan.audit_share),
        "Questions at most": f"{run.asked + chosen.left:,}",
        "Follows new arrivals": "yes" if run.follow else "no",
        "Passed": f"{run.passed:,} of about {max(chosen.items, run.passed):,}",
        "Started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created_at)),
        "Ended": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.finished_at))
        if run.finished_at
        else "not yet",
        "Reason": run.reason or "–",
    }
    return "  \n".join(f":gray[{name}] {escape_markdown(text)}" for name, text in facts.items())
