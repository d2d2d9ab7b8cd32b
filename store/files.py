"""Writing files that several processes share."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.errors import FileBusy, VectorError


@contextmanager
def locked(path: Path, wait_seconds: float, create: bool = False) -> Iterator[int]:
    """Hold a file open for writing, and locked against other writers.

    Parameters
    ----------
    path : Path
        The file. Threads of one process lock each other out too.
    wait_seconds : float
        How long to wait for whoever holds it. The system frees a dead process's lock.
    create : bool
        Make the file if it is missing.

    Yields
    ------
    int
        The descriptor.

    Raises
    ------
    VectorError
        When it cannot be opened; a `FileBusy` when it stays locked.
    """
    deadline = time.monotonic() + wait_seconds
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            raise explained(path, error) from error
        try:
            _lock(descriptor, deadline, path)
            if _same_file(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, deadline: float, path: Path) -> None:
    """Take the one writer's lock."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise explained(path, error) from error
        if time.monotonic() >= deadline:
            raise FileBusy(
                f"{path}: another process writes to it. Wait until its job ends, or cancel the job."
            )
        time.sleep(0.02)


def _same_file(descriptor: int, path: Path) -> bool:
    """Whether the open file still is the one at `path` (it may have been deleted meanwhile)."""
    held = os.fstat(descriptor)
    try:
        now = path.stat()
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (now.st_dev, now.st_ino)


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at a place of a file.

    Plain writes, not a map: a full disk under a map kills the process instead of raising.

    Raises
    ------
    OSError
        When there is no room.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def explained(path: Path, error: OSError) -> VectorError:
    """Return an error of the system as the store's, with the mend."""
    mend = {
        errno.ENOSPC: " Make room on the disk.",
        errno.EDQUOT: " Make room within your quota.",
        errno.EACCES: " Check the permissions of the file and its folder.",
        errno.ENOENT: " Check that its folder exists.",
    }.get(error.errno or 0, "")
    return VectorError(f"{path}: {error.strerror or error}.{mend}")
