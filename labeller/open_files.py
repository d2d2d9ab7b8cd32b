"""How many files a process may have open: more than the usual, which a team's browsers use up."""

from __future__ import annotations

import resource
from contextlib import suppress

WANTED = 65_536


def raise_open_files() -> None:
    """Raise the soft limit of open files towards the hard one; processes started later have it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # a system may have a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
