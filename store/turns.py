"""The turns of the threads of one process that write to a SQLite file, one at a time.

SQLite has one write lock. Threads that poll for it are unlucky for long, so they queue here first;
and where another program holds it they must not all wait: those that only read need threads too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from store import plain
from store.errors import StoreBusy

# Where one turn lasts longer than this, somebody else holds the lock: then few wait.
STUCK_SECONDS = 1.0
MOST_WAITING = 8
_LOOK_SECONDS = 0.25


class Turns:
    """A lock for writers that says when it is stuck; a thread may hold it more than once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._guard = threading.Lock()
        self._waiting = 0
        self._since = float("inf")

    @contextmanager
    def take(self, name: str) -> Iterator[float]:
        """Wait for the turn and hold it.

        Parameters
        ----------
        name : str
            What errors call the database.

        Yields
        ------
        float
            The seconds that are left to wait for the database itself.

        Raises
        ------
        StoreBusy
            When the time is over, or too many wait behind a turn that lasts.
        """
        deadline = time.monotonic() + plain.BUSY_SECONDS
        if not self._acquire(deadline):
            raise StoreBusy(
                f"{name}: is locked, by another program or a long write, and others wait already. "
                f"Nothing was stored. Close that program or wait, then try again."
            )
        self._since = time.monotonic()
        try:
            yield max(0.1, round(deadline - time.monotonic(), 1))
        finally:
            self._since = float("inf")
            self._lock.release()

    def _acquire(self, deadline: float) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        with self._guard:
            self._waiting += 1
        try:
            while (left := deadline - time.monotonic()) > 0:
                if self._lock.acquire(timeout=min(left, _LOOK_SECONDS)):
                    return True
                stuck = time.monotonic() - self._since > STUCK_SECONDS
                if stuck and self._waiting > MOST_WAITING:
                    return False
            return False
        finally:
            with self._guard:
                self._waiting -= 1

    def hold(self, seconds: float) -> bool:
        """Take the turn until `release`, as a fork does; False when it does not come in time."""
        return self._lock.acquire(timeout=seconds)

    def release(self) -> None:
        """Give back what `hold` took."""
        self._lock.release()
