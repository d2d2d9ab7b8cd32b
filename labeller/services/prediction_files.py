"""Predictions written to a file: streamed, resumable, whole under their name or not at all."""

from __future__ import annotations

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from labeller.errors import PredictionError
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services.import_sources import Candidate, Refused
from labeller.services.predicting import Predicted, Predictor, Sources
from labeller.services.prediction_partial import (
    COLUMNS,
    PROBABILITIES,
    TWICE,
    Begun,
    Kept,
    begin,
    held,
    line_of,
    origin_of,
    rows_of,
)
from labeller.services.tables import guarded
from store.durable import move_whole, sync_file

SUFFIXES = (".csv", ".jsonl")
LOAD, STAGE = "load", "predictions"
KEPT_SECONDS = 2.0  # what is predicted is on the disk after this long


@dataclass(frozen=True, slots=True)
class PredictionReport:
    """What became of a prediction.

    `resumed` are the rows that an earlier, stopped one had made; `damaged` lines of it had to be
    made again.
    """

    path: Path
    model: int
    predicted: int
    failed: int
    resumed: int
    damaged: int
    seconds: float


def predict_to_file(
    project: Project,
    sources: Sequence[Path],
    out: Path,
    model_id: int | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    seen: Callable[[Candidate], None] | None = None,
    keep: Callable[[], None] = lambda: None,
) -> PredictionReport:
    """Predict every image of some sources, each in a row under its key.

    The key is an image's path within its source, or the column ``key`` of a table. Images that
    cannot be read have rows too, with ``error`` and ``mend``. The rows come in any order. Stopped
    or killed, the same call goes on where it was.

    Parameters
    ----------
    project : Project
    sources : sequence of Path
        Folders (with everything below), CSV files, zip archives, image files.
    out : Path
        A ``.csv`` or ``.jsonl`` file, replaced when it is there.
    model_id : int, optional
        The model in use when not given.
    restart : bool
        Begin anew instead of going on.
    progress : Progress, optional
        Told after every row; its ``check`` may stop, which keeps what is predicted.
    seen : callable, optional
        Told of each image that was predicted, before its row is written.
    keep : callable
        Has on the disk what `seen` was told; called before the rows of those images go there.

    Returns
    -------
    PredictionReport

    Raises
    ------
    PredictionError
        When there is no model, the suffix is another one, the file cannot be written, another
        prediction writes it, or what is there already was made from other sources or images, by
        another model or with other classes.
    ImportSourceError
        When a source cannot be read as a whole.
    WorkerError
        When the model cannot be loaded.
    JobCancelled
        When `progress` says so.
    """
    if out.suffix.lower() not in SUFFIXES:
        named = out.suffix or "without a suffix"
        raise PredictionError(f"{out}: predictions are written as .csv or .jsonl, not {named}.")
    began = time.monotonic()
    told = progress or Silent()
    out = Path(os.path.abspath(out.expanduser()))  # noqa: PTH100 - keeps the links as given
    partial = out.with_name(f".{out.name}.partial")
    opened = Sources.open(project, sources)
    try:
        with opened.incoming, Predictor(project, model_id) as predictor, held(partial, out):
            paths = [source.path for source in opened.opened]
            begun = Begun.of(project.id, paths, out, predictor.model.id, predictor.classes)
            kept = begin(partial, begun, out, restart)
            with closing(_Rows(partial, keep)) as rows:
                predicted, failed = _write(rows, predictor, opened, kept, told, seen)
            _finish(partial, out, predictor.classes)
    except OSError as error:
        raise PredictionError(
            f"{out}: cannot be written ({error.strerror or error}). Make room or name another "
            f"file, then go on: what is predicted is kept."
        ) from error
    return PredictionReport(
        path=out,
        model=predictor.model.id,
        predicted=predicted,
        failed=failed,
        resumed=kept.rows,
        damaged=kept.damaged,
        seconds=time.monotonic() - began,
    )


