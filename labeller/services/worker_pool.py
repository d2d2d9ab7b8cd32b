"""Worker processes, each watched: one that dies costs one file, not the whole work.

A worker reads its configuration and then requests as JSON lines, says that it is ready, and
answers the requests in their order. One that begins with a request only when it has answered the
one before dies of the first it has not answered. Of one that reads ahead nobody knows that: its
requests are put to the next worker one by one, until one of them ends it.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

from labeller.errors import WorkerError
from labeller.processes import start_process

Answer = dict[str, Any]
DEPTH = 6  # requests a worker has in hand, so that it never waits for the next
SECONDS = 120.0  # one file may take this long
START_SECONDS = 60.0  # and a worker this long to start, on a machine with much else to do
HOSTILE = "The file is damaged or hostile: save it anew with an image program."


@dataclass(slots=True)
class Request:
    """What a worker is asked about one file; `about` is what the caller knows of it."""

    message: Mapping[str, Any]
    about: Any
    crashes: int = 0

    def line(self) -> bytes:
        """Return it as the worker reads it; names that are not UTF-8 travel as escapes."""
        return json.dumps(dict(self.message)).encode("ascii") + b"\n"


@dataclass(slots=True)
class _Worker:
    """A process with the requests it has not answered, in order.

    Those `held` back are not sent yet: while a culprit is sought, one alone is `pending`.
    """

    process: subprocess.Popen[bytes]
    seeking: bool = False
    ready: bool = False
    pending: deque[Request] = field(default_factory=deque)
    held: deque[Request] = field(default_factory=deque)
    unread: bytes = b""
    since: float = field(default_factory=time.monotonic)

    def send(self, request: Request) -> None:
        """Hand over a request; a dead worker is noticed when its answer is read."""
        if not self.pending:
            self.since = time.monotonic()
        self.pending.append(request)
        self.write(request.line())

    def write(self, line: bytes) -> None:
        """Write one line to the worker, dead or alive."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            return

    def take(self, data: bytes) -> list[tuple[Request, Answer]]:
        """Match what was read with the requests it answers."""
        *lines, self.unread = (self.unread + data).split(b"\n")
        answers = []
        for line in lines:
            if not self.ready:
                self.ready = True
            else:
                answers.append((self.pending.popleft(), json.loads(line)))
            self.since = time.monotonic()
        if self.seeking and not self.pending:
            self.seek()
        return answers

    def seek(self) -> None:
        """Send the next of those that are held back, alone; none left, the search is over."""
        self.seeking = bool(self.held)
        if self.held:
            self.send(self.held.popleft())


class Pool:
    """Some workers of one kind.

    Parameters
    ----------
    command : sequence of str
        How a worker is started.
    workers : int
        How many processes.
    config : mapping
        JSON values that every worker is told first.
    seconds, start_seconds : float
        A file that takes longer is given up and its worker replaced; and how long a worker may
        take to be ready.
    depth : int
        Requests that a worker has in hand.
    in_turn : bool
        Whether a worker begins with a request only when it has answered the one before.
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        config: Mapping[str, Any],
        seconds: float = SECONDS,
        start_seconds: float = START_SECONDS,
        depth: int = DEPTH,
        in_turn: bool = True,
    ) -> None:
        self._config = json.dumps(dict(config)).encode("ascii") + b"\n"
        self._command, self._seconds = tuple(command), seconds
        self._start_seconds, self._depth, self._in_turn = start_seconds, depth, in_turn
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the pool
        self._selector = selectors.DefaultSelector()
        self._workers = [self._started() for _ in range(workers)]

    def __enter__(self) -> Self:
        """Nothing to do: the workers run."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every worker at once."""
        for worker in self._workers:
            self._end(worker)
        self._selector.close()
        self._errors.close()

    @property
    def outstanding(self) -> int:
        """Requests without an answer yet."""
        return sum(len(worker.pending) + len(worker.held) for worker in self._workers)

    @property
    def room(self) -> bool:
        """Whether another request would be started on soon."""
        return any(not w.seeking and len(w.pending) < self._depth for w in self._workers)

    def submit(self, request: Request) -> None:
        """Hand a request to the least busy worker."""
        min(self._workers, key=lambda one: (one.seeking, len(one.pending))).send(request)

    def answers(self, timeout: float) -> list[tuple[Request, Answer]]:
        """Wait up to `timeout` seconds and return the answers that are there.

        A file that killed its worker twice, or took too long, is answered with a ``reason``.

        Raises
        ------
        WorkerError
            When workers cannot be started at all.
        """
        got: list[tuple[Request, Answer]] = []
        for key, _ in self._selector.select(timeout):
            worker: _Worker = key.data
            data = os.read(key.fd, 1 << 16)
            got += worker.take(data) if data else self._died(worker)
        now = time.monotonic()
        for worker in [w for w in self._workers if w.pending]:
            if now - worker.since > (self._seconds if worker.ready else self._start_seconds):
                got += self._stuck(worker)
        return got

    def _started(self) -> _Worker:
        """Start one worker."""
        process = start_process(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        worker = _Worker(process)
        worker.write(self._config)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _died(self, worker: _Worker) -> list[tuple[Request, Answer]]:
        """Replace a dead worker; the file it died of gets one more try."""
        code = worker.process.wait()
        if not worker.ready:
            raise WorkerError(
                f"A process that reads images ended as it started ({_cause(code)}; "
                f"{self._last_error()}). Check the installation: make env"
            )
        suspects = self._suspects(worker)
        given_up = []
        if len(suspects) == 1 and suspects[0].crashes:
            reason = f"reading it crashed the decoder ({_cause(code)})"
            given_up = [(worker.pending.popleft(), {"reason": reason, "mend": HOSTILE})]
        for request in suspects:
            request.crashes += 1
        self._replace(worker, seeking=len(suspects) > 1)
        return given_up

    def _stuck(self, worker: _Worker) -> list[tuple[Request, Answer]]:
        """Kill a worker that has spent too long on one file, and give the file up."""
        if not worker.ready:
            raise WorkerError(
                f"A process that reads images does not start ({self._last_error()}). Try again."
            )
        given_up = []
        alone = len(self._suspects(worker)) == 1
        if alone:
            reason = f"reading it took longer than {self._seconds:g} seconds"
            given_up = [(worker.pending.popleft(), {"reason": reason, "mend": HOSTILE})]
        self._replace(worker, seeking=not alone)
        return given_up

    def _suspects(self, worker: _Worker) -> list[Request]:
        """Return what may have ended a worker."""
        return list(worker.pending)[: 1 if self._in_turn else None]

    def _replace(self, worker: _Worker, seeking: bool) -> None:
        """Put a fresh worker in the place of one that is gone, with its unanswered requests."""
        self._end(worker)
        self._workers.remove(worker)
        fresh = self._started()
        self._workers.append(fresh)
        if seeking:
            fresh.held = worker.pending + worker.held
            fresh.seek()
            return
        for request in worker.pending + worker.held:
            fresh.send(request)

    def _end(self, worker: _Worker) -> None:
        process = worker.process
        assert process.stdout is not None
        assert process.stdin is not None
        self._selector.unregister(process.stdout)
        process.kill()
        process.wait()
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            return

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "no message"


def _cause(code: int) -> str:
    """Name the signal that ended a process, or its exit code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
