"""Decode images ahead of whoever consumes them: in threads, or on many cores in processes."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labeller.processes import make_command
from labeller.project import Project
from labeller.services.originals import Original, verify_originals
from labeller.services.worker_pool import Answer, Pool, Request
from labeller.squares import Bytes, Resize, read_into
from store.records import ItemRecord

Ints = NDArray[np.int64]

CHUNK = 16  # images per task
AHEAD = 4  # tasks per worker that may wait decoded
LOOKED_UP = 512  # items read from the database at once
MANY_CORES = 4  # from which on threads hold each other up: much around decoding is Python
MANY_IMAGES = 1_024  # which are worth starting processes
COMMAND = make_command("labeller.services.square_worker")
SLOTS_BYTES = 256 << 20  # of decoded images that may wait, where that is enough for all workers
WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item whose image cannot be read (any more)."""

    item_id: int
    path: str
    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """Some images: `ids` (n,), `pixels` (n, size, size, 3), and those that could not be read."""

    ids: Ints
    pixels: Bytes
    unreadable: tuple[Unreadable, ...]


def decoded(project: Project, ids: Ints, resize: Resize) -> Generator[Decoded]:
    """Yield the images of some items, resized to squares, in the order of `ids`.

    Parameters
    ----------
    project : Project
    ids : array of int, shape (N,)
    resize : Resize

    Yields
    ------
    Decoded
        Up to 16 images; unreadable ones are left out of `ids` and `pixels`.
    """
    workers = project.settings.workers or len(os.sched_getaffinity(0))
    tasks = _tasks(project, ids)
    if workers >= MANY_CORES and len(ids) >= MANY_IMAGES:
        yield from _in_processes(project, tasks, resize, workers)
    else:
        yield from _in_threads(project, tasks, resize, workers)


def gathered(parts: Iterator[Decoded], size: int) -> Iterator[Decoded]:
    """Join decoded images to batches of about `size`.

    Parameters
    ----------
    parts : iterator of Decoded
    size : int
        Images per batch, as many as come out of the parts; the last batch may be small.
    """
    held: list[Decoded] = []
    for part in parts:
        held.append(part)
        if sum(len(one.ids) for one in held) >= size:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


@dataclass(frozen=True, slots=True)
class _Task:
    """Some items with their files, and those that have none that may be opened."""

    items: tuple[ItemRecord, ...]
    paths: tuple[str, ...]
    bad: tuple[Unreadable, ...]

    def result(self, pixels: Bytes, bad: list[tuple[int, str, str]]) -> Decoded:
        """Return what was read, given the squares (n, …) of all items and which are none."""
        lost = {place for place, _, _ in bad}
        kept = [place for place in range(len(self.items)) if place not in lost]
        unreadable = [
            Unreadable(self.items[place].id, self.items[place].path, reason, mend)
            for place, reason, mend in bad
        ]
        ids = np.array([self.items[place].id for place in kept], np.int64)
        return Decoded(ids, pixels[kept], (*self.bad, *unreadable))


def _tasks(project: Project, ids: Ints) -> Iterator[_Task]:
    """Look the items and their files up, some hundreds at once."""
    for start in range(0, len(ids), LOOKED_UP):
        block = ids[start : start + LOOKED_UP].tolist()
        with project.store.read() as unit:
            found = unit.items.many(block)
        originals = verify_originals(project, found.values())
        for first in range(0, len(block), CHUNK):
            chosen = [found[i] for i in block[first : first + CHUNK] if i in found]
            yield _task(chosen, originals)


def _task(items: list[ItemRecord], originals: Mapping[int, Original]) -> _Task:
    kept, paths, bad = [], [], []
    for item in items:
        original = originals[item.id]
        if original.problem is None:
            paths.append(str(original.path))
            kept.append(item)
        else:
            problem = original.problem
            bad.append(Unreadable(item.id, item.path, problem.reason, problem.mend))
    return _Task(tuple(kept), tuple(paths), tuple(bad))


