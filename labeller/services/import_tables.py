"""Import from a table that lists images."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import get_args

from labeller.errors import ImportSourceError
from labeller.services.import_sources import Candidate, Refused, Survey, Tick, safe_target, shown
from labeller.services.path_lookup import DiskPaths
from labeller.services.table_columns import SPLITS, Meaning
from labeller.services.table_labels import LabelCells
from labeller.services.tables import NOBODY, BadRow, Row, Table, TableError, open_table
from store.records import Split

_LABELLED: tuple[Meaning, ...] = ("path", "label", "group", "split", "provenance")
_UNLABELLED: tuple[Meaning, ...] = ("path", "key")


class TableSource:
    """A table with the column ``path`` (relative to the table), and maybe label, group, split.

    Parameters
    ----------
    path : Path
    labelled : bool
        Whether labels, groups and splits are read.
    classes : collection of str
        The project's classes: words for "no value" that are classes are labels, and labels are
        spelled as they are.
    any_labels : bool
        Take labels however many there are.
    """

    def __init__(
        self,
        path: Path,
        labelled: bool = True,
        classes: Collection[str] = frozenset(),
        any_labels: bool = False,
    ) -> None:
        self.path = path
        self._wanted = _LABELLED if labelled else _UNLABELLED
        self._labelled = labelled
        self._classes, self._any_labels = classes, any_labels
        self.shown = shown(str(path))
        self._splits: dict[str, Split] = {}
        self._table: Table
        self._labels: LabelCells
        self._paths = DiskPaths(path.parent)

    def survey(self, tick: Tick) -> Survey:
        """Read all rows once: count them, and judge labels and groups by all of them.

        Raises
        ------
        ImportSourceError
            When it is no table, is not UTF-8 or has no column ``path``.
        """
        survey = Survey()
        try:
            self._table = open_table(self.path, self._wanted, [["path"]])
            self._labels = LabelCells(self._classes, self._table.columns.several)
            generated = 0
            for row in self._table.rows():
                survey.files += 1
                if not isinstance(row, BadRow):
                    self._note_split(row[1])
                    generated += self._count_label(*row)
                if survey.files % 1000 == 0:
                    tick(survey.files)
        except TableError as error:
            raise ImportSourceError(str(error)) from error
        if self._labelled:
            survey.notes += [f"{self.path.name}: {note}" for note in self._notes(generated)]
            if not self._are_captions:
                survey.labels.update(self._labels.tally())
        return survey

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Yield the file of every row."""
        for row in self._table.rows():
            if isinstance(row, BadRow):
                yield self._problem(row.line, row.cells, row.reason)
            else:
                yield self._candidate(row[0], row[1])

    def _notes(self, generated: int) -> Iterator[str]:
        """Say how the table was understood."""
        yield from self._table.notes()
        if "label" in self._table.columns.places:
            yield from self._labels.notes()
        if self._are_captions:
            yield (
                f"{self._labels.describe_captions()}: that is more like a text about each image "
                "than a class, and the images come in unlabelled. If these are classes, import "
                "again with --labels folders (on the page: Always)."
            )
        if generated:
            rows = "1 row has" if generated == 1 else f"{generated:,} rows have"
            yield f"{rows} a generated label, which no person gave: it is not taken."

    @property
    def _are_captions(self) -> bool:
        return self._labels.looks_like_captions and not self._any_labels

    def _count_label(self, line: int, row: Row) -> int:
        """Count a row's label; 1 when no person gave it."""
        if row.get("provenance") in NOBODY:
            return 1
        if "label" in row:
            self._labels.count(line, row["label"])
        return 0

    def notes(self) -> Iterator[str]:
        """Say how paths were understood that are not written as the files are named."""
        return (f"{self.path.name}: {text}" for text in self._paths.notes())

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
        full = self._paths.resolve_written_path(row["path"])
        if not os.path.lexists(full):
            nearest = self._paths.nearest(full)
            return Refused(
                shown(full),
                "there is no such file" + (f"; the nearest is {nearest!r}" if nearest else ""),
                "Mend the path, or put the file back.",
                key=_key(line, row),
            )
        label = self._label(row)
        return Candidate(
            shown(full), full, self._target(full), label, group, whole, key=_key(line, row)
        )

    def _label(self, row: Row) -> str | None:
        """Return the label that a person gave."""
        if row.get("provenance") in NOBODY or "label" not in row or self._are_captions:
            return None
        return self._labels.name(row["label"])

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
