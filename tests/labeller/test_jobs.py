"""Jobs, with real processes on a real database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from labeller import jobs
from labeller.errors import JobCancelled, JobError, JobLost
from labeller.jobs import control, kinds, processes, worker
from labeller.jobs.pace import Estimate, Pace
from labeller.project import Project, change_settings, create_project
from store.alive import host, identity
from store.records import JobRecord
from tests.labeller.job_kinds import KINDS, NAP
from tests.labeller.job_process import command

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds: what a busy machine may take for a process to start and to end


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose job processes know the kinds of jobs made for tests."""
    for name, handler in KINDS.items():
        monkeypatch.setitem(kinds.KINDS, name, handler)
    monkeypatch.setattr(processes, "command", command)
    made = create_project(tmp_path / "project", ["a", "b"])
    yield made
    with made.store.read() as unit:
        pids = [job.pid for job in unit.jobs.active() if job.pid]
    for pid in pids:
        processes.kill_group(pid)
    made.store.close()


def until(project: Project, job_id: int, holds: Callable[[JobRecord], bool]) -> JobRecord:
    """Wait until a job's row is as wanted."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        job = control.get(project, job_id)
        if holds(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"job {job_id} stayed {job}")


def ended(project: Project, job_id: int) -> JobRecord:
    return until(project, job_id, lambda job: not job.active)


def running(project: Project, job_id: int, stage: str) -> JobRecord:
    return until(project, job_id, lambda job: job.state == "running" and job.stage == stage)


def insert(project: Project, kind: str = "nap", **params: Any) -> JobRecord:
    """Insert a row that no process was started for."""
    with project.store.write() as unit:
        return unit.jobs.add(kind, params, exclusive=True)


def test_a_job_runs_in_its_own_process_and_group_and_tells_how_far_it_is(project: Project) -> None:
    job = jobs.submit(project, "nap", {"steps": 60})
    assert job.state == "waiting"
    seen = until(project, job.id, lambda job: job.detail.get("eta") is not None)
    assert seen.pid is not None
    assert seen.started_at is not None
    assert seen.heartbeat_at is not None
    assert os.getpgid(seen.pid) == seen.pid != os.getpgrp()
    assert 0 < seen.progress < 1
    steps = seen.detail["done"]
    rate = seen.detail["rate"]  # a step sleeps 0.05 s; a busy machine adds to that
    assert (steps - 1) / (seen.heartbeat_at - seen.started_at) <= rate <= 1 / NAP
    assert 0 <= seen.detail["eta"] <= (60 - steps) / rate
    assert seen.detail["loss"] == pytest.approx(1 / steps)
    done = ended(project, job.id)
    assert (done.state, done.error, done.progress) == ("done", None, 1.0)
    assert done.result == {"steps": 60, "pid": done.pid}
    assert done.started_at is not None
    assert done.finished_at is not None
    assert 59 * NAP <= done.detail["stages"]["nap"] <= done.finished_at - done.started_at
    assert "had a good nap" in (project.logs / f"job-{job.id}.log").read_text()


def test_the_ended_process_leaves_no_zombie(project: Project) -> None:
    job = ended(project, jobs.submit(project, "nap", {"steps": 1}).id)
    end = time.monotonic() + PATIENCE
    while any(child.pid == job.pid for child in psutil.Process().children()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_cancel_stops_a_running_job(project: Project) -> None:
    job = jobs.submit(project, "nap", {"steps": 1_000})
    running(project, job.id, "nap")
    assert jobs.cancel(project, job.id).cancel_requested
    stopped = ended(project, job.id)
    assert (stopped.state, stopped.error, stopped.result) == ("cancelled", None, None)
    with pytest.raises(JobError, match="ended already"):
        jobs.cancel(project, job.id)


def test_cancel_of_a_waiting_job_is_at_once_and_frees_the_kind(project: Project) -> None:
    idle = change_settings(project, start_workers=False)
    job = jobs.submit(idle, "nap", {})
    assert jobs.cancel(idle, job.id).state == "cancelled"
    assert jobs.run(idle, job.id) is None
    assert jobs.submit(idle, "nap", {}).state == "waiting"


def test_a_cancelled_job_may_keep_what_it_has(project: Project) -> None:
    job = jobs.submit(project, "partial", {})
    running(project, job.id, "import")
    jobs.cancel(project, job.id)
    stopped = ended(project, job.id)
    assert stopped.state == "cancelled"
    assert stopped.result is not None
    assert stopped.result["added"] > 0


@pytest.mark.parametrize(("kind", "stage"), [("stubborn", "deaf"), ("slow_start", "start")])
def test_a_job_that_never_looks_is_ended_by_force(project: Project, kind: str, stage: str) -> None:
    job = jobs.submit(project, kind, {})
    pid = running(project, job.id, stage).pid
    jobs.cancel(project, job.id)
    assert ended(project, job.id).state == "cancelled"
    assert pid is not None
    end = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_sigkill_marks_the_job_and_its_round_failed_with_the_reason(project: Project) -> None:
    job = jobs.submit(project, "nap", {"steps": 1_000})
    with project.store.write() as unit:
        round_ = unit.rounds.start("margin", 10, job.id, 0, 0.0)
    pid = running(project, job.id, "nap").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    failed = ended(project, job.id)
    assert failed.state == "failed"
    assert "killed by signal 9 SIGKILL" in (failed.error or "")
    with project.store.read() as unit:
        after = unit.rounds.get(round_.id)
    assert (after.state, after.error) == ("failed", failed.error)
    assert jobs.submit(project, "nap", {"steps": 1}).state == "waiting"  # the next one is possible


def test_a_crash_in_native_code_names_the_signal_and_keeps_the_log(project: Project) -> None:
    job = ended(project, jobs.submit(project, "segfault", {}).id)
    assert job.state == "failed"
    assert "signal 11 SIGSEGV" in (job.error or "")
    assert "about to fall over" in (project.logs / f"job-{job.id}.log").read_text()


def test_sigterm_ends_a_job_cleanly_as_failed(project: Project) -> None:
    job = jobs.submit(project, "nap", {"steps": 1_000})
    pid = running(project, job.id, "nap").pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    stopped = ended(project, job.id)
    assert stopped.state == "failed"
    assert "SIGTERM" in (stopped.error or "")


def test_a_signal_that_comes_after_the_work_does_not_spoil_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = control.finish

    def interrupted(*given: Any, **more: Any) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return finish(*given, **more)

    monkeypatch.setattr(control, "finish", interrupted)
    insert(project, "nap", steps=1)
    done = jobs.run(project)
    assert done is not None
    assert (done.state, done.error) == ("done", None)


def test_expected_errors_are_said_and_faults_are_logged(project: Project) -> None:
    refused = ended(project, jobs.submit(project, "refuse", {}).id)
    assert refused.error == "Two classes are needed, there is one. Label another."
    crashed = ended(project, jobs.submit(project, "crash", {}).id)
    assert crashed.error is not None
    assert crashed.error.startswith("ValueError: shapes (3,) and (4,) differ")
    assert "Traceback" not in crashed.error
    log = project.logs / f"job-{crashed.id}.log"
    assert str(log) in crashed.error
    assert "Traceback" in log.read_text()


def test_a_worker_that_cannot_import_its_handler_fails_the_job(project: Project) -> None:
    job = ended(project, jobs.submit(project, "unimportable", {}).id)
    assert job.state == "failed"
    assert "no_such_package" in (job.error or "")


def test_a_worker_that_cannot_start_fails_the_job_with_its_last_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [sys.executable, "-c", "import no_such_module"]
    monkeypatch.setattr(processes, "command", lambda *_: broken)
    job = ended(project, jobs.submit(project, "nap", {}).id)
    assert job.state == "failed"
    assert "exit code 1" in (job.error or "")
    assert "No module named 'no_such_module'" in (job.error or "")
    monkeypatch.setattr(processes, "command", lambda *_: ["/no/such/python"])
    job = ended(project, jobs.submit(project, "nap", {}).id)
    assert "cannot be started" in (job.error or "")


def test_a_second_exclusive_job_of_a_kind_is_refused(project: Project) -> None:
    first = jobs.submit(project, "nap", {"steps": 1_000})
    with pytest.raises(JobError, match=str(first.id)):
        jobs.submit(project, "nap", {})
    with pytest.raises(JobError, match="unknown kind"):
        jobs.submit(project, "knit", {})
    jobs.cancel(project, first.id)
    ended(project, first.id)


def test_children_of_a_killed_job_do_not_outlive_it(project: Project) -> None:
    job = jobs.submit(project, "parent", {})
    row = running(project, job.id, "child")
    child, pid = int(row.message), row.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ended(project, job.id)
    end = time.monotonic() + PATIENCE
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def claim_as(project: Project, machine: str, pid: int, born: str | None) -> JobRecord:
    """Insert a job that somebody else's process runs."""
    job = insert(project)
    with project.store.write() as unit:
        unit.jobs.claim(machine, pid, job_id=job.id)
        unit.jobs.beat(job.id, 0.5, "nap", "", {"process": born})
    return control.get(project, job.id)


