"""Job rows: claimed once, beating, cancelled, reaped."""

from __future__ import annotations

import pytest

from store.errors import JobActive, NotFound
from store.records import JobRecord
from store.store import Store
from tests.store.build import Clock


def add(store: Store, kind: str = "round", exclusive: bool = True) -> JobRecord:
    with store.write() as unit:
        return unit.jobs.add(kind, {"strategy": "margin"}, exclusive)


def claim(store: Store, job_id: int | None = None) -> JobRecord | None:
    with store.write() as unit:
        return unit.jobs.claim("host", 42, job_id)


def test_a_job_from_waiting_to_done(store: Store, clock: Clock) -> None:
    job = add(store)
    assert (job.state, job.active, job.params) == ("waiting", True, {"strategy": "margin"})
    clock.now += 1
    running = claim(store)
    assert running is not None
    assert (running.state, running.host, running.pid) == ("running", "host", 42)
    assert running.started_at == running.heartbeat_at == clock.now
    clock.now += 1
    with store.write() as unit:
        assert unit.jobs.beat(job.id, 0.5, "train", "epoch 3", {"losses": [1.0, 0.5]})
        assert unit.jobs.beat(job.id)
    with store.read() as unit:
        now = unit.jobs.get(job.id)
    assert (now.progress, now.stage, now.message) == (0.5, "train", "epoch 3")
    assert (now.detail, now.heartbeat_at) == ({"losses": [1.0, 0.5]}, clock.now)
    with store.write() as unit:
        assert unit.jobs.finish(job.id, "done", {"accuracy": float("nan"), "n": 3})
        assert not unit.jobs.finish(job.id, "failed", error="late")
        assert not unit.jobs.beat(job.id, 0.1)
        ended = unit.jobs.get(job.id)
        assert unit.jobs.active() == []
    assert (ended.state, ended.progress, ended.error) == ("done", 1.0, None)
    assert ended.result == {"accuracy": None, "n": 3}
    assert ended.finished_at == clock.now


def test_exclusive_jobs(store: Store) -> None:
    first = add(store)
    with pytest.raises(JobActive, match=rf"round job \(number {first.id}\) waits or runs already"):
        add(store)
    add(store, "import")
    add(store, exclusive=False)
    claim(store, first.id)
    with store.write() as unit:
        # The transaction goes on after the refusal.
        with pytest.raises(JobActive):
            unit.jobs.add("round", {}, True)
        assert unit.jobs.finish(first.id, "failed", error="no memory")
        assert unit.jobs.add("round", {}, True).id > first.id
        assert len(unit.jobs.active("round")) == 2
        assert [job.id for job in unit.jobs.all(limit=2)] == sorted(
            (job.id for job in unit.jobs.all()), reverse=True
        )[:2]


def test_claim_by_number_and_kind(store: Store) -> None:
    import_job, round_job = add(store, "import"), add(store)
    with store.write() as unit:
        found = unit.jobs.claim("host", 1, kinds=["round"])
        assert found is not None
        assert found.id == round_job.id
        assert unit.jobs.claim("host", 1, job_id=round_job.id) is None
        assert unit.jobs.claim("host", 1, kinds=["round"]) is None
        oldest = unit.jobs.claim("host", 1)
        assert oldest is not None
        assert oldest.id == import_job.id
        with pytest.raises(NotFound, match="no job with number 99"):
            unit.jobs.get(99)


def test_cancel(store: Store) -> None:
    waiting = add(store)
    with store.write() as unit:
        assert unit.jobs.request_cancel(waiting.id)
        assert unit.jobs.get(waiting.id).state == "cancelled"
        assert not unit.jobs.request_cancel(waiting.id)
    running = add(store)
    claim(store)
    with store.write() as unit:
        assert not unit.jobs.cancel_requested(running.id)
        assert unit.jobs.request_cancel(running.id)
        assert unit.jobs.cancel_requested(running.id)
        assert unit.jobs.get(running.id).state == "running"
        assert unit.jobs.finish(running.id, "cancelled")
        assert not unit.jobs.cancel_requested(99)


def test_a_job_that_never_began_can_be_abandoned(store: Store) -> None:
    job = add(store)
    with store.write() as unit:
        assert unit.jobs.abandon(job.id, "no such program")
        assert not unit.jobs.abandon(job.id, "again")
        ended = unit.jobs.get(job.id)
    assert (ended.state, ended.error) == ("failed", "no such program")
    assert claim(store) is None


def test_silent_and_dead_jobs_are_reaped(store: Store, clock: Clock) -> None:
    silent, dead, lively = (add(store, exclusive=False) for _ in range(3))
    waiting = add(store, exclusive=False)
    for job in (silent, dead, lively):
        claim(store, job.id)
    clock.now += 50
    with store.write() as unit:
        unit.jobs.beat(dead.id)
        unit.jobs.beat(lively.id)
    clock.now += 11
    with store.write() as unit:
        reaped = unit.jobs.reap(60, lambda job: job.id == dead.id, lambda job: f"job {job.id} fell")
        assert [job.id for job in reaped] == [silent.id, dead.id]
        assert {job.state for job in reaped} == {"failed"}
        assert reaped[1].error == f"job {dead.id} fell"
        assert unit.jobs.reap(60, lambda _: False, "silent") == []
        assert {job.id for job in unit.jobs.active()} == {lively.id, waiting.id}
        assert not unit.jobs.beat(silent.id)
        clock.now += 61
        assert [job.error for job in unit.jobs.reap(60, lambda _: False, "silent")] == ["silent"]
