"""What the pages say, from records alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from labeller.services import headline
from labeller.services.evaluation_scores import share
from labeller.ui import facts, pieces, view
from labeller.ui.text import escape_markdown
from store.records import JobRecord, ModelRecord
from store.records_budget import BudgetRecord

JOB = JobRecord(
    id=4,
    kind="round",
    state="running",
    params={},
    progress=0.25,
    stage="train",
    message="",
    detail={},
    result=None,
    error=None,
    created_at=0.0,
    started_at=1.0,
    heartbeat_at=2.0,
    finished_at=None,
    cancel_requested=False,
    host="h",
    pid=1,
)
MODEL = ModelRecord(
    id=1,
    round_id=1,
    created_at=0.0,
    in_use=True,
    path="",
    label_hash="",
    labels=100,
    seed=0,
    backbone="b",
    device="cpu",
    class_ids=(1, 2),
    config={},
    metrics={"accuracy": 0.8421, "interval": [0.801, 0.876], "n": 312},
    timings={},
    versions={},
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (660, "11 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (86_400, "1 day"),
        (200_000, "2 days"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert view.seconds(seconds) == text


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (-500, "just now"),
        (44, "just now"),
        (50, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (90_000, "1 day ago"),
        (5 * 86_400, "5 days ago"),
        (70 * 86_400, "2 months ago"),
    ],
)
def test_ago(past: float, text: str) -> None:
    assert view.ago(1_000_000.0 - past, 1_000_000.0) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12 MB"), (3 * 10**12, "3,000 GB")],
)
def test_size(number: int, text: str) -> None:
    assert view.size(number) == text


def test_time_left_is_silent_until_it_is_known() -> None:
    assert view.time_left(None) == ""
    assert view.time_left(0.3) == "almost done"
    assert view.time_left(75) == "≈ 1 min 15 s left"


def test_meter_with_a_limit() -> None:
    shown = view.meter(BudgetRecord(1000.0, 412.0, 24.0), 1.0)
    assert (shown.headline, shown.text) == ("588 left", "412 of 1,000 spent · 24 reserved")
    assert (shown.spent, shown.reserved, shown.empty) == (0.412, 0.024, False)


def test_meter_without_a_limit() -> None:
    shown = view.meter(BudgetRecord(None, 12.5, 0.0), 1.0)
    assert (shown.headline, shown.text) == ("12.50 spent", "No limit set")
    assert (shown.spent, shown.empty) == (0.0, False)


@pytest.mark.parametrize(
    ("total", "spent", "reserved", "price", "empty"),
    [
        (10.0, 9.5, 0.0, 1.0, True),
        (10.0, 9.0, 0.0, 1.0, False),
        (0.0, 0.0, 0.0, 1.0, True),
        (10.0, 12.0, 3.0, 1.0, True),
        (10.0, 5.0, 0.0, 0.0, False),
    ],
)
def test_meter_is_empty_when_it_buys_no_label(
    total: float, spent: float, reserved: float, price: float, empty: bool
) -> None:
    shown = view.meter(BudgetRecord(total, spent, reserved), price)
    assert shown.empty is empty
    assert 0 <= shown.spent <= 1
    assert 0 <= shown.spent + shown.reserved <= 1


def test_model_lines() -> None:
    measured = headline.in_its_round(MODEL.metrics)
    lines = view.model_lines(MODEL, measured, 3, 41, 141)
    assert lines.headline == "84.2\u202f%"
    assert lines.interval == "95 %: 80.1–87.6\u202f% · 312 audit labels"
    assert (lines.details, lines.behind) == ("round 3 · cpu", "41 labels behind")
    assert view.model_lines(MODEL, measured, 3, 0, 100).behind == "up to date"


def test_model_lines_without_model_or_audit_say_what_is_missing() -> None:
    assert "two classes" in view.model_lines(None, None, None, 0, 0).details
    assert "Retrain" in view.model_lines(None, None, None, 0, 300).details


@pytest.mark.parametrize(
    ("right", "n", "large", "below"),
    [
        (0, 0, "Not yet known", "0 of 20 audit labels"),
        (4, 4, "Not yet known", "4 of 20 audit labels"),
        (4, 5, "38–96\u202f%", "95 % range only: 5 of 20 audit labels"),
        (19, 19, "83–100\u202f%", "95 % range only: 19 of 20 audit labels"),
        (20, 20, "100.0\u202f%", "95 %: 83.9–100.0\u202f% · 20 audit labels"),
    ],
)
def test_no_single_number_comes_of_few_audit_labels(
    right: int, n: int, large: str, below: str
) -> None:
    lines = view.model_lines(MODEL, share(right, n), 1, 0, 10)
    assert (lines.headline, lines.interval) == (large, below)


def test_job_lines_of_training() -> None:
    detail = {"epoch": 3, "epochs": 8, "loss": 0.7312, "accuracy": 0.65, "eta": 12.0}
    lines = view.job_lines(replace(JOB, detail=detail | {"losses": [2, 1.0]}))
    assert (lines.title, lines.stage) == ("Retraining", "3/8 Training")
    assert lines.numbers == "epoch 3/8 · loss 0.731 · 65.0\u202f%"
    assert lines.left == "≈ 12 s left"
    assert lines.losses == (2.0, 1.0)


def test_job_lines_of_counting() -> None:
    detail = {"done": 12_345, "total": 50_000, "rate": 850.2, "eta": 44.0}
    lines = view.job_lines(replace(JOB, kind="import", stage="import", detail=detail))
    assert (lines.title, lines.stage) == ("Importing", "Importing images")
    assert lines.numbers == "12,345 of 50,000 · 850/s"


def test_job_lines_of_odd_rows() -> None:
    waiting = view.job_lines(replace(JOB, state="waiting", stage="", progress=0.0))
    assert waiting.stage == "Waiting to start"
    odd = replace(JOB, progress=7.0, stage="", detail={"eta": "soon", "losses": None})
    assert view.job_lines(odd).progress == 1.0
    assert view.job_lines(odd).stage == "Starting"
    stopping = view.job_lines(replace(JOB, cancel_requested=True, detail={"eta": 5.0}))
    assert (stopping.cancelling, stopping.left) == (True, "")


def test_finished_lines() -> None:
    result: dict[str, object] = {"round": 4, "queued": 40, "audit_accuracy": 0.8}
    done = replace(JOB, state="done", result=result | {"audit_labels": 20})
    assert view.finished_line(done) == (
        "Round 4 is done: 40 images in the new queue. "
        "Audit accuracy 80.0 % (58.4–91.9 %), 20 audit labels."
    )
    few = replace(JOB, state="done", result=result | {"audit_labels": 10})
    assert view.finished_line(few).endswith(
        "Audit accuracy between 49 % and 94 %, from 10 audit labels."
    )
    result = {"added": 1, "known": 2, "failed": 3}
    imported = replace(JOB, kind="import", state="done", result=result)
    assert view.finished_line(imported) == (
        "Import done: 1 image added, 2 known already, 3 left out."
    )
    assert view.finished_line(replace(JOB, result=None)).startswith("The round is done")
    predicted = replace(JOB, kind="predict", result={"predicted": 1_200, "failed": 1})
    assert view.finished_line(predicted) == "1,200 images predicted, 1 file could not be read."
    whole = replace(JOB, kind="predict", result={"predicted": 1, "failed": 0})
    assert view.finished_line(whole) == "1 image predicted."
    again = replace(JOB, kind="predict_pool", result={"model": 3, "predicted": 1_200})
    assert view.finished_line(again) == "Model 3 has predicted the pool: 1,200 images."


def test_an_import_that_found_nothing_is_no_success() -> None:
    result: dict[str, object] = {"added": 0, "known": 0, "failed": 0, "labelled": 0}
    nothing = replace(JOB, kind="import", state="done", result=result)
    assert view.finished_line(nothing).startswith("Import done, but no image was found there")
    assert view.finished_icon(nothing) == ":material/warning:"
    for name in ("added", "known", "failed"):
        some = replace(nothing, result=result | {name: 1})
        assert view.finished_icon(some) == ":material/check_circle:"
        assert "no image" not in view.finished_line(some)


def test_gain() -> None:
    before = share(320, 400)
    assert view.gain(before, share(336, 400)) == "+4.0 ± 5.3"
    assert view.gain(before, share(316, 400)).startswith("−1.0 ± ")
    assert view.gain(None, before) == "–"
    assert view.gain(share(9, 19), before) == "–"
    assert "± 0.0" not in view.gain(share(20, 20), share(20, 20))


def test_why_a_round_cannot_be_started() -> None:
    ready = {"items": 9, "classes": 2, "labelled": 4, "active": None, "same_as_last": False}

    def hindrance(**changes: object) -> str | None:
        return view.retrain_hindrance(**{**ready, **changes})  # type: ignore[arg-type]

    assert hindrance() is None
    assert hindrance(active=JOB) == "A round is on already."
    assert hindrance(items=0) == "Import images first."
    assert hindrance(classes=0) == "Add classes first."
    assert "Nothing new" in str(hindrance(same_as_last=True))
    assert hindrance(labelled=0) is None  # a cold start needs no label


def test_failures_are_the_latest_of_their_kind_and_not_dismissed() -> None:
    jobs = [
        replace(JOB, id=5, state="failed"),
        replace(JOB, id=4, state="done"),
        replace(JOB, id=3, kind="import", state="failed"),
        replace(JOB, id=2, kind="import", state="failed"),
    ]
    assert [job.id for job in facts.failures(jobs, set())] == [5, 3]
    assert [job.id for job in facts.failures(jobs, {5})] == [3]
    later = [replace(JOB, id=6, state="running"), *jobs]
    assert [job.id for job in facts.failures(later, set())] == [3]


NASTY = [
    "<script>alert(1)</script>",
    ":red[x]",
    "$x^2$ and $$y$$",
    "*a* _b_ `c` ~~d~~",
    "[l](http://x.y) ![i](z)",
    ":smile: :+1: :material/home: :streamlit:",
    "a -> b <- c -- d >= e <= f",
    "# h | t",
    "www.example.org a@b.org https://c.org",
    "1. one",
    "&amp; \\ {x}",
    "Ünïcödé 猫",
]


def as_shown(escaped: str) -> str:
    """Return what Markdown makes of an escaped text: the text with invisible joiners."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped)


