"""Small pieces of HTML. Only numbers and our own words go in; text is escaped all the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from labeller.ui.view import JobLines, Meter, ModelLines, QueueLines

_BARS = 40


def meter_html(meter: Meter) -> str:
    """Return the budget bar."""
    state = " lb-empty" if meter.empty else ""
    spent, held = meter.spent * 100, meter.reserved * 100
    return (
        f"{_head('Budget', meter.headline)}"
        f'<div class="lb-meter{state}" role="img" aria-label="{escape(meter.text)}">'
        f'<i class="lb-spent" style="width:{spent:.2f}%"></i>'
        f'<i class="lb-held" style="width:{held:.2f}%"></i></div>'
        f"{_note(meter.text)}"
    )


def model_html(lines: ModelLines) -> str:
    """Return the block about the model in use."""
    behind = f' <span class="lb-chip">{escape(lines.behind)}</span>' if lines.behind else ""
    details = f"{escape(lines.details)}{behind}" if lines.details else ""
    interval = _note(lines.interval) if lines.interval else ""
    return (
        f"{_head('Audit accuracy' if lines.behind else 'Model', lines.headline)}"
        f'{interval}<div class="lb-note">{details}</div>'
    )


def queue_html(lines: QueueLines) -> str:
    """Return the block about the present queue."""
    return f"{_head('Queue', lines.headline)}{_note(lines.made) if lines.made else ''}"


def job_html(lines: JobLines) -> str:
    """Return the block about a running job; its height is the same from start to end."""
    value = f"{lines.progress * 100:.0f} %" if lines.progress > 0 else ""
    spark = sparkline(lines.losses) if lines.trains else ""
    return f"{_head(lines.title, value)}{bar_html(lines)}{spark}"


def bar_html(lines: JobLines) -> str:
    """Return a job's bar and the two lines below: what it does, and its numbers."""
    waiting, stage = lines.progress <= 0, "Cancelling" if lines.cancelling else lines.stage
    width = "" if waiting else f' style="width:{lines.progress * 100:.1f}%"'
    return (
        f'<div class="lb-bar{" lb-wait" if waiting else ""}" role="progressbar" '
        f'aria-valuenow="{lines.progress * 100:.0f}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-label="{escape(lines.title)}"><i{width}></i></div>'
        f'<div class="lb-note lb-row"><span>{escape(stage)}</span>'
        f"<span>{escape(lines.left)}</span></div>"
        f"{_note(lines.numbers or '–')}"
    )


def sparkline(values: Sequence[float]) -> str:
    """Return the course of a loss as thin bars; an empty box of the same size without values.

    Streamlit lets no SVG through, so the line is made of bars; beyond `_BARS` values every bar
    stands for the last of several.
    """
    finite = [v for v in values if math.isfinite(v)]
    step = max(1, -(-len(finite) // _BARS))
    shown = finite[::-1][::step][::-1]
    top = max(shown, default=0.0) or 1.0
    bars = "".join(f'<i style="height:{max(4.0, 100 * v / top):.0f}%"></i>' for v in shown)
    return f'<div class="lb-spark" role="img" aria-label="Training loss so far">{bars}</div>'


def _head(label: str, value: str) -> str:
    return (
        f'<div class="lb-head"><span class="lb-label">{escape(label)}</span>'
        f'<span class="lb-value">{escape(value)}</span></div>'
    )


def _note(text: str) -> str:
    return f'<div class="lb-note">{escape(text)}</div>'
