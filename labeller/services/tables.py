"""Tables as people and programs write them: CSV and JSON Lines, read with their line numbers."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labeller.errors import LabellerError
from labeller.services.table_columns import (
    MISSING,
    SPELLINGS,
    Columns,
    ColumnsError,
    Meaning,
    choose_columns,
    known_titles,
)
from labeller.services.table_formats import (
    HEAD,
    describe_json,
    is_json,
    json_lines,
    recognise_format,
)
from labeller.text_files import TextError, encoding_of, open_text, undecodable

Row = dict[Meaning, str]

GENERATED = "generated"  # the provenances of labels that no person gave
PROPAGATION = "propagation"
NOBODY = frozenset({GENERATED, PROPAGATION})
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_BREAK = re.compile(r"[\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\Z")
_SEP = re.compile(r'"?sep=([^\w"\s]|\t)"?[,;\t|]*\s*\Z', re.IGNORECASE)
_AFTER_QUOTE = re.compile(r'"[ \t]+(?=[,;|\t\r\n]|$)')
_BEFORE_TAB = re.compile(r'"[ ]+(?=[\t\r\n]|$)')  # where tabs are no blanks
_PATH = re.compile(r"[^\s.]\.[A-Za-z]{2,4}\Z|/")  # as a file is named, or a path
_SAVE_UTF8 = "Save the file as CSV UTF-8."
_TOP = 50  # lines among which the header is
_LISTED = 10


class TableError(LabellerError):
    """A table cannot be read at all; the text names file, line and mend."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be understood; `cells` are those of known columns that can be read."""

    line: int
    reason: str
    cells: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Record:
    """One row by places.

    `wrong` says why it cannot be understood, `broken` why not if a cell that is read has a line
    break. `excess` is how many cells it has more than the header, negative when it lacks some.
    """

    line: int
    cells: Sequence[str]
    wrong: str | None
    broken: str = "has a line break in a cell"
    excess: int = 0


class _Format(Protocol):
    """How the rows of a file are written."""

    @property
    def titles(self) -> Sequence[str]:
        """The names of the columns."""

    @property
    def head(self) -> str:
        """Where those names are, for errors."""

    def records(self, path: Path) -> Iterator[_Record]:
        """Read the rows."""


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


class Table:
    """A table whose columns are known; rows are read from the file each time.

    A CSV file is UTF-8, or has a byte order mark; the separator is the one of :data:`DELIMITERS`
    that makes most sense of the header, or what a first line ``sep=;`` says. Cells are trimmed,
    and :func:`unguarded`; empty lines are passed over. Where a cell that is read has a line break,
    or the file ends within a cell, a quote was not closed and has taken the rows that follow for
    its text: that is no row, and neither is one with more cells than the header. Cells lacking at
    the end are empty. JSON Lines, recognised by their first line, hold one object a row.

    Attributes
    ----------
    columns : Columns
        What the columns mean, by :mod:`~labeller.services.table_columns`.
    """

    def __init__(self, path: Path, file: _Format, columns: Columns) -> None:
        self._path, self._file, self.columns = path, file, columns
        self._rows = 0
        self._short: list[int] = []
        self._long: list[int] = []
        self._missing: Counter[tuple[Meaning, str]] = Counter()

    def rows(self) -> Iterator[tuple[int, Row] | BadRow]:
        """Yield the rows: number of their first line, and cells by meaning.

        Raises
        ------
        TableError
            When the file cannot be read further, or is not in its encoding.
        """
        self._rows, self._short, self._long, self._missing = 0, [], [], Counter()
        with _telling(self._path):
            for record in self._file.records(self._path):
                row = self.columns.cells(record.cells)
                whole = {name: cell for name, cell in row.items() if not _BREAK.search(cell)}
                wrong = record.broken if len(whole) < len(row) else record.wrong
                if wrong is not None:
                    yield BadRow(record.line, wrong, whole)
                    continue
                self._rows += 1
                if record.excess:
                    (self._long if record.excess > 0 else self._short).append(record.line)
                yield record.line, self._filled(row)

    def notes(self) -> Iterator[str]:
        """Say how the table was understood, as far as its rows have been read."""
        yield from self.columns.describe()
        if self._short:
            yield (
                f"{name_lines(self._short)} {'has' if len(self._short) == 1 else 'have'} fewer "
                "cells than the header: what is lacking was taken as empty."
            )
        # With a path and a label alone, no cell can have slipped into another column.
        if self._long and len(self._long) < self._rows and len(self._file.titles) > 2:
            yield (
                f"{name_lines(self._long)} {'has' if len(self._long) == 1 else 'have'} more cells "
                "than the header, the last ones empty: the others were taken as they stand. If a "
                "cell holds a separator, put it in quotes."
            )
        for (meaning, word), number in self._missing.items():
            where = "1 cell" if number == 1 else f"{number:,} cells"
            yield f"{word!r} in {where} of the column for the {meaning} was taken as empty."

    def _filled(self, row: Row) -> Row:
        """Empty the cells that say that there is nothing; labels are judged elsewhere."""
        for meaning, word in row.items():
            if word in MISSING and meaning not in ("path", "label"):
                self._missing[meaning, word] += 1
                row[meaning] = ""
        return row