def test_reap_notices_a_process_that_is_gone(project: Project) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    job = claim_as(project, host(), process.pid, "boot-1")
    assert [reaped.id for reaped in jobs.reap(project)] == [job.id]
    failed = control.get(project, job.id)
    assert failed.state == "failed"
    assert f"pid {process.pid}" in (failed.error or "")


def test_reap_is_not_fooled_by_a_reused_pid(project: Project) -> None:
    mine = identity(os.getpid())
    alive = claim_as(project, host(), os.getpid(), mine)
    assert jobs.reap(project) == []
    with project.store.write() as unit:
        unit.jobs.beat(alive.id, 0.5, "nap", "", {"process": "another-birth"})
    assert [reaped.id for reaped in jobs.reap(project)] == [alive.id]


def test_reap_waits_for_a_silent_machine_and_watches_it_itself(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claim_as(project, "another-machine", 1, "boot-1")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3_600)
    assert jobs.reap(project) == []  # old by the clock, but nobody has watched it yet
    monkeypatch.setattr(control, "CONFIRM_SECONDS", 0.0)
    assert [reaped.id for reaped in jobs.reap(project)] == [job.id]
    assert "another-machine" in (control.get(project, job.id).error or "")


def test_a_reaped_job_learns_that_it_lost_its_row(project: Project) -> None:
    job = claim_as(project, host(), os.getpid(), None)
    progress = jobs.JobProgress(project, job)
    with progress.beating():
        progress.check()
        with project.store.write() as unit:
            unit.jobs.finish(job.id, "failed", error="reaped")
        end = time.monotonic() + PATIENCE
        while not progress.lost:
            assert time.monotonic() < end
            time.sleep(0.02)
        with pytest.raises(JobLost):
            progress.check()
    assert control.get(project, job.id).error == "reaped"