@pytest.mark.parametrize("text", NASTY)
def test_escaped_text_keeps_its_letters_and_loses_its_meaning(text: str) -> None:
    escaped = escape_markdown(text)
    assert as_shown(escaped).replace("\u2060", "") == text
    for position, char in enumerate(escaped):
        if char in "*_`[]<>$#|~&" and char != "\\":
            assert escaped[position - 1] == "\\"


def test_escaped_text_is_one_line() -> None:
    assert escape_markdown("  a\n\n\tb  ") == "a b"
    assert escape_markdown("12.5\u202f%\u00a0x") == "12\\.5\u202f\\%\u00a0x", "these do not break"


def test_pieces_escape_what_they_are_given() -> None:
    lines = view.job_lines(replace(JOB, stage="<b>", kind="<i>"))
    html = pieces.job_html(lines)
    assert "<b>" not in html
    assert "<i>" not in html.replace('<i style="', "")
    assert "&lt;" in html


def test_the_sparkline_has_one_bar_a_value_until_there_are_many() -> None:
    assert pieces.sparkline([]).count("<i ") == 0
    assert pieces.sparkline([2.0, 1.0, float("nan")]).count("<i ") == 2
    many = pieces.sparkline([float(n) for n in range(1, 501)])
    assert many.count("<i ") <= 40
    assert "height:100%" in many
