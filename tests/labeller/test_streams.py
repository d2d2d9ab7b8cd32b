"""Streams as the pages and commands see them: outlook, dry run, run, verdict, what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from labeller import jobs
from labeller.errors import JobError, StreamRunError
from labeller.project import create_project
from labeller.services import budget, propagation, streams, streams_dry_run, streams_run
from labeller.services.streams import StreamPlan
from strategies.stream import Decision, StreamState, replay
from tests.labeller.streaming import (
    CLASSES,
    add_items,
    add_model,
    do_jobs,
    fixed,
    pool,
    probabilities,
    say,
)


def test_a_stream_by_hand(tmp_path: Path) -> None:
    # of class a, those from 0.8 on are expected to be wrong in 0.15: (0.1 + 0.2) / 2
    sure = [0.9, 0.5, 0.8, 0.7, 0.95, 0.55, 1.0, 0.65]
    project = pool(tmp_path / "p", sure, [0, 0, 0, 1, 1, 2, 1, 2], budget=3)
    plan = fixed(error=0.1501)
    seen = streams.outlook(project, plan)
    assert (seen.why_not, seen.items, seen.labels_left, seen.audits) == (None, 8, 3, 0)
    assert [one.accept_from for one in seen.classes] == pytest.approx([0.8, 0.7, 0.8499])
    assert [one.accepted for one in seen.classes] == [2, 3, 0]
    assert [one.errors for one in seen.classes] == pytest.approx([0.3, 0.35, 0.0])
    assert seen.operating is not None
    assert seen.operating.threshold == pytest.approx(0.69)  # at 0.7 there would be four questions
    assert (seen.operating.questions, seen.operating.generated) == (3, 5)
    dry = streams.dry_run(project, plan)
    assert (dry.asked, dry.accepted, dry.deferred, dry.unreached) == (2, 5, 1, 0)
    assert dry.positions[-1] == 8
    assert (dry.asked_curve[-1], dry.accepted_curve[-1], dry.deferred_curve[-1]) == (2, 5, 1)
    assert [one.asked for one in dry.classes] == [1, 0, 1]
    assert dry.wrong.expected == pytest.approx(0.65)
    assert (dry.wrong.low, dry.wrong.high, dry.wrong.checked) == (0, 5, 0)  # nothing is audited
    assert seen.expected is not None
    assert (seen.expected.asked, seen.expected.accepted, seen.expected.deferred) == (2, 5, 1)
    with project.store.read() as unit:
        assert unit.generated.all() == []

    run = streams.start(project, plan)
    assert streams.current(project) == run
    assert do_jobs(project).state == "done"
    (view,) = streams.runs(project)
    assert (view.run.state, view.run.reason) == ("finished", streams_run.PASSED)
    assert (view.run.asked, view.run.accepted, view.run.deferred, view.left) == (2, 5, 1, 1)
    assert (view.plan, view.model_round, view.outdated, view.job) == (plan, 0, False, None)
    with project.store.read() as unit:
        entries = unit.queue.entries()
        labels = unit.generated_labels.of(range(1, 9))
        classes = [one.id for one in unit.classes.all()]
    assert [one.item_id for one in entries] == [2, 6]
    assert {one.strategy for one in entries} == {"fixed_threshold"}
    assert [one.score for one in entries] == pytest.approx([0.5, 0.45])
    assert [one.suggestion_class_id for one in entries] == [classes[0], classes[2]]
    assert sorted(labels) == [1, 3, 4, 5, 7]
    assert [labels[i].class_id for i in (1, 4)] == classes[:2]


def test_every_decision_can_be_decided_again_from_the_log(tmp_path: Path) -> None:
    sure = np.random.default_rng(3).uniform(0.3, 1, 300)
    project = pool(tmp_path / "p", sure.tolist(), budget=40)
    run = streams.start(project, StreamPlan(strategy="split", seed=9))
    do_jobs(project)
    with project.store.read() as unit:
        ended = unit.generated.get(run.id)
        log = unit.generated_labels.decisions(run.id, limit=1_000)
    first = StreamState.from_json(run.params["machine"])
    last = replay(first, [Decision.from_json(one.detail) for one in log])
    assert last.to_json() == ended.machine
    assert last.asked == ended.asked > 0


def test_what_waits_and_what_is_generated_do_not_pass_again(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.5, 0.99, 0.98, 0.5, 0.7], [0] * 5, budget=10)
    add_items(project, ["audit", "audit"], start=5)
    with project.store.write() as unit:
        model = unit.models.in_use()
        assert model is not None
    say(project, 4, 1)  # a person has labelled one
    streams.start(project, fixed())
    do_jobs(project)
    with project.store.read() as unit:
        decided = unit.generated_labels.decisions(1)
        assert [one.item_id for one in decided] == [1, 2, 3, 5]
        assert [one.outcome for one in decided] == ["ask", "accept", "accept", "defer"]
        assert unit.generated_labels.arrivals().tolist() == [5]
    streams.start(project, fixed())
    do_jobs(project)
    with project.store.read() as unit:
        assert [one.item_id for one in unit.generated_labels.decisions(2)] == [5]


def test_the_audit_is_kept_back_and_queued_blind(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.5] * 20 + [0.99] * 100, [0] * 120, budget=20)
    everything = fixed(audit_share=0.05, error=0.05, options={"threshold": 1.0})
    seen = streams.outlook(project, everything)
    assert (seen.audits, seen.labels_left) == (5, 15)
    streams.start(project, everything)
    result = do_jobs(project).result
    assert result is not None
    assert result["asked"] == 15  # not 20: five labels are for the audit
    assert result["accepted"] > 60
    share = result["accepted"] * 0.05
    assert int(share) <= result["audits"] <= int(share) + 1
    with project.store.read() as unit:
        audits = [one for one in unit.queue.entries(1_000) if one.strategy == "stream_audit"]
        assert unit.queue.counts().waiting == 15 + len(audits)
    assert len(audits) == result["audits"]
    assert all(one.blind and one.suggestion_class_id is None for one in audits)


def test_without_a_limit_one_batch_is_asked(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.5] * 30, batch=7)
    seen = streams.outlook(project, fixed())
    assert (seen.labels_left, seen.budget_left) == (7, None)
    assert "one batch at most: 7" in " ".join(seen.notes)
    assert streams.outlook(project, fixed(ask_at_most=9)).labels_left == 9


def test_a_sample_stands_for_a_large_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = pool(tmp_path / "p", [0.5, 0.9] * 32, [0] * 64, budget=10)
    whole = streams.outlook(project, fixed())
    monkeypatch.setattr("labeller.services.streams_pool.sampled.__defaults__", (10,))
    monkeypatch.setattr("labeller.services.streams_pool.PAGE", 9)
    part = streams.outlook(project, fixed())
    assert (whole.sample, whole.items, part.items) == (64, 64, 64)
    assert 5 <= part.sample <= 10
    assert part.questions[-1] == whole.questions[-1] == 64
    assert "Reckoned on" in " ".join(part.notes)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (StreamPlan(strategy="margin"), r"'margin' is no stream strategy\. .*split"),
        (StreamPlan(error=0), "above 0 and at most 0.5"),
        (StreamPlan(error=math.nan), "above 0 and at most 0.5"),
        (StreamPlan(ask_at_most=0), "Give at least 1"),
        (StreamPlan(audit_share=1.5), "from 0 to 1"),
        (StreamPlan(seed=-1), "from 0"),
        (StreamPlan("variable_threshold", options={"step": 7}), "step must be a share"),
        (StreamPlan(options={"speed": 7}), "budget_ratio has no option speed. Its options: none"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path: Path, plan: StreamPlan, said: str) -> None:
    project = pool(tmp_path / "p", [0.5] * 3, budget=3)
    with pytest.raises(StreamRunError, match=said):
        streams.start(project, plan)
    with pytest.raises(StreamRunError, match=said):
        streams.dry_run(project, plan)
    why_not = streams.outlook(project, plan).why_not
    assert why_not
    with project.store.read() as unit:
        assert unit.generated.all() == []
        assert unit.jobs.all() == []


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.9] * 3, budget=0)
    assert "No budget is left" in str(streams.outlook(project, fixed()).why_not)
    with pytest.raises(StreamRunError, match="No budget is left"):
        streams.start(project, fixed())
    budget.set_total(project, 5)
    with project.store.read() as unit:
        record = unit.predictions.get(1)
    assert record is not None
    file = project.file(record.file)
    file.rename(file.with_name("away"))
    with pytest.raises(StreamRunError, match=r"predictions-round-0000\.f32.* are missing"):
        streams.start(project, fixed())
    file.with_name("away").rename(file)
    with project.store.write() as unit:
        unit.predictions.drop(1)
    with pytest.raises(StreamRunError, match="no predictions any more"):
        streams.dry_run(project, fixed())
    empty = pool(tmp_path / "q", [], budget=5)
    with pytest.raises(StreamRunError, match="No item is left to pass"):
        streams.start(empty, fixed())


def test_without_a_model_there_is_no_stream(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "b"], budget=9)
    seen = streams.outlook(project, StreamPlan())
    assert "no model yet" in str(seen.why_not)
    assert (seen.items, seen.classes, len(seen.thresholds)) == (0, (), 0)
    assert streams.runs(project) == []
    assert streams.current(project) is None
    assert streams.follow_arrivals(project) is None


def test_one_stream_at_a_time(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.5, 0.9] * 10, budget=30)
    run = streams.start(project, fixed())
    with pytest.raises(StreamRunError, match="Run 1 is not finished"):
        streams.start(project, fixed())
    with pytest.raises(JobError, match="already"):
        streams.go_on(project, run.id)
    with pytest.raises(StreamRunError, match="Cancel its job first"):
        streams.finish(project, run.id)
    with pytest.raises(StreamRunError, match="Cancel its job first"):
        streams.decide(project, run.id, "accepted", "ann")
    (view,) = streams.runs(project)
    assert view.job is not None
    jobs.cancel(project, view.job.id)
    assert streams.finish(project, run.id).state == "finished"
    with pytest.raises(StreamRunError, match="is finished: Ended by a person"):
        streams.go_on(project, run.id)
    assert streams.start(project, fixed()).id == 2
    for call in (streams.go_on, streams.finish, streams.audit, streams.ask_audit):
        with pytest.raises(StreamRunError, match="no run of generated labels with number 9"):
            call(project, 9)


def test_a_verdict_takes_all_labels_back_and_brings_them_again(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.99] * 50, [0] * 50, budget=30)
    run = streams.start(project, fixed(audit_share=0.2))
    do_jobs(project)
    assert streams.audit(project, run.id).open == 10
    with pytest.raises(StreamRunError, match="is no verdict"):
        streams.decide(project, run.id, "maybe", "ann")  # type: ignore[arg-type]
    with pytest.raises(StreamRunError, match="name"):
        streams.decide(project, run.id, "accepted", " ")
    assert streams.decide(project, run.id, "accepted", "ann").verdict_by == "ann"
    back = streams.decide(project, run.id, "rolled_back", "bob")
    assert (back.verdict, back.verdict_by) == ("rolled_back", "bob")
    with project.store.read() as unit:
        assert unit.queue.counts().waiting == 0  # nobody is asked what nobody needs
        assert len(unit.generated_labels.ids()) == 0
        assert len(unit.generated_labels.arrivals()) == 50
    with pytest.raises(StreamRunError, match="rolled back, so there is nothing to audit"):
        streams.ask_audit(project, run.id)
    assert streams.decide(project, run.id, "open", "ann").verdict == "open"
    with project.store.read() as unit:
        assert unit.queue.counts().waiting == 10
        assert len(unit.generated_labels.ids()) == 50
    streams.decide(project, run.id, "rolled_back", "bob")
    other = streams.start(project, fixed())
    do_jobs(project)
    with pytest.raises(StreamRunError, match="50 of its items have a generated label"):
        streams.decide(project, run.id, "open", "ann")
    assert streams.decide(project, other.id, "accepted", "ann").verdict == "accepted"


@pytest.mark.parametrize("strategy", [one for one in streams.names() if one != "fixed_threshold"])
def test_the_labels_last_for_the_pool(tmp_path: Path, strategy: str) -> None:
    sure = np.random.default_rng(5).uniform(0.4, 1, 1_000).tolist()
    project = pool(tmp_path / "p", sure, budget=10)
    tried = streams.dry_run(project, StreamPlan(strategy=strategy, audit_share=0.0))
    assert tried.asked >= 9
    assert tried.seen - tried.unreached > 800  # in a window of 100 items, after 480
    first = int(np.searchsorted(tried.asked_curve, 3))
    assert tried.positions[first] > 50  # no burst at the beginning


@pytest.mark.parametrize("strategy", streams.names())
@pytest.mark.parametrize("tried", [10_000, 300])
def test_what_is_expected_is_what_then_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, tried: int
) -> None:
    monkeypatch.setattr(streams_dry_run, "TRIED", tried)
    sure = np.random.default_rng(8).beta(5, 1, 900).clip(0.34, 1).tolist()
    project = pool(tmp_path / "p", sure, budget=150)
    options = {"threshold": 0.7} if strategy == "fixed_threshold" else {}
    plan = StreamPlan(strategy, audit_share=0.0, options=options)
    seen = streams.outlook(project, plan).expected
    assert seen is not None
    assert seen.tried == min(tried, 900)
    streams.start(project, plan)
    do_jobs(project)
    (view,) = streams.runs(project)
    happened = view.run.asked, view.run.accepted, view.run.deferred
    told = seen.asked, seen.accepted, seen.deferred
    if tried > len(sure):
        assert told == happened
    assert told == pytest.approx(happened, rel=0.1, abs=15)


def test_the_usual_stream_asks_about_the_least_sure(tmp_path: Path) -> None:
    sure = np.random.default_rng(9).uniform(0.34, 1, 600)
    project = pool(tmp_path / "p", sure.tolist(), budget=60)
    run = streams.start(project, StreamPlan(audit_share=0.0))
    assert run.strategy == "budget_ratio"
    do_jobs(project)
    with project.store.read() as unit:
        asked = [one.item_id - 1 for one in unit.queue.entries(1_000)]
        log = unit.generated_labels.decisions(run.id, limit=1_000)
    assert len(asked) == 60
    assert len(set(np.argsort(sure)[:60].tolist()) & set(asked)) >= 59
    state = StreamState.from_json(run.params["machine"])
    assert replay(state, [Decision.from_json(one.detail) for one in log]).left == 0


def test_the_audit_set_says_how_many_labels_will_be_wrong(tmp_path: Path) -> None:
    # the model says 0.9 of everything, and is right in six of ten audit images
    project = create_project(tmp_path / "p", CLASSES, budget=100, start_workers=False)
    ids = add_items(project, ["train"] * 300) + add_items(project, ["audit"] * 40, start=300)
    add_model(project, ids, probabilities([0.9] * 340, [0] * 340))
    assert streams.outlook(project, fixed(error=0.2)).expected is not None
    unknown = streams.dry_run(project, fixed(error=0.2))
    assert (unknown.accepted, unknown.wrong.checked) == (300, 0)
    assert unknown.wrong.expected == pytest.approx(30)
    for place, item in enumerate(ids[300:]):
        say(project, item, 0 if place % 10 < 6 else 1)
    assert "too few to say" not in " ".join(streams.outlook(project, fixed()).notes)
    known = streams.dry_run(project, fixed(error=0.5))
    assert (known.accepted, known.wrong.checked) == (300, 40)
    assert known.wrong.expected == pytest.approx(120, abs=12)  # drawn a little towards 30
    assert known.wrong.low < 120 < known.wrong.high
    assert sum(one.errors for one in known.classes) == pytest.approx(known.wrong.expected)
    assert streams.dry_run(project, fixed(error=0.2)).accepted == 0  # more than that are wrong
    spread = propagation.outlook(project, propagation.PropagationPlan(confidence=0.89))
    assert spread.wrong is not None
    assert spread.wrong == known.wrong
