"""Processes that render previews: they stay for a while, so that a slider is followed at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from labeller.services.synthesis_rendering import COMMAND, cores
from labeller.services.worker_pool import Pool

WARM_SECONDS = 90.0  # after the last picture
WORKERS = 2  # a preview is a dozen pictures


class Warm:
    """A pool of rendering processes for one caller at a time, ended when nobody asks any more.

    Parameters
    ----------
    seconds : float
        How long the processes wait for the next preview.
    """

    def __init__(self, seconds: float = WARM_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pool: Pool | None = None
        self._config: Mapping[str, Any] = {}
        self._end: threading.Timer | None = None

    @property
    def running(self) -> bool:
        """Whether processes wait."""
        return self._pool is not None

    @contextmanager
    def lent(self, config: Mapping[str, Any], workers: int) -> Iterator[Pool]:
        """Lend the pool, started or as it is; others wait for it.

        Parameters
        ----------
        config : mapping
            What the processes are told first; another one than before starts others.
        workers : int
            How many processes, where they are started; `WORKERS` at most.

        Raises
        ------
        WorkerError
            When they cannot be started.
        """
        with self._lock:
            if self._end is not None:
                self._end.cancel()
            if self._pool is not None and config != self._config:
                self._close()
            if self._pool is None:
                self._pool = Pool(COMMAND, max(1, min(workers, WORKERS, cores())), config)
                self._config = dict(config)
            try:
                yield self._pool
            except BaseException:
                self._close()  # nobody knows what it was about to answer
                raise
            if self._pool.outstanding:
                self._close()
                return
            self._end = threading.Timer(self._seconds, self.close)
            self._end.daemon = True
            self._end.start()

    def close(self) -> None:
        """End the processes, when they are not lent."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.__exit__(None, None, None)


PREVIEWS = Warm()
