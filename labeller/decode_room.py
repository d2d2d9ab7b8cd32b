"""Memory for decoding: one budget for all processes of this account, in which giants take turns.

Few images need much memory, and nobody knows when they come. What needs more than a slot takes
slots of the budget first: locks on files, which the system gives back when a process dies. The
others go ahead at no cost.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from labeller.errors import ImageBusy, ImageError
from store.scratch import make_temporary

MIB = 1 << 20
SLOT = 128 * MIB  # what any one image may take unasked
SPARE = 1024 * MIB  # of a process that decodes, beside its images
_LOOK_SECONDS = 0.02
_SHARE = 4  # the budget is so much of the machine's memory
_LEAST, _MOST = 1 << 30, 8 << 30
_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class DecodeRoom:
    """Room for so many bytes, shared with the other processes of this account.

    Parameters
    ----------
    folder : Path, optional
        Where the locks lie; with the account's other state when not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._budget = 0
        self.wait_seconds: float | None = None  # as long as it takes

    @property
    def budget(self) -> int:
        """Bytes that all images being decoded may take together."""
        return self._budget or usual_budget()

    def limit(self, megabytes: int) -> None:
        """Set the budget, in MB; 0 for a share of the machine's memory."""
        self._budget = megabytes * 1_000_000

    @contextmanager
    def taken(self, needed: int, what: str) -> Iterator[None]:
        """Wait until there is room for so many bytes, and take it.

        Parameters
        ----------
        needed : int
        what : str
            The image, in words: "its 3 × 4 pixels".

        Raises
        ------
        ImageError
            When one image alone needs more than the whole budget.
        ImageBusy
            When others took the room for longer than `wait_seconds`.
        """
        if needed > self.budget:
            raise ImageError(
                f"{what} take about {needed / 1e9:.1f} GB of memory to decode, more than the "
                f"{self.budget / 1e9:.1f} GB that are allowed",
                "Shrink it, or raise decode_memory_mb in project.toml if the machine has more.",
            )
        if needed <= SLOT:
            yield
            return
        with self._slots(-(-needed // SLOT)):
            try:
                yield
            finally:
                _return_memory()

    @contextmanager
    def _slots(self, wanted: int) -> Iterator[None]:
        """Hold so many slots; whoever waits for some keeps the gate, so that none starves."""
        deadline = None if self.wait_seconds is None else time.monotonic() + self.wait_seconds
        folder = self._folder or _lock_folder()
        total = max(wanted, self.budget // SLOT)
        with ExitStack() as held:
            with ExitStack() as gate:
                while not _lock(gate, folder / "gate"):
                    _wait(deadline)
                while not _take(held, folder, wanted, total):
                    _wait(deadline)
            yield


def _take(held: ExitStack, folder: Path, wanted: int, total: int) -> bool:
    """Take so many of the free slots, or none."""
    with ExitStack() as some:
        count = 0
        for number in range(total):
            count += _lock(some, folder / str(number))
            if count == wanted:
                held.push(some.pop_all())
                return True
    return False


def _lock(held: ExitStack, path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    held.callback(_unlock, descriptor)
    return True


def _unlock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # a fork may have it open too
    os.close(descriptor)


def _wait(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise ImageBusy("other large images are being decoded", "Try again in a moment.")
    time.sleep(_LOOK_SECONDS)


def _lock_folder() -> Path:
    state = os.environ.get("LABELLER_STATE")
    if not state:
        import platformdirs  # few processes meet a large image

        state = platformdirs.user_state_dir("labeller")
    folder = Path(state) / "decoding"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return _own_folder()
    return folder if os.access(folder, os.W_OK) else _own_folder()


@cache
def _own_folder() -> Path:
    """Return a folder for the locks of this process alone, where the account's has no room."""
    folder = make_temporary("decoding")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@cache
def usual_budget() -> int:
    """Return a share of the memory that this machine, or this container, has."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CONTROL_GROUPS:
        with suppress(OSError, ValueError):
            sizes.append(int(Path(path).read_text(encoding="ascii")))
    return max(_LEAST, min(_MOST, min(sizes) // _SHARE))


def confine_process(budget: int) -> None:
    """Have the system refuse this process more memory than the budget and a little.

    What an image's header says is checked before; this holds for those that lie. Only Linux does
    it.
    """
    import resource

    with suppress(OSError, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        (line,) = [line for line in lines if line.startswith("VmData:")]
        most = int(line.split()[1]) * 1024 + budget + SPARE
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _return_memory() -> None:
    """Return what was freed to the system: glibc keeps it, for each thread anew."""
    import ctypes  # few processes meet such an image

    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


ROOM = DecodeRoom()
