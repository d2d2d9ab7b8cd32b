"""A prediction's job that is killed at an image: ``killed_prediction.py PROJECT JOB IMAGES``."""

from __future__ import annotations

import os
import signal
import sys

from labeller import jobs
from labeller.project import open_project
from labeller.services import predicting, prediction_files
from labeller.services.import_sources import Candidate
from labeller.services.prediction_images import Places
from tests.predicted import COMMAND

if __name__ == "__main__":
    left = int(sys.argv[3])
    note = Places.note

    def dying(places: Places, candidate: Candidate) -> None:
        """End as the kernel ends a process that ran out of memory, between note and row."""
        global left
        note(places, candidate)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Places, "note", dying)  # noqa: B010 - mypy knows that it is a method
    predicting.COMMAND = COMMAND
    prediction_files.KEPT_SECONDS = 0.0
    jobs.run(open_project(sys.argv[1]), int(sys.argv[2]))
