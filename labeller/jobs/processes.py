"""Operating-system side of jobs: start a process, tell whether it lives, say how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from labeller.processes import make_command, start_process
from labeller.project import Project

LINE_LIMIT = 300


def log_file(project: Project, job_id: int) -> Path:
    """Return where the output of a job process goes."""
    return project.logs / f"job-{job_id}.log"


def command(project: Project, job_id: int) -> tuple[str, ...]:
    """Return the command line of a job process."""
    return make_command("labeller", "worker", str(project.root), "--job", str(job_id))


def spawn(project: Project, job_id: int) -> subprocess.Popen[bytes]:
    """Start the process of a job in its own session and process group, output to its log.

    Raises
    ------
    OSError
        When the process or its log cannot be made.
    """
    more = {
        "OMP_WAIT_POLICY": "passive",  # else waiting torch threads spin and slow everything
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
    }
    project.logs.mkdir(exist_ok=True)
    with log_file(project, job_id).open("ab") as log:
        return start_process(
            command(project, job_id),
            more,
            stdout=log,
            stderr=subprocess.STDOUT,
            own_session=True,
        )


def kill_group(pid: int) -> None:
    """End every process of a job's group at once."""
    if pid > 1 and pid != os.getpgrp():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def ending(returncode: int) -> str:
    """Say how a process ended, from what its parent learned."""
    if returncode >= 0:
        return f"ended by itself with exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "unknown"
    hint = " (out of memory, or ended by hand)" if -returncode == signal.SIGKILL else ""
    return f"was killed by signal {-returncode} {name}{hint}"


def last_line(path: Path) -> str:
    """Return the last line with text of a log, shortened; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    texts = [line.strip() for line in lines if line.strip()]
    return texts[-1][:LINE_LIMIT] if texts else ""
