"""A synthesis job that is killed at a chosen moment: ``killed_synthesis.py PROJECT JOB MOMENT``."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from labeller import jobs
from labeller.learning import synthesis_job
from labeller.project import open_project
from labeller.services import synthesis_making
from store.synthetic import SyntheticItems

BATCH = 4


def set_trap(moment: str) -> None:
    """Make the job end at a moment; children are stored four at a time."""
    synthesis_making.BATCH = BATCH
    owner, name, after = TRAPS[moment]
    real: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def trap(*given: Any, **named: Any) -> Any:
        answer = real(*given, **named)
        if next(calls) == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, trap)


#: what is called, and after which of its calls the process ends
TRAPS: dict[str, tuple[Any, str, int]] = {
    "the plan is written, the run not entered": (synthesis_job, "write_plans", 1),
    "some are rendered, none is stored": (synthesis_making, "sync_file", 1),
    "inside the second transaction": (SyntheticItems, "add", 2),
    "after the last transaction": (synthesis_making, "sweep", 1),
}


if __name__ == "__main__":
    set_trap(sys.argv[3])
    jobs.run(open_project(sys.argv[1]), int(sys.argv[2]))
