"""The propagations there were: their table, and of the chosen one verdict, audit and labels."""

from __future__ import annotations

import time

import streamlit as st

from labeller.project import Project
from labeller.services.propagation import CONFIDENCE
from labeller.services.streams import RunView
from labeller.ui import stream_audit, stream_labels, stream_runs, stream_view, view
from labeller.ui.choosing import chosen_row

SPREADING = "Label spreading"


def show(project: Project, runs: list[RunView]) -> None:
    """Draw the table of the runs; of the chosen one the verdict, the audit and the labels."""
    st.subheader("Runs")
    place = chosen_row(
        run_rows(runs, time.time()),
        key=f"propagation_runs_{len(runs)}",
        named=("run", [one.run.id for one in runs]),
        columns={
            "Run": st.column_config.NumberColumn(width=50),
            "Looked at": st.column_config.NumberColumn(format="localized"),
            "Generated": st.column_config.NumberColumn(format="localized"),
        },
    )
    run = runs[place].run
    stream_runs.verdict(project, run)
    audit, labels = st.tabs(["Audit", "Generated labels"], key=f"propagation_tabs_{run.id}")
    with audit:
        stream_audit.show(project, run)
    with labels:
        stream_labels.browse(project, run.id, run.accepted)


def run_rows(runs: list[RunView], now: float) -> list[dict[str, object]]:
    """Return the runs as rows of a table."""
    return [
        {
            "Run": one.run.id,
            "State": stream_view.state_title(one.run),
            "Verdict": stream_view.VERDICTS[one.run.verdict],
            "Labelled by": by(one),
            "Confidence from": view.percent(one.plan.options[CONFIDENCE]),
            "Looked at": int(one.run.machine["passed"]),
            "Generated": one.run.accepted,
            "By": one.run.verdict_by or "–",
            "Started": view.ago(one.run.created_at, now),
        }
        for one in runs
    ]


def by(one: RunView) -> str:
    """Say who labelled in a run."""
    model = one.run.strategy == "model"
    return f"Model of round {one.model_round}" if model else SPREADING
