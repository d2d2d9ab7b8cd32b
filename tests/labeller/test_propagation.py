"""Label propagation by the model: by hand, resumed, audited, judged, exported, from the shell."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from labeller.cli import cli
from labeller.errors import JobCancelled, LabelFileError, StreamRunError
from labeller.learning.propagation_job import run_propagation_job
from labeller.project import Project
from labeller.services import (
    exporting,
    label_files,
    propagation,
    propagation_run,
    streams,
    streams_run,
)
from labeller.services.propagation import PropagationPlan
from tests.labeller.learning.shapes import Told
from tests.labeller.streaming import add_items, do_jobs, pool, say

SURE = [0.97, 0.5, 0.96, 0.7, 0.99, 0.55, 1.0, 0.9]


def plan(confidence: float = 0.95, audit_share: float = 0.0) -> PropagationPlan:
    return PropagationPlan("model", confidence, audit_share)


def generated(project: Project) -> dict[int, str]:
    """Return the class that counts for each item with a generated label."""
    with project.store.read() as unit:
        names = {one.id: one.name for one in unit.classes.all()}
        return {i: names[one.class_id] for i, one in unit.generated_labels.of(range(1, 99)).items()}


def test_by_hand(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", SURE, [0, 0, 0, 1, 1, 2, 1, 2])
    add_items(project, ["audit"], start=50)
    assert say(project, 3, 2) == "accepted"  # sure enough, but a person was there first
    seen = propagation.outlook(project, plan())
    assert (seen.why_not, seen.items, seen.model_round) == (None, 7, 0)
    assert [(one.name, one.accepted) for one in seen.classes] == [("a", 1), ("b", 2), ("c", 0)]
    assert [one.errors for one in seen.classes] == pytest.approx([0.03, 0.01, 0.0], abs=1e-6)
    at = dict(zip(seen.thresholds.tolist(), seen.accepted_curve.tolist(), strict=True))
    assert (at[0.5], at[0.6], at[0.98], at[1.0]) == (7, 5, 2, 1)
    assert seen.error_rates[0] == pytest.approx((0.03 + 0.5 + 0.3 + 0.01 + 0.45 + 0.1) / 7)
    assert "Only 0 validation images" in seen.notes[0]

    run = propagation.start(project, plan())
    with pytest.raises(StreamRunError, match=f"Run {run.id} is not finished"):
        propagation.start(project, plan())
    with pytest.raises(StreamRunError, match="is running"):
        streams.decide(project, run.id, "accepted", "ann")
    assert streams.current(project) is None, "no stream"
    done = do_jobs(project)
    assert (done.state, done.error) == ("done", None)
    assert done.result is not None
    assert (done.result["passed"], done.result["accepted"]) == (7, 3)
    assert generated(project) == {1: "a", 5: "b", 7: "b"}
    (view,) = propagation.runs(project)
    assert (view.run.state, view.run.asked, view.run.deferred) == ("finished", 0, 0)
    assert streams.runs(project) == []
    with project.store.read() as unit:
        assert unit.items.count().labelled == 1, "generated labels are no labels"

    # a second run, less sure, leaves the first one's items alone
    propagation.start(project, plan(0.6))
    assert do_jobs(project).state == "done"
    assert generated(project) == {1: "a", 4: "b", 5: "b", 7: "b", 8: "c"}
    streams.decide(project, run.id, "rolled_back", "ann")
    assert generated(project) == {4: "b", 8: "c"}
    streams.decide(project, run.id, "accepted", "ann")

    out = tmp_path / "labels.csv"
    assert exporting.export_labels(project, out).rows == 1
    assert exporting.export_labels(project, out, generated=True).rows == 4
    rows = [line.split(",") for line in out.read_text().splitlines()]
    made = [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
    assert {(row["provenance"], row["annotator"]) for row in made} == {
        ("propagation", "model of round 0")
    }
    with pytest.raises(LabelFileError, match="is a generated label"):
        label_files.label_from_csv(project, out, "ann")


def test_the_audit_is_blind_and_bounded(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.99] * 40, [0] * 40)
    run = propagation.start(project, plan(audit_share=0.25))
    done = do_jobs(project)
    assert done.result is not None
    assert done.result["audits"] == 10
    with project.store.read() as unit:
        waiting = unit.generated_labels.audit_open(run.id).tolist()
        entries = {one.item_id: one for one in unit.queue.entries()}
    assert len(waiting) == 10
    assert all(entries[i].blind and entries[i].suggestion_class_id is None for i in waiting)
    for place, item in enumerate(waiting):
        say(project, item, 1 if place == 0 else 0)
    report = streams.audit(project, run.id)
    assert (report.total.audited, report.total.wrong, report.open) == (10, 1, 0)
    assert report.total.upper == pytest.approx(0.394, abs=0.001)  # Clopper-Pearson, one-sided
    assert len(generated(project)) == 30, "what a person said is a label now"


def test_cancelled_and_gone_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = partial(propagation_run.advance, size=10)
    monkeypatch.setattr(propagation_run, "advance", slow)
    project = pool(tmp_path / "p", [0.99, 0.5] * 20, [0] * 40)
    run = propagation.start(project, plan())
    with project.store.write() as unit:
        job = unit.jobs.claim("here", 1)
        assert job is not None
    with pytest.raises(JobCancelled):
        run_propagation_job(project, job, Told("propagate", JobCancelled("stop")))
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "cancelled")
    (view,) = propagation.runs(project)
    assert (view.run.state, view.run.reason) == ("paused", streams_run.STOPPED)
    assert (view.run.machine["passed"], view.run.accepted) == (10, 5)
    propagation.go_on(project, run.id)
    assert do_jobs(project).state == "done"
    view = streams.view_of(project, run.id, "propagation")
    assert (view.run.machine["passed"], view.run.accepted) == (40, 20)
    with pytest.raises(StreamRunError, match="is finished"):
        propagation.go_on(project, run.id)


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.99], [0])
    for wrong, text in (
        (PropagationPlan("guessing"), "no way to propagate"),  # type: ignore[arg-type]
        (PropagationPlan(confidence=1.2), "confidence of 1.2"),
        (PropagationPlan(audit_share=float("nan")), "audit share"),
        (PropagationPlan(seed=-1), "seed"),
    ):
        assert text in (propagation.outlook(project, wrong).why_not or "")
        with pytest.raises(StreamRunError, match=text):
            propagation.start(project, wrong)
    say(project, 1, 0)
    with pytest.raises(StreamRunError, match="No item is left"):
        propagation.start(project, plan())
    with pytest.raises(StreamRunError, match="no run of generated labels"):
        streams.view_of(project, 9, "propagation")


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_ANNOTATOR", "ann")
    project = pool(tmp_path / "p", SURE, [0, 0, 0, 1, 1, 2, 1, 2])
    monkeypatch.setattr(
        "labeller.cli.generated.follow_job", lambda given, _job: (do_jobs(given), False)
    )

    def call(*arguments: object, code: int = 0) -> str:
        line = ["propagate", str(project.root), *map(str, arguments)]
        done = CliRunner().invoke(cli, line)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    assert json.loads(call("--dry-run", "--json"))["accepted"] == 4
    assert "Of 8 items 5 would get a label" in call("--dry-run", "--confidence", 0.85)
    made = json.loads(call("--audit-share", 0, "--json"))
    assert (made["run"], made["state"], made["accepted"], made["passed"]) == (1, "finished", 4, 8)
    assert json.loads(call("--accept", 1, "--json"))["verdict"] == "accepted"
    assert "finished, rolled back" in call("--roll-back", 1)
    assert "finished, open" in call("--reopen", 1)
    assert json.loads(call("--audit", 1, "--json"))["queued"] == 4
    assert "no run of generated labels with number 7" in call("--accept", 7, code=1)
    assert "no way to propagate" in call("--method", "magic", code=1)
    assert "not more" in call("--accept", 1, "--dry-run", code=2)
