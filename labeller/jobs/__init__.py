"""The job table's other half: start a job process, watch it, cancel it, reap it.

The row is the only truth about a job. A service calls :func:`submit`, which inserts the row and
starts ``python -m labeller worker PROJECT --job ID`` in a process group of its own; that process
calls :func:`run`. A machine that shares the database may take waiting jobs with :func:`serve`.
"""

from labeller.jobs.control import cancel, reap, submit
from labeller.jobs.progress import JobProgress
from labeller.jobs.worker import run, serve

__all__ = ["JobProgress", "cancel", "reap", "run", "serve", "submit"]
