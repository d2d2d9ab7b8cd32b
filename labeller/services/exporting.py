"""Export the current labels as CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labeller.errors import ExportError
from labeller.project import Project
from labeller.services.tables import guarded
from store.records import ExportRow

COLUMNS = (
    "path",
    "sha256",
    "class",
    "annotator",
    "time",
    "strategy",
    "split",
    "provenance",
    "round",
    "group",
)
FORMATS = {".csv": "csv", ".jsonl": "jsonl"}
_ROWS = 500


def export_labels(project: Project, to: Path) -> int:
    """Write the current labels to a file, which appears whole or not at all.

    The columns are path, sha256, class, annotator, time (ISO 8601, UTC), strategy, split,
    provenance (``page``, ``api``, ``cli`` or ``import``), round and group. Paths are absolute. In
    CSV an empty cell means none, and a cell that a spreadsheet would run as a formula is made
    harmless by :func:`~labeller.services.tables.guarded`, which importing takes back; JSON Lines
    holds every value as it is.

    Parameters
    ----------
    project : Project
    to : Path
        A ``.csv`` or ``.jsonl`` file; replaced when it exists.

    Returns
    -------
    int
        How many labels were written.

    Raises
    ------
    ExportError
        When the suffix is another one or the file cannot be written.
    """
    kind = FORMATS.get(to.suffix.lower())
    if kind is None:
        raise ExportError(
            f"{to}: labels are exported as .csv or .jsonl, not {to.suffix or 'without a suffix'}."
        )
    temporary = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        rows = _write(project, kind, temporary)
        temporary.replace(to)
    except OSError as error:
        raise ExportError(f"{to}: cannot be written ({error.strerror or error}).") from error
    finally:
        if temporary.exists():
            temporary.unlink()
    return rows


def export_text(project: Project, format: str) -> Iterator[bytes]:
    """Yield an export piece by piece, for a download.

    Parameters
    ----------
    project : Project
    format : {"csv", "jsonl"}

    Yields
    ------
    bytes
        UTF-8; some hundred lines each.

    Raises
    ------
    ExportError
        When the format is another one.
    """
    if format not in FORMATS.values():
        raise ExportError(f"{format}: labels are exported as csv or jsonl.")
    return (text for text, _ in _pieces(project, format))


def _write(project: Project, kind: str, path: Path) -> int:
    total = 0
    with path.open("wb") as file:
        for text, rows in _pieces(project, kind):
            file.write(text)
            total += rows
        file.flush()
        os.fsync(file.fileno())
    return total


def _pieces(project: Project, kind: str) -> Iterator[tuple[bytes, int]]:
    """Yield encoded lines with the number of labels in them, all of one moment."""
    write = _csv if kind == "csv" else _jsonl
    if kind == "csv":
        yield _csv([dict(zip(COLUMNS, COLUMNS, strict=True))]), 0
    with project.store.read() as unit:
        part: list[dict[str, Any]] = []
        for row in unit.labels.export():
            part.append(_cells(project, row))
            if len(part) == _ROWS:
                yield write(part), len(part)
                part = []
        yield write(part), len(part)


def _cells(project: Project, row: ExportRow) -> dict[str, Any]:
    """Return a row's values under the names of the columns."""
    time = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")
    return {
        "path": str(project.file(row.path)),
        "sha256": row.sha256,
        "class": row.class_name,
        "annotator": row.annotator,
        "time": time.replace("+00:00", "Z"),
        "strategy": row.strategy,
        "split": row.split,
        "provenance": row.source,
        "round": row.round_number,
        "group": row.group,
    }


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow(
            guarded(cell) if isinstance(cell, str) else cell for cell in map(row.get, COLUMNS)
        )
    return buffer.getvalue().encode("utf-8")


def _jsonl(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