class _Rows:
    """Appends rows to the partial file, those of a few seconds at a time, onto the disk."""

    def __init__(self, partial: Path, keep: Callable[[], None]) -> None:
        self._file = partial.open("a", encoding="utf-8")
        self._keep = keep
        self._waiting: list[str] = []
        self._written = time.monotonic()

    def add(self, line: str) -> None:
        """Take a row; write those that wait when it is time."""
        self._waiting.append(line)
        if time.monotonic() - self._written > KEPT_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the rows that wait."""
        self._keep()
        self._file.writelines(self._waiting)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._waiting.clear()
        self._written = time.monotonic()

    def close(self) -> None:
        """Write what waits, and close the file."""
        with self._file:
            self.write()


def _write(
    rows: _Rows,
    predictor: Predictor,
    sources: Sources,
    kept: Kept,
    progress: Progress,
    seen: Callable[[Candidate], None] | None,
) -> tuple[int, int]:
    """Append the rows that are missing; returns how many are predicted and failed in all."""

    def counted(files: int) -> None:
        progress.update("count", files, None)
        progress.check()

    total = sources.count(counted)
    failed = kept.failed
    predicted = kept.rows - failed
    origins: dict[str, str] = {}
    progress.update(LOAD, 0, None)
    for candidate, row in predictor.stream(_missing(sources, kept, origins), progress.check):
        if seen is not None and candidate is not None and row.reason is None:
            seen(candidate)
        origin = ""
        if candidate is not None:
            origin = origins.pop(row.key)
            _forget(candidate)
        rows.add(line_of(origin, as_json(row, predictor)))
        failed += row.reason is not None
        predicted += row.reason is None
        count = predicted + failed
        told = f"{failed:,} failed" if failed else ""
        whole = max(total, count)
        progress.update(STAGE, count, whole, told, predicted=predicted, failed=failed)
        progress.check()
    return predicted, failed


def _missing(
    sources: Sources, kept: Kept, origins: dict[str, str]
) -> Iterator[Candidate | Refused]:
    """Yield what has no row yet, and note its origin; a key that comes twice is an error."""
    seen: Counter[str] = Counter()
    for step in sources.candidates():
        origin = origin_of(step, kept.out) if isinstance(step, Candidate) else ""
        before = seen[step.key]
        seen[step.key] += 1
        if not before and step.key not in kept.origins:
            if isinstance(step, Candidate):
                origins[step.key] = origin
            yield step
            continue
        if not before:
            kept.check(step.key, origin)
        elif before > kept.again[step.key]:
            yield Refused(step.key, TWICE, "Give each image a key of its own.", key=step.key)
        if isinstance(step, Candidate):
            _forget(step)


def _forget(candidate: Candidate) -> None:
    """Remove a file that was unpacked to be predicted."""
    if candidate.owned:
        Path(candidate.path).unlink(missing_ok=True)


def as_json(row: Predicted, predictor: Predictor) -> dict[str, Any]:
    """Return a row as JSON values."""
    return {
        "key": row.key,
        "class": row.class_name,
        "confidence": row.confidence,
        PROBABILITIES: dict(zip(predictor.classes, row.probs, strict=False)),
        "energy": row.energy,
        "model": predictor.model.id,
        "error": row.reason,
        "mend": row.mend,
    }


def _finish(partial: Path, out: Path, classes: Sequence[str]) -> None:
    """Write the rows under their name, all of them at once."""
    whole = out.with_name(f".{out.name}.whole")
    try:
        with whole.open("w", encoding="utf-8") as file:
            if out.suffix.lower() == ".jsonl":
                file.writelines(rows_of(partial))
            else:
                as_csv(rows_of(partial), file, classes)
        sync_file(whole)
        move_whole(whole, out)
    finally:
        with suppress(OSError):
            whole.unlink(missing_ok=True)
    partial.unlink(missing_ok=True)


def as_csv(rows: Iterable[str], file: TextIO, classes: Sequence[str]) -> None:
    """Write rows of JSON as a table, a column for the probability of each class."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, *(guarded(f"p({name})") for name in classes)])
    for line in rows:
        row = json.loads(line)
        cells = [row[name] for name in COLUMNS]
        cells += [row[PROBABILITIES].get(name) for name in classes]
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in cells])
