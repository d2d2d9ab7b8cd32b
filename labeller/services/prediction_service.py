"""Predictions on request: a model's process stays for a while, so that the next answer is quick."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from labeller.project import Project
from labeller.services.predicting import Predictor
from labeller.services.prediction_files import as_json

IDLE_SECONDS = 600.0


class Resident:
    """The process of a project's model in use; one request at a time, ended when nobody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._predictor: Predictor | None = None
        self._timer: threading.Timer | None = None

    def predict(self, project: Project, files: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return a row for every (key, path), in any order; see :func:`as_json` for its values.

        Whoever asks meanwhile waits. All rows are made before the first is returned, so that
        nobody waits for a client that is slow to take them, or that has gone away.

        Parameters
        ----------
        project : Project
        files : iterable of (str, str)

        Raises
        ------
        PredictionError
            When there is no model yet.
        WorkerError
            When the model cannot be loaded.
        """
        with self._lock:
            self._rest()
            try:
                predictor = self._ready(project)
                rows = [as_json(row, predictor) for row in predictor.predict(files)]
            except BaseException:
                # Answers may still be on their way: the next request must not get them.
                self._end()
                raise
            self._wait()
            return rows

    def close(self) -> None:
        """End the process, now or after the request that is on."""
        with self._lock:
            self._rest()
            self._end()

    def _ready(self, project: Project) -> Predictor:
        """Return the process of the model in use, started when it is another's or none."""
        with project.store.read() as unit:
            model = unit.models.in_use()
        current = self._predictor
        if current is not None and (model is None or current.model.id != model.id):
            self._end()
        if self._predictor is None:
            self._predictor = Predictor(project)
        else:
            self._predictor.refresh(project)
        return self._predictor

    def _wait(self) -> None:
        """End the process later, unless somebody asks before."""
        self._timer = threading.Timer(IDLE_SECONDS, self.close)
        self._timer.daemon = True
        self._timer.start()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self._predictor is not None:
            with suppress(OSError):
                self._predictor.__exit__(None, None, None)
            self._predictor = None


_residents: dict[Path, Resident] = {}
_guard = threading.Lock()


def resident(project: Project) -> Resident:
    """Return the one of a project, for all requests of this server."""
    with _guard:
        return _residents.setdefault(project.root, Resident())


def _close_all() -> None:
    for one in _residents.values():
        one.close()


atexit.register(_close_all)
