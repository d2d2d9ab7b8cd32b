"""What the stream page says of runs and audits, worked out from records: no Streamlit here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from labeller.services.streams import AuditReport, AuditRow, ClassOutlook, RunView
from labeller.ui import view
from store.records_made import GeneratedRunRecord, Verdict
from strategies.stream import Wrong
from strategies.stream.quality.bounds import error_bound

STATES = {"running": "Running", "paused": "Paused", "finished": "Finished"}
VERDICTS: dict[Verdict, str] = {
    "open": "Open",
    "accepted": "Accepted",
    "rolled_back": "Rolled back",
}
BOUNDS = (0.05, 0.01)


def more_checks(wrong: int, audited: int, upper: float) -> int:
    """Return how many more checks bound the error by `upper`, if all of them turn out right.

    Parameters
    ----------
    wrong, audited : int
        What was found so far.
    upper : float
        The bound to reach at 95 %, above 0 and below 1.
    """
    low, high = audited, max(1, audited)
    while error_bound(wrong, high).upper > upper:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        enough = error_bound(wrong, middle).upper <= upper
        low, high = (low, middle) if enough else (middle + 1, high)
    return high - audited


def needed(row: AuditRow, upper: float) -> str:
    """Say how many more checks of a class (or of all) a bound needs."""
    more, left = more_checks(row.wrong, row.audited, upper), row.generated - row.audited
    if not more:
        return "reached"
    return f"{more:,} more" if more < left else f"all {left:,} left"


def audit_rows(report: AuditReport) -> list[dict[str, Any]]:
    """Return the audit as rows of a table, all classes first."""
    return [
        {
            "Class": row.name if row.class_id is not None else "All classes",
            "Generated": row.generated,
            "Checked": row.audited,
            "Wrong": row.wrong,
            "Rate": view.percent(row.rate) if row.audited else "–",
            "At most (95 %)": view.percent(row.upper) if row.audited else "–",
            **{f"For {view.percent(bound, 0)}": needed(row, bound) for bound in BOUNDS},
        }
        for row in (report.total, *report.rows)
    ]


def class_rows(classes: Sequence[ClassOutlook]) -> list[dict[str, Any]]:
    """Return what is expected of each class as rows of a table."""
    return [
        {
            "Class": one.name,
            "Predicted": one.predicted,
            "Accepted from": "never" if one.accept_from is None else f"{one.accept_from:.3f}",
            "Expected accepted": one.accepted,
            "Expected wrong": expected(one.errors),
        }
        for one in classes
    ]


def expected(number: float) -> str:
    """Write an expected number: a decimal below ten, none above."""
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"


def wrong(number: Wrong) -> str:
    """Say how many labels are expected to be wrong, and within which numbers."""
    if not number.checked:
        return (
            f"{expected(number.expected)} expected to be wrong, which no audit label bears out yet"
        )
    return (
        f"{expected(number.expected)} expected to be wrong ({number.low:,.0f} to "
        f"{number.high:,.0f} at 95 %, from {view.count(number.checked, 'audit label')} alike)"
    )


def state_title(run: GeneratedRunRecord) -> str:
    """Return a run's state as the table shows it."""
    waits = run.state == "paused" and run.follow
    return "Follows" if waits else STATES[run.state]


def verdict_line(run: GeneratedRunRecord, now: float) -> str:
    """Say what was decided about a run, by whom and when."""
    if run.verdict_by is None or run.verdict_at is None:
        return "Nobody has decided about this run yet."
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.verdict_at))
    what = "Opened again" if run.verdict == "open" else VERDICTS[run.verdict]
    return f"{what} by {run.verdict_by}, {view.ago(run.verdict_at, now)} ({when})."


def run_rows(runs: Sequence[RunView], now: float) -> list[dict[str, Any]]:
    """Return the runs as rows of a table, in their order."""
    return [
        {
            "Run": one.run.id,
            "State": state_title(one.run),
            "Verdict": VERDICTS[one.run.verdict],
            "Strategy": view.strategy_title(one.run.strategy),
            "Model": f"round {one.model_round}",
            "Asked": one.run.asked,
            "Accepted": one.run.accepted,
            "Deferred": one.run.deferred,
            "By": one.run.verdict_by or "–",
            "Started": view.ago(one.run.created_at, now),
        }
        for one in runs
    ]
