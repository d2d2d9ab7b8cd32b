"""CSV files as people and spreadsheets write them: read with line numbers, cells made harmless."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labeller.errors import LabellerError

Row = dict[str, str]

GENERATED = "generated"  # the provenances of labels that no person gave
PROPAGATION = "propagation"
NOBODY = frozenset({GENERATED, PROPAGATION})

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_BREAK = re.compile(r"[\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\Z")


class TableError(LabellerError):
    """A table cannot be read at all; the text names file, line and mend."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no CSV; `cells` are those of known columns that can be read all the same."""

    line: int
    reason: str
    cells: Row = field(default_factory=dict)


class _Lines:
    """The lines of a file, which knows when somebody asked for more than there are."""

    def __init__(self, file: Iterable[str]) -> None:
        self._lines = iter(file)
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._lines)
        except StopIteration:
            self.ended = True
            raise


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    One ``'`` is put before a cell that begins with ``=``, ``+``, ``-``, ``@``, tab or carriage
    return (or with ``'`` and then one of them), unless it is a plain number. :func:`unguarded`
    takes exactly that one away again. After OWASP, "CSV Injection".
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.match(cell) else cell


def unguarded(cell: str) -> str:
    """Take the ``'`` of :func:`guarded` away again."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_table(
    path: Path, columns: Mapping[str, Sequence[str]], needed: Sequence[Sequence[str]]
) -> Iterator[tuple[int, Row] | BadRow]:
    """Read a CSV file row by row.

    The file is UTF-8 (with or without a mark) and separated by comma, semicolon or tab, whichever
    its first line has most of. Capitals and blanks in column names do not matter; cells are
    trimmed and :func:`unguarded`; empty lines are passed over; other columns are ignored. Where a
    cell of a known column has a line break, or the file ends within a cell, a quote was not closed
    and has taken the rows that follow for its text: that is no row.

    Parameters
    ----------
    path : Path
    columns : mapping of str to sequence of str
        The names to give the columns, each with the spellings it is known by.
    needed : sequence of sequence of str
        Of each of these, at least one column must be there.

    Yields
    ------
    tuple of int and dict, or BadRow
        Number of the first line (the header is line 1) and the cells of the known columns.

    Raises
    ------
    TableError
        When the file cannot be read, is not UTF-8, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter = max(",;\t", key=header.count)
            file.seek(0)
            yield from _rows(path, _Lines(file), delimiter, columns, needed)
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path}: line {_bad_line(path)} is not UTF-8. Save the file as CSV UTF-8."
        ) from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _rows(
    path: Path,
    lines: _Lines,
    delimiter: str,
    columns: Mapping[str, Sequence[str]],
    needed: Sequence[Sequence[str]],
) -> Iterator[tuple[int, Row] | BadRow]:
    reader = csv.reader(lines, delimiter=delimiter)
    places = _places(path, next(reader, []), columns, needed)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            within = reader.line_num == line
            yield BadRow(line, str(error) if within else _unclosed(reader.line_num))
            continue
        row = {
            name: unguarded(cells[place].strip()) if place < len(cells) else ""
            for name, place in places.items()
        }
        whole = {name: cell for name, cell in row.items() if not _BREAK.search(cell)}
        # A reader asks beyond the end only for the rest of a cell.
        if lines.ended or len(whole) < len(row):
            yield BadRow(line, _unclosed(reader.line_num), whole)
        elif any(cell.strip() for cell in cells):
            yield line, row


def _unclosed(last: int) -> str:
    return f"a quote is still open in line {last}"


def _places(
    path: Path,
    header: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    needed: Sequence[Sequence[str]],
) -> dict[str, int]:
    """Find the known columns in the header."""
    found: dict[str, int] = {}
    titles = [cell.strip().casefold() for cell in header]
    for name, spellings in columns.items():
        for spelling in spellings:
            if spelling in titles:
                if titles.count(spelling) > 1:
                    raise TableError(f"{path}: has two columns named {spelling!r}. Keep one.")
                found[name] = titles.index(spelling)
                break
    for choice in needed:
        if not found.keys() & set(choice):
            raise TableError(
                f"{path}: line 1 names no column {' or '.join(map(repr, choice))} "
                f"(it has: {', '.join(map(repr, titles)) or 'nothing'}). Add a header line."
            )
    return found


def _bad_line(path: Path) -> int:
    """Return the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
