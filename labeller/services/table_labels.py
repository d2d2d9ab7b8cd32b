"""What the label cells of a table say: a class, nothing, or several labels at once."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from labeller.services.class_names import (
    choose_spellings,
    class_key,
    class_name,
    describe_spellings,
    readable,
)
from labeller.services.table_columns import MISSING
from labeller.services.tables import name_lines

MOST_NEW_CLASSES = 200  # labels; more are no classes unless asked for
FEWEST_ROWS = 20  # with fewer rows than this any labels may be classes
_SEPARATORS = "|;,"


class LabelCells:
    """The label cells of one table; every cell is counted before any is read.

    A cell is *missing* when it is empty, or a word of
    :data:`~labeller.services.table_columns.MISSING` that no class has for its name. A list of one
    label (``["cat"]``) is that label. A cell holds *several* labels when it is a longer list; when
    it is divided by ``|``, ``;``, ``,`` or blanks into words each of which is a class, or the label
    of another row, while all of it is no class; and in a column called ``labels``, where other
    tools separate labels so, when it is divided at all.

    Parameters
    ----------
    classes : collection of str
        The project's.
    several : bool
        Whether the column is called ``labels``.
    """

    def __init__(self, classes: Collection[str], several: bool) -> None:
        self._classes, self._several = list(classes), several
        self._keys = {class_key(name) for name in classes}
        self._counts: Counter[str] = Counter()
        self._empty: list[int] = []
        self._divided: dict[str, list[int]] = {}
        self._names: dict[str, str] | None = None

    def count(self, line: int, cell: str) -> None:
        """Take in the cell of a line."""
        if not class_name(cell):
            self._empty.append(line)
            return
        self._counts[cell] += 1
        if self._missing(cell):
            self._empty.append(line)
        elif cell[0] in "[(" or any(c in cell for c in _SEPARATORS) or len(cell.split()) > 1:
            self._divided.setdefault(cell, []).append(line)

    def name(self, cell: str) -> str | None:
        """Return the class that a cell names, as it is spelled most; None when it names none."""
        return self._settled.get(cell)

    def is_missing(self, cell: str) -> bool:
        """Whether a cell says that there is no label."""
        return not class_name(cell) or self._missing(cell)

    def is_several(self, cell: str) -> bool:
        """Whether a cell holds several labels."""
        return cell in self._counts and self._settled.get(cell) is None and not self._missing(cell)

    @property
    def looks_like_captions(self) -> bool:
        """Whether the labels are too many to be classes, in a project that has none.

        They are when they are more than 200, or, in 20 rows or more, more than half as many as the
        rows that have one.
        """
        labels, rows = self._numbers()
        many = labels > MOST_NEW_CLASSES or (rows >= FEWEST_ROWS and labels > rows / 2)
        return many and not self._classes

    def tally(self) -> Counter[str]:
        """Return the class names that cells say, with their rows, in the order they came in."""
        tally: Counter[str] = Counter()
        for cell, name in self._settled.items():
            tally[name] += self._counts[cell]
        return tally

    def describe_captions(self) -> str:
        """Say how many labels there are for how many rows."""
        labels, rows = self._numbers()
        return f"{labels:,} different labels in {rows:,} rows"

    def notes(self) -> Iterator[str]:
        """Say what no label was read from, and what was read as something else."""
        if self._empty:
            rows = f"{len(self._empty):,} row{'s' if len(self._empty) > 1 else ''}"
            words = [repr(word) for word in self._counts if self._missing(word)]
            said = f" (empty, or {', '.join(words)})" if words else ""
            yield f"{rows} without a label{said}: {name_lines(self._empty)}."
        for word in self._counts:
            if word in MISSING and not self._missing(word):
                number = self._counts[word]
                rows = "1 row is" if number == 1 else f"{number:,} rows are"
                yield f"{word!r} is the name of a class: {rows} of it."
        lines = sorted(
            line for cell in self._divided if self.is_several(cell) for line in self._divided[cell]
        )
        if lines:
            example = next(cell for cell in self._divided if lines[0] in self._divided[cell])
            yield f"{self.describe_several(example)} ({name_lines(lines)})."
        singles = {cell: name for cell, name in self._settled.items() if _listed(cell) is None}
        if spelled := describe_spellings(self._counts, singles):
            yield spelled

    def describe_several(self, cell: str) -> str:
        """Say that a cell holds several labels."""
        mend = "; name the column `label` if it is one name" if self._several else ""
        return f"{readable(cell)} is several labels, and an image has one{mend}"

    def _numbers(self) -> tuple[int, int]:
        """Return how many different labels there are, and in how many rows."""
        names = self._settled
        return len(set(names.values())), sum(self._counts[cell] for cell in names)

    def _missing(self, cell: str) -> bool:
        items = _listed(cell)
        words = [cell] if items is None else items
        return all(word in MISSING and class_key(word) not in self._keys for word in words)

    @property
    def _settled(self) -> dict[str, str]:
        """The class name of every cell that says one."""
        if self._names is None:
            self._names = self._settle()
        return self._names

    def _settle(self) -> dict[str, str]:
        """Judge every different cell once all are counted."""
        alone = {class_key(cell) for cell in self._counts if cell not in self._divided}
        words: dict[str, str] = {}
        for cell in self._counts:
            word = self._word(cell, self._keys | alone)
            if word is not None:
                words[cell] = word
        sums: Counter[str] = Counter()
        for cell, word in words.items():
            sums[word] += self._counts[cell]
        chosen = choose_spellings(sums, self._classes)
        return {cell: chosen[word] for cell, word in words.items()}

    def _word(self, cell: str, known: Collection[str]) -> str | None:
        """Return the one label of a cell, if that is what it holds."""
        if self._missing(cell):
            return None
        if class_key(cell) in self._keys:
            return cell
        items = _listed(cell)
        if items is not None:
            return items[0] if len(items) == 1 else None
        return None if cell in self._divided and self._is_divided(cell, known) else cell

    def _is_divided(self, cell: str, known: Collection[str]) -> bool:
        """Whether separators or blanks divide a cell into labels."""
        for pattern in (r"\s*[|]\s*", r"\s*;\s*", r"\s*,\s*", r"\s+"):
            parts = [part for part in re.split(pattern, cell.strip()) if part]
            if len(parts) > 1 and (self._several or all(class_key(p) in known for p in parts)):
                return True
        return False


def _listed(cell: str) -> list[str] | None:
    """Return the labels of a cell that is a list as JSON or Python writes it."""
    if not (cell.startswith(("[", "(")) and cell.endswith(("]", ")"))):
        return None
    value: Any = None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    if not isinstance(value, list | tuple):
        return None
    texts = ["" if one is None else str(one).strip() for one in value]
    return [text for text in texts if class_name(text)]
