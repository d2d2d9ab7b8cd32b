"""Import from a CSV file that lists images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import get_args

from labeller.errors import ImportSourceError
from labeller.services.import_sources import Candidate, Refused, Survey, Tick, safe_target, shown
from labeller.services.tables import NOBODY, BadRow, Row, TableError, read_table
from store.records import Split

COLUMNS = {
    "path": ("path", "file", "filename", "image"),
    "label": ("label", "class"),
    "group": ("group",),
    "split": ("split",),
    "key": ("key", "id"),
    "provenance": ("provenance",),
}
_UNLABELLED = ("path", "key")
SPLITS: dict[str, Split] = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "audit": "audit",
    "test": "audit",
    "unused": "unused",
}


class TableSource:
    """A table with the column ``path`` (relative to the table), and maybe label, group, split."""

    def __init__(self, path: Path, labelled: bool = True) -> None:
        self.path = path
        wanted = COLUMNS.keys() if labelled else _UNLABELLED
        self._columns = {name: COLUMNS[name] for name in wanted}
        self.shown = shown(str(path))
        self._splits: dict[str, Split] = {}

    def survey(self, tick: Tick) -> Survey:
        """Count the rows, and note which groups are given a split, for the rows that are not.

        Raises
        ------
        ImportSourceError
            When it is not UTF-8 or has no column ``path``.
        """
        survey = Survey()
        try:
            for row in read_table(self.path, self._columns, [["path"]]):
                survey.files += 1
                if not isinstance(row, BadRow):
                    self._note_split(row[1])
                    if label := _label(row[1]):
                        survey.labels[label] += 1
                if survey.files % 1000 == 0:
                    tick(survey.files)
        except TableError as error:
            raise ImportSourceError(str(error)) from error
        return survey

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Yield the file of every row."""
        for row in read_table(self.path, self._columns, [["path"]]):
            if isinstance(row, BadRow):
                yield self._problem(row.line, row.cells, f"it is no CSV ({row.reason})")
            else:
                yield self._candidate(row[0], row[1])

    def _note_split(self, row: Row) -> None:
        split = SPLITS.get(row.get("split", "").casefold())
        if split not in (None, "unused") and row.get("group"):
            self._splits.setdefault(row["group"], split)

    def _candidate(self, line: int, row: Row) -> Candidate | Refused:
        """Turn a row into a candidate, or say what is wrong with it."""
        if not row["path"]:
            return self._problem(line, row, "its path is empty")
        wanted = row.get("split", "").casefold()
        split = SPLITS.get(wanted)
        if wanted and split is None:
            return self._problem(
                line, row, f"split {wanted!r} is none of {', '.join(get_args(Split))}"
            )
        group = row.get("group") or None
        whole = self._splits.get(group) if group is not None else split
        if split == "unused":  # one of a group whose others are in use
            whole = split
        elif split is not None and split != whole:
            return self._problem(
                line, row, f"group {group!r} is in {whole} further up, here in {split}"
            )
        full = os.path.normpath(self.path.parent / row["path"])
        label = _label(row)
        return Candidate(
            shown(full), full, self._target(full), label, group, whole, key=_key(line, row)
        )

    def _target(self, full: str) -> PurePosixPath:
        """Keep the folders of what lies beside the table; of the rest only the name."""
        path = Path(full)
        beside = path.is_relative_to(self.path.parent)
        parts = path.relative_to(self.path.parent).parts if beside else (path.name,)
        return safe_target([self.path.stem, *parts])

    def _problem(self, line: int, row: Row, reason: str) -> Refused:
        where, mend = f"{self.shown}: line {line}", "Mend the line, then try again."
        return Refused(where, reason, mend, key=_key(line, row))


def _key(line: int, row: Row) -> str:
    return row.get("key") or row.get("path") or f"line {line}"


def _label(row: Row) -> str | None:
    """Return the label of a row that a person gave."""
    return (row.get("label") or None) if row.get("provenance") not in NOBODY else None
