"""Render many children in parallel processes, and have them back in order."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeller.errors import ImageError, SynthesisError
from labeller.processes import make_command
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.originals import verify_original
from labeller.services.worker_pool import Pool, Request
from labeller.squares import Resize
from store.records import ItemRecord
from strategies.synthesis import AugmenterMissing, Plan, check_augmenter

COMMAND = make_command("labeller.services.synthesis_worker")
SIDE = 1_024  # pixels of the longest side at which parents are opened
DEPTH = 2  # children a worker has in hand
AHEAD = 64  # children that may wait for an earlier one
PER_WORKER = 4  # fewer are not worth another process
WAIT_SECONDS = 0.2

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A child to render: of which item, by which plan, and into which file (None: answered)."""

    item: ItemRecord
    plan: Plan
    target: Path | None = None


def check_rendering() -> None:
    """Refuse when no picture can be rendered on this machine.

    Raises
    ------
    SynthesisError
        When AugLy is missing.
    """
    try:
        check_augmenter()
    except AugmenterMissing as error:
        raise SynthesisError(str(error)) from error


def rendered(
    project: Project,
    wanted: Iterable[Wanted],
    count: int,
    progress: Progress,
    side: int = SIDE,
    resize: Resize | None = None,
    pool: Pool | None = None,
) -> Generator[tuple[Wanted, Answer]]:
    """Yield children in the order in which they are wanted.

    Parameters
    ----------
    project : Project
    wanted : iterable of Wanted
    count : int
        How many they are, for the number of processes.
    progress : Progress
        Asked, while others render, whether to stop.
    side : int
        Longest side in pixels at which parents are opened.
    resize : Resize, optional
        How answered pictures are resized.
    pool : Pool, optional
        Processes that wait already, told :func:`config_of`; otherwise they are started and ended.

    Yields
    ------
    wanted : Wanted
    answer : dict
        As :func:`labeller.services.synthesis_worker.answer` gives it, never ``stop``.

    Raises
    ------
    SynthesisError
        When AugLy is missing, or nothing can be written.
    WorkerError
        When the processes cannot be started.
    JobCancelled
        When the work should stop.
    """
    feed = _Feed(project, wanted)
    with contextlib.ExitStack() as ending:
        if pool is None:
            most = project.settings.workers or cores()
            workers = max(1, min(most, -(-count // PER_WORKER)))
            pool = Pool(COMMAND, workers, config_of(project, side, resize), depth=DEPTH)
            ending.enter_context(pool)
        while feed.open:
            progress.check()
            feed.fill(pool)
            feed.take(pool.answers(WAIT_SECONDS) if pool.outstanding else [])
            yield from feed.due()


class _Feed:
    """Hands children to the processes, and gives the answers back in order."""

    def __init__(self, project: Project, wanted: Iterable[Wanted]) -> None:
        self._project = project
        self._wanted = enumerate(wanted)
        self._done: dict[int, tuple[Wanted, Answer]] = {}
        self._more, self._begun, self._given = True, 0, 0

    @property
    def open(self) -> bool:
        """Whether answers are still to come."""
        return self._more or self._given < self._begun

    def fill(self, pool: Pool) -> None:
        """Hand over as many as are soon begun with."""
        while self._more and pool.room and self._begun - self._given < AHEAD:
            found = next(self._wanted, None)
            if found is None:
                self._more = False
                return
            self._begun += 1
            place, one = found
            try:
                source = verify_original(self._project, one.item)
            except ImageError as error:
                self._done[place] = (one, {"reason": error.reason, "mend": error.mend})
            else:
                pool.submit(Request(_message(source, one), found))

    def take(self, answers: Iterable[tuple[Request, Answer]]) -> None:
        """Note what came back."""
        for request, answer in answers:
            if "stop" in answer:
                raise SynthesisError(answer["stop"])
            place, one = request.about
            self._done[place] = (one, answer)

    def due(self) -> Iterator[tuple[Wanted, Answer]]:
        """Yield the answers whose turn it is."""
        while self._given in self._done:
            yield self._done.pop(self._given)
            self._given += 1


def config_of(project: Project, side: int, resize: Resize | None = None) -> dict[str, Any]:
    """Return what rendering processes are told first; see :func:`rendered`."""
    return {
        "max_pixels": project.settings.max_image_pixels,
        "memory_mb": project.settings.decode_memory_mb,
        "side": side,
        "resize": resize and asdict(resize),
    }


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _message(source: Path, one: Wanted) -> dict[str, Any]:
    return {
        "source": str(source),
        "plan": one.plan.to_json(),
        "target": None if one.target is None else str(one.target),
    }
