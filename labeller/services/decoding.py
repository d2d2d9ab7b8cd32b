"""Pictures for the browser, decoded in processes that stay a while and may die on a hostile file.

The process that serves pages and the API never decodes an image of a user itself.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeller.errors import ImageBusy, ImageError, WorkerError
from labeller.processes import make_command
from labeller.services.worker_pool import Answer, Pool, Request
from store.durable import make_folder, move_whole

COMMAND = make_command("labeller.services.decode_worker")
IDLE_SECONDS = 600.0
SECONDS = 60.0  # one image may take this long
PATIENCE = 20.0  # seconds for which a request waits for its turn
_MOST = 4  # processes for ordinary images
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A JPEG that is wanted of an image.

    `entry` names an image in the archive at `path`. Where `as_is`, the file itself will do, if a
    browser shows it as it is. `side` is the longest one in pixels, None for all of them; `memory`
    is the setting `decode_memory_mb`.
    """

    path: Path
    max_pixels: int
    memory: int
    side: int | None
    quality: int
    entry: str | None = None
    as_is: bool = False

    def message(self, target: Path, wait: float) -> dict[str, Any]:
        """Return the request to a process."""
        return {
            "path": str(self.path),
            "entry": self.entry,
            "as_is": self.as_is,
            "max_pixels": self.max_pixels,
            "memory_mb": self.memory,
            "side": self.side,
            "quality": self.quality,
            "target": str(target),
            "wait": wait,
        }


def make_jpeg(wanted: Wanted, kept: Path, check: Callable[[], object]) -> bool:
    """Write the JPEG of an image, on the disk when this returns.

    Parameters
    ----------
    wanted : Wanted
    kept : Path
        Where it is kept; the folder is made when it is missing.
    check : callable
        Called before it gets its name; raises `ImageError` when the original is not the same any
        more.

    Returns
    -------
    bool
        False when nothing was made, because the file will do as it is.

    Raises
    ------
    ImageError
        When the image cannot be decoded, or the picture not written.
    ImageBusy
        When there is no room for it now.
    """
    target = kept.with_name(f".{kept.name}.{uuid.uuid4().hex}")
    try:
        make_folder(kept.parent)
        answer = _ask(wanted, target)
        if "reason" in answer:
            raise ImageError(answer["reason"], answer["mend"])
        if "unwritten" in answer:
            raise _unwritten(kept, answer["unwritten"])
        if answer["made"]:
            check()
            move_whole(target, kept)
        return bool(answer["made"])
    except OSError as error:
        raise _unwritten(kept, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            target.unlink(missing_ok=True)


def _unwritten(kept: Path, reason: str) -> ImageError:
    return ImageError(f"{kept.parent}: cannot be written ({reason})", "Free some space.")


def _ask(wanted: Wanted, target: Path) -> Answer:
    """Ask a process; what finds no room at once waits in a lane of its own."""
    answer = _ORDINARY.ask(wanted.message(target, wait=0))
    if "busy" in answer:
        answer = _LARGE.ask(wanted.message(target, wait=PATIENCE))
    if "busy" in answer:
        raise ImageBusy(answer["busy"], answer["mend"])
    return answer


class Lane:
    """Some processes, each lent to one thread at a time, and ended when nobody asks for a while.

    Parameters
    ----------
    size : int
        How many processes.
    waiting : int
        How many threads may wait for them besides.
    """

    def __init__(self, size: int, waiting: int) -> None:
        self._places = threading.Semaphore(size + waiting)
        self._turns = threading.Semaphore(size)
        self._guard = threading.Lock()
        self._idle: list[tuple[float, Pool]] = []
        self._timer: threading.Timer | None = None

    def ask(self, message: dict[str, Any]) -> Answer:
        """Have one request answered, or say that it is ``busy``."""
        if not self._places.acquire(blocking=False):
            return _busy("many other images are being decoded")
        try:
            if not self._turns.acquire(timeout=PATIENCE):
                return _busy("other images are being decoded")
            try:
                return self._answer(message)
            finally:
                self._turns.release()
        finally:
            self._places.release()

    def warm(self) -> None:
        """Start a process, so that the first image need not wait for it."""
        with self._guard:
            if self._idle:
                return
        self._give(_start())

    def close(self) -> None:
        """End the processes that nobody uses now."""
        with self._guard:
            idle, self._idle = self._idle, []
        for _, pool in idle:
            _end(pool)

    def _answer(self, message: dict[str, Any]) -> Answer:
        try:
            pool = self._take()
        except WorkerError as error:
            return _busy(str(error))
        try:
            pool.submit(Request(message, None))
            while not (answers := pool.answers(_LOOK_SECONDS)):
                pass
        except WorkerError as error:
            _end(pool)
            return _busy(str(error))
        except BaseException:
            _end(pool)  # nobody knows what it was about to answer
            raise
        self._give(pool)
        return answers[0][1]

    def _take(self) -> Pool:
        with self._guard:
            if self._idle:
                return self._idle.pop()[1]
        return _start()

    def _give(self, pool: Pool) -> None:
        with self._guard:
            self._idle.append((time.monotonic(), pool))
            if self._timer is None:
                self._watch()

    def _watch(self) -> None:
        self._timer = threading.Timer(IDLE_SECONDS, self._end_idle)
        self._timer.daemon = True
        self._timer.start()

    def _end_idle(self) -> None:
        """End those that were used last before the rest period; look again while some are left."""
        since = time.monotonic() - IDLE_SECONDS
        with self._guard:
            old = [pool for used, pool in self._idle if used <= since]
            self._idle = [(used, pool) for used, pool in self._idle if used > since]
            self._timer = None
            if self._idle:
                self._watch()
        for pool in old:
            _end(pool)


def _start() -> Pool:
    try:
        return Pool(COMMAND, 1, {}, seconds=SECONDS)
    except OSError as error:
        raise WorkerError(
            f"a process that decodes images cannot be started ({error.strerror or error})"
        ) from error


def _end(pool: Pool) -> None:
    pool.__exit__(None, None, None)


def _busy(reason: str) -> Answer:
    return {"busy": reason, "mend": "Try again in a moment."}


_ORDINARY = Lane(min(_MOST, max(2, len(os.sched_getaffinity(0)))), waiting=32)
_LARGE = Lane(1, waiting=4)


def warm_decoders() -> None:
    """Start a process that decodes in the background."""
    threading.Thread(target=_warm, name="decoder", daemon=True).start()


def _warm() -> None:
    with suppress(WorkerError):
        _ORDINARY.warm()


def close_decoders() -> None:
    """End the processes that decode nothing now, with the archives that they keep open."""
    _ORDINARY.close()
    _LARGE.close()


atexit.register(close_decoders)
