"""Export the current labels as CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from labeller.errors import ExportError
from labeller.project import Project
from labeller.services import originals
from labeller.services.tables import GENERATED, PROPAGATION, guarded
from store.durable import move_whole, sync_file
from store.records import ExportRow
from store.records_made import GeneratedRow
from store.scratch import begin_scratch
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
Row = TypeVar("Row", ExportRow, GeneratedRow)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """How many labels were written; `notes` name what was left out, and why."""

    rows: int
    notes: tuple[str, ...] = ()


def export_labels(project: Project, to: Path, generated: bool = False) -> ExportReport:
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

    A label whose image's file holds another image by now is left out, and the report names it: no
    path is ever written with the label of a picture that it does not hold.

    Parameters
    ----------
    project : Project
    to : Path
        A ``.csv`` or ``.jsonl`` file; replaced when it exists.
    generated : bool
        Whether to add the generated labels.

    Returns
    -------
    ExportReport

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
    temporary = begin_scratch(to)
    try:
        left_out: list[str] = []
        rows = _write(project, kind, temporary, generated, left_out)
        sync_file(temporary)
        move_whole(temporary, to)
    except OSError as error:
        raise ExportError(f"{to}: cannot be written ({error.strerror or error}).") from error
    finally:
        if temporary.exists():
            temporary.unlink()
    return ExportReport(rows, tuple(notes_on(left_out)))


def notes_on(left_out: Sequence[str]) -> Iterator[str]:
    """Say which labels were left out of an export, if any."""
    if left_out:
        yield originals.describe_replaced(left_out, "left out")


def export_text(
    project: Project, format: str, generated: bool = False, left_out: list[str] | None = None
) -> Iterator[bytes]:
    """Yield an export piece by piece, for a download.

    Parameters
    ----------
    project : Project
    format : {"csv", "jsonl"}
    generated : bool
        Whether to add the generated labels of accepted runs.
    left_out : list of str, optional
        Told the paths of images whose file holds another one by now, as they are passed over.

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
    names = [] if left_out is None else left_out
    return (text for text, _ in _pieces(project, format, generated, names))


def _write(project: Project, kind: str, path: Path, generated: bool, left_out: list[str]) -> int:
    total = 0
    with path.open("wb") as file:
        for text, rows in _pieces(project, kind, generated, left_out):
            file.write(text)
            total += rows
    return total


def _pieces(
    project: Project, kind: str, generated: bool, left_out: list[str]
) -> Iterator[tuple[bytes, int]]:
    """Yield encoded lines with the number of labels in them, all of one moment."""
    columns = GENERATED_COLUMNS if generated else COLUMNS
    write = _csv if kind == "csv" else _jsonl
    if kind == "csv":
        yield _csv([dict(zip(columns, columns, strict=True))]), 0
    with project.store.read() as unit:
        part: list[dict[str, Any]] = []
        for row in _rows(project, unit, generated, left_out):
            part.append({name: row.get(name) for name in columns})
            if len(part) == _ROWS:
                yield write(part), len(part)
                part = []
        yield write(part), len(part)


def _rows(
    project: Project, unit: Unit, generated: bool, left_out: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield the labels that people gave, then those that were generated."""
    for row, path in _verified(project, unit.labels.export(), left_out):
        yield _cells(row, path)
    if generated:
        rounds = {one.id: one.number for one in unit.rounds.all()}
        numbers = {model.id: rounds.get(model.round_id) for model in unit.models.all()}
        for made, path in _verified(project, unit.generated_labels.export(), left_out):
            yield _generated_cells(made, path, numbers[made.model_id])


def _verified(
    project: Project, rows: Iterable[Row], left_out: list[str]
) -> Iterator[tuple[Row, Path]]:
    """Yield rows with the path that holds their image; what holds another one is left out."""
    left = iter(rows)
    while part := list(islice(left, _ROWS)):
        with project.store.read() as unit:
            items = unit.items.many([row.item_id for row in part])
        found = originals.verify_originals(project, items.values())
        for row in part:
            original = found[row.item_id]
            if original.problem is None:
                yield row, original.path
            else:
                left_out.append(str(original.path))


def _cells(row: ExportRow, path: Path) -> dict[str, Any]:
    """Return a row's values under the names of the columns."""
    return {
        "path": str(path),
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


def _generated_cells(row: GeneratedRow, path: Path, number: int | None) -> dict[str, Any]:
    """Return the values of a generated label; `number` is its model's round."""
    return {
        "path": str(path),
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
