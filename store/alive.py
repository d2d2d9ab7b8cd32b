"""Tell whether a process lives, also when a later one has its number."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil

UNKNOWN = "unknown"


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def identity(pid: int) -> str | None:
    """Name a living process so that a later one with the same pid is told apart.

    Linux counts a process's birth in ticks since boot, which setting the clock does not move;
    elsewhere the time of its birth has to do.

    Returns
    -------
    str or None
        None when there is no such process, or only its zombie.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            ticks = (
                stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
            )
            return f"{_boot()}-{ticks}"
        return f"{process.create_time():.0f}"
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    except psutil.AccessDenied:  # another user's process: alive
        return UNKNOWN


def own_identity() -> tuple[int, str]:
    """Return this process's pid and identity, also right after a fork."""
    return _of(os.getpid())


@cache
def _of(pid: int) -> tuple[int, str]:
    return pid, identity(pid) or UNKNOWN


@cache
def _boot() -> str:
    """Return the start of Linux's boot identity."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
