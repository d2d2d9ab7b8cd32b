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
from labeller.services.tables import GENERATED, PROPAGATION, guarded
from store.records import ExportRow
from store.records_made import GeneratedRow
from store.store import Unit

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
GENERATED_COLUMNS = (*COLUMNS, "confidence", "run")
FORMATS = {".csv": "csv", ".jsonl": "jsonl"}
_ROWS = 500


def export_labels(project: Project, to: Path, generated: bool = False) -> int:
    """Write the current labels to a file, which appears whole or not at all.

    The columns are path, sha256, class, annotator, time (ISO 8601, UTC), strategy, split,
    provenance (``page``, ``api``, ``cli`` or ``import``), round and group. Paths are absolute. In
    CSV an empty cell means none, and a cell that a spreadsheet would run as a formula is made
    harmless by :func:`~labeller.services.tables.guarded`, which importing takes back; JSON Lines
    holds every value as it is.

    Generated labels come after the others, when they are asked for: those of accepted runs, of
    images that no person labelled. Their provenance is ``generated`` or, from a label propagation,
    ``propagation``; their annotator names the model or label spreading, their round is that of the
    model, and the columns confidence and run are added.
    What reads labels refuses them, so that they do not become a person's unnoticed.

    Parameters
    ----------
    project : Project
    to : Path
        A ``.csv`` or ``.jsonl`` file; replaced when it exists.
    generated : bool
        Whether to add the generated labels.

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
        rows = _write(project, kind, temporary, generated)
        temporary.replace(to)
    except OSError as error:
        raise ExportError(f"{to}: cannot be written ({error.strerror or error}).") from error
    finally:
        if temporary.exists():
            temporary.unlink()
    return rows


def export_text(project: Project, format: str, generated: bool = False) -> Iterator[bytes]:
    """Yield an export piece by piece, for a download.

    Parameters
    ----------
    project : Project
    format : {"csv", "jsonl"}
    generated : bool
        Whether to add the generated labels of accepted runs.

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
    return (text for text, _ in _pieces(project, format, generated))


def _write(project: Project, kind: str, path: Path, generated: bool) -> int:
    total = 0
    with path.open("wb") as file:
        for text, rows in _pieces(project, kind, generated):
            file.write(text)
            total += rows
        file.flush()
        os.fsync(file.fileno())
    return total


def _pieces(project: Project, kind: str, generated: bool) -> Iterator[tuple[bytes, int]]:
    """Yield encoded lines with the number of labels in them, all of one moment."""
    columns = GENERATED_COLUMNS if generated else COLUMNS
    write = _csv if kind == "csv" else _jsonl
    if kind == "csv":
        yield _csv([dict(zip(columns, columns, strict=True))]), 0
    with project.store.read() as unit:
        part: list[dict[str, Any]] = []
        for row in _rows(project, unit, generated):
            part.append({name: row.get(name) for name in columns})
            if len(part) == _ROWS:
                yield write(part), len(part)
                part = []
        yield write(part), len(part)


def _rows(project: Project, unit: Unit, generated: bool) -> Iterator[dict[str, Any]]:
    """Yield the labels that people gave, then those that were generated."""
    for row in unit.labels.export():
        yield _cells(project, row)
    if generated:
        rounds = {one.id: one.number for one in unit.rounds.all()}
        numbers = {model.id: rounds.get(model.round_id) for model in unit.models.all()}
        for made in unit.generated_labels.export():
            yield _generated_cells(project, made, numbers[made.model_id])


def _cells(project: Project, row: ExportRow) -> dict[str, Any]:
    """Return a row's values under the names of the columns."""
    return {
        "path": str(project.file(row.path)),
        "sha256": row.sha256,
        "class": row.class_name,
        "annotator": row.annotator,
        "time": _time(row.at),
        "strategy": row.strategy,
        "split": row.split,
        "provenance": row.source,
        "round": row.round_number,
        "group": row.group,
    }


def _generated_cells(project: Project, row: GeneratedRow, number: int | None) -> dict[str, Any]:
    """Return the values of a generated label; `number` is its model's round."""
    return {
        "path": str(project.file(row.path)),
        "sha256": row.sha256,
        "class": row.class_name,
        "annotator": f"{'model' if row.kind == 'stream' else row.strategy} of round {number}",
        "time": _time(row.at),
        "strategy": row.strategy,
        "split": row.split,
        "provenance": PROPAGATION if row.kind == "propagation" else GENERATED,
        "round": number,
        "group": row.group,
        "confidence": round(row.confidence, 6),
        "run": row.run_id,
    }


def _time(at: float) -> str:
    time = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow(guarded(cell) if isinstance(cell, str) else cell for cell in row.values())
    return buffer.getvalue().encode("utf-8")


def _jsonl(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