def open_table(
    path: Path, wanted: Collection[Meaning], needed: Sequence[Sequence[Meaning]]
) -> Table:
    """Look at a table, whatever its suffix, and find its columns.

    Parameters
    ----------
    path : Path
    wanted : collection of str
        The meanings that the reader has a use for.
    needed : sequence of sequence of str
        Of each of these, at least one must be there.

    Raises
    ------
    TableError
        When the file cannot be read, is of another format or encoding, or lacks a column.
    """
    with _telling(path):
        with path.open("rb") as raw:
            other = recognise_format(raw.read(HEAD), path.name)
        if other is not None:
            raise TableError(f"{path}: is {other[0]}, not a table of text. {other[1]}")
        with open_text(path) as text:
            top = list(itertools.islice(text, _TOP))
        file = _recognise(path, top)
        rows = ((one.line, one.cells) for one in file.records(path) if one.wrong is None)
        columns = choose_columns(file.titles, wanted, rows)
    _check_needed(path, file, columns, needed)
    return Table(path, file, columns)


def name_lines(lines: Sequence[int]) -> str:
    """Return ``line 4``, or ``lines 4, 9, 12 and 40 more``."""
    shown = ", ".join(map(str, lines[:_LISTED]))
    more = f" and {len(lines) - _LISTED:,} more" if len(lines) > _LISTED else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"