def test_progress_writes_at_most_four_times_a_second(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claim_as(project, host(), os.getpid(), None)
    progress = jobs.JobProgress(project, job)
    writes: list[float] = []
    write = progress._write

    def counted() -> None:
        writes.append(time.monotonic())
        write()

    monkeypatch.setattr(progress, "_write", counted)
    end = time.monotonic() + PATIENCE
    updates = 0
    with progress.beating():
        while len(writes) < 5:
            assert time.monotonic() < end
            updates += 1
            progress.update("count", updates, None)
            progress.check()
    gaps = [later - earlier for earlier, later in pairwise(writes[:5])]
    assert min(gaps) >= 0.25
    assert updates > 100
    row = control.get(project, job.id)
    assert row.stage == "count"
    assert row.detail["done"] == updates  # the last state is written although it was throttled


def test_losses_that_diverged_reach_the_row_as_null(project: Project) -> None:
    job = claim_as(project, host(), os.getpid(), None)
    progress = jobs.JobProgress(project, job)
    with progress.beating():
        progress.update("train", 1, 2, loss=float("nan"), losses=[0.5, float("inf")])
    detail = control.get(project, job.id).detail
    assert (detail["loss"], detail["losses"]) == (None, [0.5, None])


def test_two_workers_race_for_one_job_and_one_gets_it(project: Project) -> None:
    idle = change_settings(project, start_workers=False)
    for _ in range(3):
        job = jobs.submit(idle, "nap", {"steps": 2})
        racers = [processes.spawn(idle, job.id) for _ in range(2)]
        assert [racer.wait(PATIENCE) for racer in racers] == [0, 0]
        done = control.get(idle, job.id)
        assert done.state == "done"
        assert done.pid in [racer.pid for racer in racers]
        log = (idle.logs / f"job-{job.id}.log").read_text()
        assert log.count("had a good nap") == 1


def test_an_external_worker_takes_what_waits_and_survives_a_crash(project: Project) -> None:
    idle = change_settings(project, start_workers=False)
    first, second, third = (jobs.submit(idle, kind, {}) for kind in ("segfault", "crash", "nap"))
    other = jobs.submit(idle, "refuse", {})
    program = [sys.executable, "-m", "tests.labeller.job_process", "worker", str(idle.root)]
    done = subprocess.run(
        [*program, "--once", "--json", "--kinds", "segfault,crash,nap"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert '"jobs": 3' in done.stdout
    states = [control.get(idle, job.id).state for job in (first, second, third, other)]
    assert states == ["failed", "failed", "done", "waiting"]
    assert "SIGSEGV" in (control.get(idle, first.id).error or "")


def test_an_external_worker_passes_sigterm_on_and_ends(project: Project) -> None:
    idle = change_settings(project, start_workers=False)
    job = jobs.submit(idle, "nap", {"steps": 10_000})
    stop = threading.Event()
    thread = threading.Thread(target=worker.serve, args=(idle,), kwargs={"stop": stop})
    thread.start()
    running(idle, job.id, "nap")
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "SIGTERM" in (ended(idle, job.id).error or "")


def test_a_job_whose_starter_died_is_started_by_whoever_looks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = insert(project, "nap", steps=1)
    assert jobs.reap(project) == []
    assert control.get(project, job.id).state == "waiting"
    monkeypatch.setattr(control, "START_SECONDS", 0.0)
    jobs.reap(project)
    monkeypatch.undo()
    assert ended(project, job.id).state == "done"


def test_a_job_is_run_in_this_process_too(project: Project) -> None:
    job = insert(project, "nap", steps=1)
    done = jobs.run(project, job.id)
    assert done is not None
    assert (done.state, done.result) == ("done", {"steps": 1, "pid": os.getpid()})
    assert jobs.run(project) is None


def test_the_next_job_plans_with_the_stages_of_the_last(project: Project) -> None:
    insert(project, "nap", steps=10)
    last = jobs.run(project)
    assert last is not None
    job = insert(project, "nap", steps=1)
    _, plan = worker._claim(project, job.id, None)
    assert plan == last.detail["stages"]
    assert plan["nap"] >= 9 * NAP


@pytest.mark.parametrize("kind", ["import", "predict"])
def test_a_job_of_another_size_plans_nothing(project: Project, kind: str) -> None:
    for _ in range(2):
        with project.store.write() as unit:
            job = unit.jobs.add(kind, {}, exclusive=True)
        claimed, plan = worker._claim(project, job.id, None)
        assert claimed is not None
        assert plan == {}
        with project.store.write() as unit:
            unit.jobs.beat(job.id, 1.0, "import", "", {"stages": {"import": 9.0}})
            unit.jobs.finish(job.id, "done", result={})


def test_pace_without_a_plan_covers_the_stage() -> None:
    pace = Pace({}, 0.0)
    pace.step("read", 0, 10, 1.0)
    assert pace.at(1.0) == Estimate(0.0, None, None)
    pace.step("read", 4, 10, 3.0)
    assert pace.at(3.0) == Estimate(0.4, 2.0, 3.0)
    assert pace.at(4.0).eta == 2.0  # time passes between two steps, too
    assert pace.at(9.0).eta == 0.0
    pace.step("write", 0, None, 4.0)
    assert pace.at(4.0) == Estimate(0.0, None, None)


def test_pace_with_a_plan_covers_the_whole_job_and_never_goes_back() -> None:
    pace = Pace({"features": 4.0, "train": 10.0, "select": 6.0}, 0.0)
    pace.step("features", 0, 100, 0.0)
    assert pace.at(0.0).eta == 20.0
    pace.step("features", 50, 100, 2.0)
    halfway = pace.at(2.0)
    assert halfway.eta == pytest.approx(2 + 16)
    assert halfway.progress == pytest.approx(2 / 20)
    pace.step("train", 0, 10, 4.0)
    assert pace.at(4.0).eta == pytest.approx(16)
    assert pace.at(7.0).eta == pytest.approx(13)
    pace.step("train", 1, 10, 6.0)  # a slow first epoch: 18 s by its rate, 8 s by the plan
    assert pace.at(6.0).eta == pytest.approx(0.1 * 18 + 0.9 * 8 + 6)
    pace.step("train", 5, 10, 9.0)
    before = pace.at(9.0).progress
    pace.step("train", 6, 10, 30.0)
    assert pace.at(30.0).progress >= before
    assert pace.stages(31.0) == {"features": 4.0, "train": 27.0}


def test_check_tells_why_to_stop(project: Project) -> None:
    job = insert(project)
    progress = jobs.JobProgress(project, job)
    progress.check()
    progress.signal = "SIGTERM"
    with pytest.raises(JobCancelled, match="SIGTERM"):
        progress.check()