def _in_threads(
    project: Project, tasks: Iterator[_Task], resize: Resize, workers: int
) -> Generator[Decoded]:
    """Decode in this process: Pillow lets go of the interpreter while it does."""
    most = project.settings.max_image_pixels
    waiting: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for task in tasks:
            waiting.append(pool.submit(_read, task, resize, most))
            if len(waiting) > workers * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(task: _Task, resize: Resize, max_pixels: int) -> Decoded:
    pixels = np.zeros((len(task.items), resize.side, resize.side, 3), np.uint8)
    return task.result(pixels, read_into(pixels, task.paths, resize, max_pixels))


def _in_processes(
    project: Project, tasks: Iterator[_Task], resize: Resize, workers: int
) -> Generator[Decoded]:
    """Decode in processes, which write into a file that both have mapped."""
    slot = CHUNK * resize.side**2 * 3
    number = max(2 * workers, min(AHEAD * workers, SLOTS_BYTES // slot))
    shape = (number, CHUNK, resize.side, resize.side, 3)
    with _shared(number * slot) as path:
        if path is None:
            yield from _in_threads(project, tasks, resize, workers)
            return
        slots = np.memmap(path, np.uint8, "r", shape=shape)
        config = {
            "file": path,
            "shape": shape,
            "method": resize.method,
            "max_pixels": project.settings.max_image_pixels,
            "memory_mb": project.settings.decode_memory_mb,
        }
        with Pool(COMMAND, workers, config) as pool:
            yield from _InOrder(pool, tasks, slots).run()


@contextmanager
def _shared(size: int) -> Iterator[str | None]:
    """Make a file that child processes can map, gone with this process; None without room for it.

    Its pages are there before anybody writes: one that could not be would end a process.
    """
    with ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("labeller-squares")
            stack.callback(os.close, descriptor)
            path = f"/proc/{os.getpid()}/fd/{descriptor}"
        else:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="labeller-squares-"))
            descriptor, path = file.fileno(), file.name
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            yield None
            return
        yield path


@dataclass(slots=True)
class _Open:
    """A task that workers are at: its slot, the answers to come, and the images that are none."""

    task: _Task
    slot: int
    left: int = 1
    bad: list[tuple[int, str, str]] = field(default_factory=list)


class _InOrder:
    """Yields what workers decode in the order of the tasks; a slot is free once it was copied."""

    def __init__(self, pool: Pool, tasks: Iterator[_Task], slots: Bytes) -> None:
        self.pool, self.tasks, self.slots = pool, tasks, slots
        self.free = deque(range(len(slots)))
        self.open: dict[int, _Open] = {}
        self.done: dict[int, Decoded] = {}

    def run(self) -> Iterator[Decoded]:
        """Yield all of it."""
        number = wanted = 0
        more = True
        while more or self.open:
            # One slow image must not let all that come after it pile up.
            while more and self.free and number - wanted < 2 * len(self.slots):
                if (task := next(self.tasks, None)) is None:
                    more = False
                    break
                self.open[number] = _Open(task, self.free.popleft())
                self._submit(number, 0, task.paths)
                number += 1
            for request, answer in self.pool.answers(WAIT_SECONDS) if self.open else ():
                asked_of, at, asked = request.about
                self._take(asked_of, at, asked, answer)
            while wanted in self.done:
                yield self.done.pop(wanted)
                wanted += 1

    def _submit(self, number: int, at: int, paths: Sequence[str]) -> None:
        """Ask for images of a task, the first of which has the place `at`."""
        message = {"paths": paths, "slot": self.open[number].slot, "at": at}
        self.pool.submit(Request(message, (number, at, len(paths))))

    def _take(self, number: int, at: int, asked: int, answer: Answer) -> None:
        one = self.open[number]
        one.left -= 1
        if "reason" not in answer:
            one.bad += [(place, reason, mend) for place, reason, mend in answer["bad"]]
        elif asked == 1:
            one.bad.append((at, answer["reason"], answer["mend"]))
        else:  # one of them ended a worker: each is asked for by itself
            one.left = asked
            for place, path in enumerate(one.task.paths):
                self._submit(number, place, (path,))
        if not one.left:
            pixels = np.array(self.slots[one.slot][: len(one.task.items)])
            self.done[number] = one.task.result(pixels, sorted(one.bad))
            self.free.append(one.slot)
            del self.open[number]


def _joined(parts: list[Decoded]) -> Decoded:
    return Decoded(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.pixels for part in parts]),
        tuple(bad for part in parts for bad in part.unreadable),
    )
