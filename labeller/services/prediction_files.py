"""Predictions written to a file: streamed, resumable, whole under their name or not at all."""

from __future__ import annotations

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from labeller.errors import PredictionError
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services.import_sources import Candidate
from labeller.services.predicting import Predicted, Predictor, Sources
from labeller.services.tables import guarded
from store.records import ImportProblem

SUFFIXES = (".csv", ".jsonl")
LOAD, STAGE = "load", "predictions"
KEPT_SECONDS = 2.0  # what is predicted is on the disk after this long
TWICE = "another image of these sources has the same key"


@dataclass(frozen=True, slots=True)
class PredictionReport:
    """What became of a prediction: `resumed` are the rows that an earlier, stopped one had made."""

    path: Path
    model: int
    predicted: int
    failed: int
    resumed: int
    seconds: float


@dataclass(slots=True)
class _Kept:
    """The rows that are there: their keys, how often a key is told to come again, and errors."""

    keys: set[str] = field(default_factory=set)
    again: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.keys) + self.again.total()

    def take(self, key: str, error: str | None) -> None:
        """Note a row."""
        self.failed += error is not None
        if error == TWICE:
            self.again[key] += 1
        else:
            self.keys.add(key)


def predict_to_file(
    project: Project,
    sources: Sequence[Path],
    out: Path,
    model_id: int | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    seen: Callable[[Candidate], None] | None = None,
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

    Returns
    -------
    PredictionReport

    Raises
    ------
    PredictionError
        When there is no model, the suffix is another one, the file cannot be written, or what is
        there already was made by another model or with other classes.
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
    partial = out.with_name(f".{out.name}.partial")
    opened = Sources.open(project, sources)
    try:
        with opened.incoming, Predictor(project, model_id) as predictor:
            done = _Kept() if restart else _kept(partial, predictor, out)
            predicted, failed = _write(partial, predictor, opened, done, restart, told, seen)
            classes = predictor.classes
        _finish(partial, out, classes)
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
        resumed=done.rows,
        seconds=time.monotonic() - began,
    )


def _kept(partial: Path, predictor: Predictor, out: Path) -> _Kept:
    """Read the rows that are there; the last line, cut off by a crash maybe, is taken away."""
    kept = _Kept()
    if not partial.exists():
        return kept
    whole = 0
    with partial.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            row = json.loads(line)
            if row["model"] != predictor.model.id:
                raise PredictionError(
                    f"{out}: was begun with model {row['model']}, and this is model "
                    f"{predictor.model.id}. Name that model to go on, or begin anew (--restart)."
                )
            if row["error"] is None and tuple(row["probabilities"]) != predictor.classes:
                raise PredictionError(
                    f"{out}: was begun when the classes were others "
                    f"({', '.join(row['probabilities'])}). Begin anew (--restart)."
                )
            kept.take(row["key"], row["error"])
            whole += len(line)
    os.truncate(partial, whole)
    return kept


def _write(
    partial: Path,
    predictor: Predictor,
    sources: Sources,
    done: _Kept,
    restart: bool,
    progress: Progress,
    seen: Callable[[Candidate], None] | None,
) -> tuple[int, int]:
    """Append the rows that are missing; returns how many are predicted and failed in all."""

    def counted(files: int) -> None:
        progress.update("count", files, None)
        progress.check()

    total = sources.count(counted)
    failed = done.failed
    predicted = done.rows - failed
    progress.update(LOAD, 0, None)
    with partial.open("w" if restart else "a", encoding="utf-8") as file:
        kept = time.monotonic()
        for candidate, row in predictor.stream(_missing(sources, done), progress.check):
            if seen is not None and candidate is not None and row.reason is None:
                seen(candidate)
            file.write(json.dumps(as_json(row, predictor), ensure_ascii=False) + "\n")
            if candidate is not None:
                _forget(candidate)
            failed += row.reason is not None
            predicted += row.reason is None
            if time.monotonic() - kept > KEPT_SECONDS:
                file.flush()
                kept = time.monotonic()
            count = predicted + failed
            told = f"{failed:,} failed" if failed else ""
            whole = max(total, count)
            progress.update(STAGE, count, whole, told, predicted=predicted, failed=failed)
            progress.check()
        file.flush()
        os.fsync(file.fileno())
    return predicted, failed


def _missing(sources: Sources, done: _Kept) -> Iterator[Candidate | ImportProblem]:
    """Yield what has no row yet; a key that comes twice is an error of the second."""
    seen: Counter[str] = Counter()
    for step in sources.candidates():
        key = step.path if isinstance(step, ImportProblem) else step.key
        before = seen[key]
        seen[key] += 1
        if not before and key not in done.keys:
            yield step
            continue
        if before > done.again[key]:
            yield ImportProblem(key, TWICE, "Give each image a key of its own.")
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
        "probabilities": dict(zip(predictor.classes, row.probs, strict=False)),
        "energy": row.energy,
        "model": predictor.model.id,
        "error": row.reason,
        "mend": row.mend,
    }


def _finish(partial: Path, out: Path, classes: Sequence[str]) -> None:
    """Give the whole file its name."""
    if out.suffix.lower() == ".jsonl":
        partial.replace(out)
        return
    table = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with partial.open(encoding="utf-8") as rows, table.open("w", encoding="utf-8") as file:
            as_csv(rows, file, classes)
            file.flush()
            os.fsync(file.fileno())
        table.replace(out)
    finally:
        with suppress(OSError):
            table.unlink(missing_ok=True)
    partial.unlink(missing_ok=True)


def as_csv(rows: TextIO, file: TextIO, classes: Sequence[str]) -> None:
    """Write rows of JSON as a table, a column for the probability of each class."""
    names = ("key", "class", "confidence", "energy", "model", "error", "mend")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*names, *(guarded(f"p({name})") for name in classes)])
    for line in rows:
        row = json.loads(line)
        cells = [row[name] for name in names]
        cells += [row["probabilities"].get(name) for name in classes]
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in cells])
