"""A job process that is killed at a chosen moment of a round: ``killed.py PROJECT JOB MOMENT``."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import Any, NoReturn

from labeller import jobs
from labeller.learning import checkpoints, round_job, saved, tidy, training
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.learning.fitting import Report
from labeller.project import open_project
from store.models_ import Models


def die() -> NoReturn:
    """End as the kernel ends a process that ran out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


SHORT = partial(FineTuneConfig, examples=1, least=3)
SOON = ((training, "FineTuneConfig", SHORT), (checkpoints, "EVERY", 0.0))


def set_trap(moment: str) -> None:
    """Make the round end at a moment."""
    for module, constant, value in SOON:
        setattr(module, constant, value)
    owner, name = TRAPS[moment]
    real = getattr(owner, name)
    first = real if moment in AFTER else lambda *_given: None
    setattr(owner, name, lambda *given: (first(*given), die()))


AFTER = ("inside the last transaction", "after a checkpoint")
TRAPS: dict[str, tuple[Any, str]] = {
    "training": (Report, "after_epoch"),
    "after a checkpoint": (checkpoints, "write"),
    "before the model's folder is renamed": (saved, "publish"),
    "before the last transaction": (round_job, "_finish"),
    "inside the last transaction": (Models, "add"),
    "after the last transaction": (tidy, "delete_forgotten"),
}


if __name__ == "__main__":
    set_trap(sys.argv[3])
    jobs.run(open_project(sys.argv[1]), int(sys.argv[2]))
