"""Jobs made for tests; each behaves as one kind of good or bad work does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from labeller.errors import JobCancelled, TrainingDataError
from labeller.jobs import JobProgress
from labeller.jobs import progress as beating
from labeller.project import Project
from store.records import JobRecord

NAP = 0.05  # seconds of a step


def nap(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Work in small steps that look whether to stop."""
    steps = int(job.params.get("steps", 20))
    for step in range(steps):
        progress.check()
        time.sleep(NAP)
        progress.update("nap", step + 1, steps, f"step {step + 1}", loss=1 / (step + 1))
    print("had a good nap", flush=True)
    return {"steps": steps, "pid": os.getpid()}


def stubborn(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Never look whether to stop; for this kind alone, patience is short."""
    beating.GRACE_SECONDS = 2.0
    progress.update("deaf", 0, None)
    time.sleep(600)
    return {}


def slow_start(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Take long before the first sign, as the import of torch does."""
    time.sleep(600)
    return {}


def refuse(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Fail with an error whose text is meant for the person."""
    raise TrainingDataError("Two classes are needed, there is one. Label another.")


def crash(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Fail with a fault of the program."""
    raise ValueError("shapes (3,) and (4,) differ")


def segfault(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """End as a fault in native code does."""
    print("about to fall over", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
    return {}


def parent(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Start a child process and wait for it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    progress.update("child", 0, None, str(child.pid))
    child.wait()
    return {}


def partial(project: Project, job: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Keep what is done when told to stop, as an import does."""
    done = 0
    try:
        while True:
            progress.check()
            time.sleep(0.05)
            done += 1
            progress.update("import", done, None)
    except JobCancelled:
        return {"added": done, "cancelled": True}


KINDS = {
    function.__name__: f"tests.labeller.job_kinds:{function.__name__}"
    for function in (nap, stubborn, slow_start, refuse, crash, segfault, parent, partial)
} | {"unimportable": "no_such_package.at_all:run"}
