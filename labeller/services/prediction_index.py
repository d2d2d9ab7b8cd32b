"""What is in a finished prediction, worked out once: counts, and a small row for each image.

The rows lie in a memory-mapped file, least sure first, so that a page of a hundred thousand images
reads what it shows and no more.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labeller.errors import PredictionError
from labeller.services import prediction_images
from labeller.services.prediction_images import Place
from store.durable import write_whole

RESULT = "predictions.jsonl"
ROWS = "rows.npy"
SUMMARY = "summary.json"
BINS = 20
ERROR = -1  # the column of an image that could not be read
EVERY = 1_000  # rows between two looks at whether to stop

# Where the row and the note of its place begin in their files, the class (a column of the
# summary's), and what the model said; of errors the confidence is NaN.
ROW = np.dtype(
    [("at", "<i8"), ("place", "<i8"), ("column", "<i4"), ("confidence", "<f8"), ("energy", "<f8")]
)
Rows = NDArray[np.void]
Ints = NDArray[np.int64]
Part = Literal["all", "unfamiliar", "errors"]
Order = Literal["unsure", "sure", "unfamiliar"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a prediction.

    `counts` has a number for each of the `classes`, `confidences` for each of 20 equal parts of
    0 to 1. `threshold` is the energy above which an image looks like nothing seen and `unfamiliar`
    how many do; both are None where the model has no threshold.
    """

    predicted: int
    failed: int
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    confidences: tuple[int, ...]
    threshold: float | None
    unfamiliar: int | None
    finished_at: float


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a prediction; `number` is its place among the rows, least sure first."""

    number: int
    key: str
    class_name: str | None
    confidence: float | None
    probs: Mapping[str, float]
    energy: float | None
    error: str | None
    mend: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to show: a `part`, of it one class (a column) or all, a range of confidence."""

    part: Part = "all"
    column: int | None = None
    low: float = 0.0
    high: float = 1.0
    order: Order = "unsure"


def sum_up(
    folder: Path, threshold: float | None, check: Callable[[], None] = lambda: None
) -> Summary:
    """Read the result in a folder once and keep counts and rows beside it.

    Parameters
    ----------
    folder : Path
        With the result and the notes of where the images lie.
    threshold : float, optional
        The energy above which an image looks like nothing seen.
    check : callable
        Called now and then; it may raise.

    Raises
    ------
    OSError
        When it cannot be read or written.
    """
    places = prediction_images.offsets(folder)
    columns: dict[str, int] = {}
    with (folder / RESULT).open("rb") as file:
        rows = np.fromiter(_read(file, places, columns, check), ROW)
    # NaN comes last: errors are at the end.
    rows = rows[np.argsort(rows["confidence"], kind="stable")]
    summary = _summary(rows, tuple(columns), threshold)
    with BytesIO() as data:
        np.save(data, rows)
        write_whole(folder / ROWS, data.getvalue())
    write_whole(folder / SUMMARY, json.dumps(asdict(summary)))
    return summary


def _read(
    lines: Any, places: Mapping[str, int], columns: dict[str, int], check: Callable[[], None]
) -> Any:
    """Yield a row for each line, and number the classes as they come."""
    at = 0
    for number, line in enumerate(lines):
        if number % EVERY == 0:
            check()
        row = json.loads(line)
        if row["error"] is None:
            for name in row["probabilities"]:
                columns.setdefault(name, len(columns))
            known = columns[row["class"]], row["confidence"], row["energy"]
            yield at, places.get(row["key"], -1), *known
        else:
            yield at, -1, ERROR, np.nan, np.nan
        at += len(line)


def _summary(rows: Rows, classes: tuple[str, ...], threshold: float | None) -> Summary:
    good = rows[rows["column"] != ERROR]
    counts = Counter(good["column"].tolist())
    bins, _ = np.histogram(good["confidence"], BINS, (0.0, 1.0))
    return Summary(
        predicted=len(good),
        failed=len(rows) - len(good),
        classes=classes,
        counts=tuple(counts[column] for column in range(len(classes))),
        confidences=tuple(bins.tolist()),
        threshold=threshold,
        unfamiliar=None if threshold is None else int((good["energy"] > threshold).sum()),
        finished_at=time.time(),
    )


def read_summary(folder: Path) -> Summary | None:
    """Return the counts of a prediction; None while it is not finished."""
    try:
        values = json.loads((folder / SUMMARY).read_bytes())
        lists = {name: tuple(values[name]) for name in ("classes", "counts", "confidences")}
        return Summary(**(values | lists))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder / SUMMARY, error) from error


def read_rows(folder: Path) -> Rows:
    """Return the rows of a finished prediction, mapped and not read.

    Raises
    ------
    PredictionError
        When the file is gone or damaged.
    """
    try:
        rows: Rows = np.load(folder / ROWS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(folder / ROWS, error) from error
    return rows


def find(rows: Rows, wanted: Wanted, threshold: float | None) -> Ints:
    """Return the numbers of the rows that are wanted, in the order that is wanted."""
    errors = rows["column"] == ERROR
    if wanted.part == "errors":
        return np.flatnonzero(errors)
    kept = ~errors & (rows["confidence"] >= wanted.low) & (rows["confidence"] <= wanted.high)
    if wanted.part == "unfamiliar":
        kept &= rows["energy"] > (np.inf if threshold is None else threshold)
    if wanted.column is not None:
        kept &= rows["column"] == wanted.column
    found = np.flatnonzero(kept)
    if wanted.order == "unfamiliar":
        return found[np.argsort(-rows["energy"][found], kind="stable")]
    return found[::-1] if wanted.order == "sure" else found


def read(folder: Path, rows: Rows, numbers: Sequence[int]) -> list[Row]:
    """Read some rows whole.

    Raises
    ------
    PredictionError
        When the result is gone or damaged.
    """
    found = []
    try:
        with (folder / RESULT).open("rb") as file:
            for number in numbers:
                file.seek(int(rows["at"][number]))
                found.append(_row(int(number), json.loads(file.readline())))
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(folder / RESULT, error) from error
    return found


def place_of(folder: Path, number: int) -> Place | None:
    """Return where the image of a row lies; None where there is no such row, or no note of it.

    Raises
    ------
    PredictionError
        When the files are gone or damaged.
    """
    rows = read_rows(folder)
    offset = int(rows["place"][number]) if 0 <= number < len(rows) else -1
    try:
        return None if offset < 0 else prediction_images.place(folder, offset)
    except (OSError, ValueError) as error:
        raise _unreadable(folder / prediction_images.PLACES, error) from error


def _row(number: int, row: Mapping[str, Any]) -> Row:
    return Row(
        number,
        row["key"],
        row["class"],
        row["confidence"],
        row["probabilities"],
        row["energy"],
        row["error"],
        row["mend"],
    )


def _unreadable(path: Path, error: Exception) -> PredictionError:
    why = getattr(error, "strerror", None) or "it is damaged"
    return PredictionError(f"{path}: cannot be read ({why}). Delete this prediction; make it anew.")
