"""What the stream page says and draws, from records alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from labeller.services import streams
from labeller.services.streams import (
    AuditReport,
    AuditRow,
    Expected,
    Operating,
    Outlook,
    StreamPlan,
)
from labeller.ui import stream_expected, stream_plots, stream_view, view
from labeller.ui.stream_labels import caption, sorted_places
from store.records import ClassRecord
from strategies import registry
from strategies.stream import Wrong
from strategies.stream.machine.rule import StreamInfo, list_options
from strategies.stream.quality.bounds import error_bound
from tests.labeller.streaming import pool
from tests.ui.test_view import JOB


@pytest.mark.parametrize(("wrong", "audited"), [(0, 0), (0, 20), (1, 20), (3, 50), (9, 10)])
@pytest.mark.parametrize("upper", [0.05, 0.01, 0.3])
def test_the_checks_still_needed_are_the_fewest(wrong: int, audited: int, upper: float) -> None:
    more = stream_view.more_checks(wrong, audited, upper)
    assert error_bound(wrong, audited + more).upper <= upper
    if more:
        assert error_bound(wrong, audited + more - 1).upper > upper


def test_the_checks_still_needed_by_hand() -> None:
    assert stream_view.more_checks(0, 0, 0.05) == 59
    assert stream_view.more_checks(0, 0, 0.01) == 299
    row = AuditRow(1, "cat", 100, 50, 0, 0.0, 0.058)
    assert stream_view.needed(row, 0.05) == "9 more"
    assert stream_view.needed(row, 0.01) == "all 50 left"
    assert stream_view.needed(row, 0.06) == "reached"


def test_small_words() -> None:
    cat, dog = (ClassRecord(n, name, None, "#000000", n) for n, name in ((1, "cat"), (2, "dog")))
    assert caption(cat, 0.914, None) == "91\u202f% cat"
    assert caption(cat, 0.9, cat) == "cat ✓"
    assert caption(cat, 0.9, dog) == "cat → dog"
    assert sorted_places(np.array([0.5, 0.9, 0.5]), "unsure").tolist() == [0, 2, 1]
    assert sorted_places(np.array([0.5, 0.9, 0.5]), "sure").tolist() == [1, 0, 2]
    assert stream_view.expected(0.04) == "0.0"
    assert stream_view.expected(1234.6) == "1,235"


def test_the_end_of_a_stream_is_said_with_its_counts() -> None:
    result = {"asked": 1, "accepted": 1200, "deferred": 7, "reason": "All items have passed."}
    done = replace(JOB, kind="stream", state="done", result=result)
    assert view.finished_line(done) == (
        "Stream: 1,200 labels generated, 1 question for you, 7 left in the pool. "
        "All items have passed."
    )


def test_options_of_a_rule_are_its_own_numbers() -> None:
    found = {
        name: list_options(cast("StreamInfo", registry.get(name)))
        for name in ("fixed_threshold", "split", "balanced_incremental_quantile")
    }
    assert found == {
        "fixed_threshold": {"threshold": None},
        "split": {"threshold": 1.0, "step": 0.01, "share": 0.1},
        "balanced_incremental_quantile": {"window": 100, "tolerance": 50},
    }


def test_where_the_questions_last_is_said_with_what_is_accepted() -> None:
    found = Outlook(operating=Operating(0.7, 12, 90, 0.04))
    assert "takes 12 questions; 4.0\u202f% of the others" in stream_expected.operating_line(
        found, 0.05
    )
    assert "more than you want" not in stream_expected.operating_line(found, 0.05)
    assert "more than you want" in stream_expected.operating_line(found, 0.03)
    assert stream_expected.operating_line(Outlook(), 0.05) == ""


def test_what_is_expected_is_said_with_its_interval() -> None:
    wrong = Wrong(41.2, 20, 70, 180)
    some = Expected(500, 100, 650, 240, 10, wrong)
    text = stream_expected.expected_line(some, Outlook(items=1_000))
    assert "Of 1,000 images about 100 are asked about, 650 get a generated label, 240 stay" in text
    assert "10 are not reached before the questions are spent" in text
    assert "41 expected to be wrong (20 to 70 at 95 %, from 180 audit labels alike)" in text
    whole = Expected(1_000, 100, 660, 240, 0, Wrong(41.2, 0, 660, 0))
    text = stream_expected.expected_line(whole, Outlook(items=1_000))
    assert "about 100" not in text
    assert "not reached" not in text
    assert "which no audit label bears out yet" in text


@pytest.mark.parametrize("dark", [False, True])
def test_figures_hold_the_numbers(tmp_path: Path, dark: bool) -> None:
    pets = pool(tmp_path / "p", np.linspace(0.4, 1, 50).tolist(), budget=20.0)
    found = streams.outlook(pets, StreamPlan())
    figure = stream_plots.outlook(found, 0.05, dark)
    questions, wrong, first, second = figure.data
    assert list(questions.y) == found.questions.tolist()
    assert list(wrong.y) == pytest.approx((100 * found.error_rates).tolist())
    assert found.operating
    assert (first.x[0], first.y[0]) == (found.operating.threshold, found.operating.questions)
    assert second.y[0] == pytest.approx(100 * found.operating.error_rate)

    tried = streams.dry_run(pets, StreamPlan())
    curves = {trace.name: list(trace.y) for trace in stream_plots.dry_run(tried, dark).data}
    assert curves["Asked"][-1] == tried.asked
    assert curves["Accepted"][-1] == tried.accepted
    assert curves["Deferred"][-1] == tried.deferred

    rows = (AuditRow(1, "<b>", 9, 4, 1, 0.25, 0.75), AuditRow(2, "dog", 5, 0, 0, 0.0, 1.0))
    report = AuditReport(1, rows, AuditRow(None, "All", 14, 4, 1, 0.25, 0.75), 0)
    bars, found_rates = stream_plots.bounds(report, dark).data
    assert list(bars.y) == ["All classes", "&lt;b&gt;", "dog"]
    assert list(bars.text) == ["≤ 75.0 %", "≤ 75.0 %", "not checked"]
    assert list(found_rates.x) == [25.0, 25.0]
