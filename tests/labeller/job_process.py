"""The command line, knowing the kinds of jobs made for tests."""

from __future__ import annotations

import sys

from labeller.cli import main
from labeller.jobs import kinds, processes
from labeller.project import Project
from tests.labeller.job_kinds import KINDS


def command(project: Project, job_id: int) -> tuple[str, ...]:
    """Return the command line of a job process that is this module."""
    program = (sys.executable, "-P", "-m", "tests.labeller.job_process")
    return (*program, "worker", str(project.root), "--job", str(job_id))


if __name__ == "__main__":
    kinds.KINDS.update(KINDS)
    processes.command = command
    main()