@dataclass(frozen=True, slots=True)
class _Csv:
    """Cells separated by `delimiter`; the header begins after `start` lines."""

    titles: Sequence[str]
    delimiter: str
    start: int

    @property
    def head(self) -> str:
        return f"line {self.start + 1}"

    def records(self, path: Path) -> Iterator[_Record]:
        with open_text(path) as file:
            lines = _Lines(itertools.islice(file, self.start, None))
            reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)
            next(reader, None)
            while True:
                line = self.start + reader.line_num + 1
                lines.taken.clear()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    last = self.start + reader.line_num
                    yield _Record(line, (), str(error) if last == line else _unclosed(last))
                    continue
                if any(map(str.strip, cells)):
                    yield self._record(line, cells, lines, self.start + reader.line_num)

    def _record(self, line: int, cells: Sequence[str], lines: _Lines, last: int) -> _Record:
        trimmed = [unguarded(cell.strip()) for cell in cells]
        width, wrong = len(self.titles), None
        if lines.ended:  # a reader asks beyond the end only for the rest of a cell
            wrong = _unclosed(last)
        elif not self._is_strict(lines.taken, trimmed):
            wrong = "has text after a closing quote (a quote within quotes is written twice)"
        elif any(trimmed[width:]):
            name = DELIMITERS.get(self.delimiter, self.delimiter)
            wrong = (
                f"has {len(cells)} cells and the header {width} "
                f"(a cell with a {name} in it is put in quotes)"
            )
        elif any("\0" in cell for cell in cells):
            wrong = "holds a NUL character"
        return _Record(line, trimmed, wrong, _unclosed(last), len(trimmed) - width)

    def _is_strict(self, lines: Sequence[str], trimmed: Sequence[str]) -> bool:
        """Whether quotes enclose whole cells, but for blanks around them."""
        if not any('"' in line for line in lines):
            return True
        blanks = _BEFORE_TAB if self.delimiter == "\t" else _AFTER_QUOTE
        tidy = [blanks.sub('"', line) for line in lines]
        reader = csv.reader(tidy, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        try:
            return [unguarded(cell.strip()) for cell in next(reader)] == list(trimmed)
        except csv.Error:
            return False


@dataclass(frozen=True, slots=True)
class _JsonLines:
    """One JSON object a line; what one of them names is a column."""

    titles: Sequence[str]
    head: str = "the file"

    def records(self, path: Path) -> Iterator[_Record]:
        for line, row in _objects(path):
            if isinstance(row, str):
                yield _Record(line, (), row)
                continue
            cells = [_cell(row.get(title)) for title in self.titles]
            lone = any("\ud800" <= c <= "\udfff" or c == "\0" for cell in cells for c in cell)
            yield _Record(line, cells, "holds a NUL or half a character" if lone else None)


class _Lines:
    """The lines of a file, which keeps those of a row and knows when more were asked for."""

    def __init__(self, file: Iterable[str]) -> None:
        self._lines = iter(file)
        self.taken: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        self.taken.append(line)
        return line


def _recognise(path: Path, top: Sequence[str]) -> _Format:
    """Find out from its first lines how a file is written."""
    start = next((number for number, line in enumerate(top) if line.strip()), 0)
    first = top[start] if top else ""
    if json_lines(first):
        rows = (row for _, row in _objects(path) if not isinstance(row, str))
        return _JsonLines(list(dict.fromkeys(itertools.chain.from_iterable(rows))))
    if is_json(first):
        kind, mend = describe_json("".join(top)[:HEAD])
        raise TableError(f"{path}: is {kind}. {mend}")
    choices = list(DELIMITERS)
    if separator := _SEP.match(first):
        choices, start = [separator[1]], start + 1
    headers = {delimiter: _header(top[start:], delimiter) for delimiter in choices}
    best = max(choices, key=lambda one: (known_titles(headers[one]), len(headers[one])))
    return _Csv(headers[best], best, start)


def _header(lines: Sequence[str], delimiter: str) -> list[str]:
    """Return the titles; columns without one at the end are none."""
    try:
        cells = next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    titles = [cell.strip().strip("\ufeff") for cell in cells]
    while titles and not titles[-1]:
        titles.pop()
    return titles


def _objects(path: Path) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Yield the objects of a JSON Lines file, or what is wrong, with their lines."""
    with open_text(path) as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                row = None
            yield line, row if isinstance(row, dict) else "is no JSON object"


def _cell(value: object) -> str:
    """Return a JSON value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _unclosed(last: int) -> str:
    return f"a quote is still open in line {last}"


def _check_needed(
    path: Path, file: _Format, columns: Columns, needed: Sequence[Sequence[Meaning]]
) -> None:
    """Raise when a column is lacking, with what could be done."""
    for choice in needed:
        if columns.places.keys() & set(choice):
            continue
        named = ", ".join(map(repr, file.titles)) or "nothing"
        known = ", ".join(SPELLINGS[choice[0]])
        raise TableError(
            f"{path}: {file.head} names no column {' or '.join(map(repr, choice))} "
            f"(it has: {named}). {_suggest_header(file)} Known names of {choice[0]!r}: {known}."
        )


def _suggest_header(file: _Format) -> str:
    """Say what to write above a table that begins with its first row."""
    path = next((n for n, cell in enumerate(file.titles) if _PATH.search(cell)), None)
    if path is None or not isinstance(file, _Csv):
        return "Add a header line."
    names = [f"column{n + 1}" for n in range(len(file.titles))]
    others = [n for n in range(len(names)) if n != path]
    names[path] = "path"
    if others:
        names[others[0]] = "label"
    header = file.delimiter.join(names)
    return f"It looks like a row: put a header line above it, such as {header!r}."


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a :class:`TableError`."""
    try:
        yield
    except UnicodeDecodeError as error:
        data = path.read_bytes()
        why = undecodable(data, encoding_of(data[:HEAD]))
        raise TableError(f"{path}: {why}. {_SAVE_UTF8}") from error
    except TextError as error:
        raise TableError(f"{path}: {error}. {_SAVE_UTF8}") from error
    except ColumnsError as error:
        raise TableError(f"{path}: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise TableError(f"{path}: cannot be read ({why}).") from error
