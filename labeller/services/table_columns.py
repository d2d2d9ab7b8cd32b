"""Which column of a table means what: one rule for every command that reads tables.

A title is compared without capitals, blanks, hyphens and underscores, so that ``File Name``,
``file-name`` and ``fileName`` are all ``filename``. Of several columns with one meaning the first
of :data:`SPELLINGS` that has anything in it is read; where another one says something else, that is
told.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from labeller.services.class_names import class_key, class_name
from store.records import Split

Meaning = Literal["path", "sha256", "label", "split", "group", "annotator", "key", "provenance"]

SPELLINGS: Mapping[Meaning, tuple[str, ...]] = {
    "path": (
        "path",
        "file_path",
        "image_path",
        "img_path",
        "file",
        "image",
        "img",
        "file_name",
        "image_file",
        "image_name",
        "img_name",
        "image_id",
    ),
    "sha256": ("sha256", "hash"),
    "label": (
        "class_name",
        "label_name",
        "category_name",
        "label",
        "class",
        "labels",
        "category",
        "target",
    ),
    "split": ("split", "subset", "set", "partition", "is_valid"),
    "group": ("group", "group_id"),
    "annotator": ("annotator", "annotated_by", "labelled_by", "labeled_by", "labeller", "labeler"),
    "key": ("key", "id"),
    "provenance": ("provenance",),
}
PLAIN = frozenset({*SPELLINGS, "class"})  # titles that need no explanation
SEVERAL = "labels"  # the column that other tools write several labels into
FLAG = "isvalid"  # the column that says yes or no instead of naming a split

# What pandas and spreadsheets write for "no value"; `none` and `na` in small letters may be words.
MISSING = frozenset(
    {
        "#N/A",
        "#NA",
        "-NaN",
        "-nan",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "NaT",
        "None",
        "n/a",
        "nan",
        "null",
    }
)

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "audit": "audit",
    "test": "audit",
    "testing": "audit",
    "unused": "unused",
}
_FLAGS: dict[str, Split] = {
    "true": "valid",
    "yes": "valid",
    "1": "valid",
    "1.0": "valid",
    "false": "train",
    "no": "train",
    "0": "train",
    "0.0": "train",
}


class ColumnsError(ValueError):
    """Columns contradict each other; the text says which."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are read, by meaning, and what to tell about the others."""

    places: Mapping[Meaning, int]
    titles: tuple[str, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def several(self) -> bool:
        """Whether labels come from the column for several of them."""
        place = self.places.get("label")
        return place is not None and _key(self.titles[place]) == SEVERAL

    def cells(self, record: Sequence[str]) -> dict[Meaning, str]:
        """Return a record's cells by meaning; cells that are missing at its end are empty."""
        return {
            meaning: self._cell(meaning, place, record) for meaning, place in self.places.items()
        }

    def _cell(self, meaning: Meaning, place: int, record: Sequence[str]) -> str:
        text = record[place] if place < len(record) else ""
        if meaning == "split" and _key(self.titles[place]) == FLAG:
            return _FLAGS.get(text.casefold(), text)
        return text

    def describe(self) -> Iterator[str]:
        """Say which columns were taken for what, where that is not plain, and which were not."""
        renamed = {
            meaning: self.titles[place]
            for meaning, place in self.places.items()
            if _key(self.titles[place]) not in PLAIN
        }
        if renamed:
            parts = [f"{title!r} as {meaning}" for meaning, title in renamed.items()]
            yield f"columns read: {', '.join(parts)}."
        yield from self.notes
        if self.unused:
            yield f"columns not read: {', '.join(map(repr, self.unused))}."


class Rivals:
    """Columns of one meaning, compared row by row."""

    def __init__(self, meaning: Meaning, places: Sequence[int]) -> None:
        self.meaning, self.places = meaning, list(places)
        self.filled = dict.fromkeys(self.places, 0)
        self._apart: dict[tuple[int, int], tuple[int, int]] = {}  # number and first line

    def compare(self, line: int, record: Sequence[str], titles: Sequence[str]) -> None:
        """Take in a row."""
        said = {place: self._said(place, record, titles) for place in self.places}
        for place, text in said.items():
            self.filled[place] += bool(text)
        for place, other in itertools.permutations(self.places, 2):
            if said[other] and not self._same(said[place], said[other]):
                count, first = self._apart.get((place, other), (0, line))
                self._apart[place, other] = count + 1, first

    @property
    def chosen(self) -> int:
        """The first column that has anything in it."""
        return next((place for place in self.places if self.filled[place]), self.places[0])

    def differing(self) -> Iterator[tuple[int, int, int]]:
        """Yield the columns that say something else: place, number of rows, first line."""
        for place in self.places:
            if (self.chosen, place) in self._apart:
                yield (place, *self._apart[self.chosen, place])

    def _said(self, place: int, record: Sequence[str], titles: Sequence[str]) -> str:
        text = record[place] if place < len(record) else ""
        if self.meaning == "split":
            text = _FLAGS.get(text.casefold(), text) if _key(titles[place]) == FLAG else text
            return SPLITS.get(text.casefold(), text)
        return "" if text in MISSING else text

    def _same(self, one: str, other: str) -> bool:
        if self.meaning == "label":
            return class_key(one) == class_key(other)
        if self.meaning == "path":
            return _ends_alike(one, other)
        return one == other


def choose_columns(
    titles: Sequence[str],
    wanted: Collection[Meaning],
    records: Iterable[tuple[int, Sequence[str]]],
) -> Columns:
    """Find the columns of a table.

    Parameters
    ----------
    titles : sequence of str
        The header.
    wanted : collection of str
        The meanings that matter.
    records : iterable of (int, sequence of str)
        Line and cells of all rows; looked at only where columns share a meaning.

    Raises
    ------
    ColumnsError
        When two columns of one title say different things.
    """
    candidates = {meaning: _candidates(titles, meaning) for meaning in SPELLINGS}
    rivals = [
        Rivals(meaning, candidates[meaning]) for meaning in wanted if len(candidates[meaning]) > 1
    ]
    if rivals:
        for line, record in records:
            for one in rivals:
                one.compare(line, record, titles)
    places = {meaning: candidates[meaning][0] for meaning in wanted if candidates[meaning]}
    places |= {one.meaning: one.chosen for one in rivals}
    read = {place for meaning in places for place in candidates[meaning]}
    unused = [title for place, title in enumerate(titles) if place not in read and title]
    notes = [note for one in rivals for note in _tell(one, titles)]
    return Columns(places, tuple(titles), tuple(unused), tuple(notes))


def known_titles(titles: Iterable[str]) -> int:
    """Count the titles that mean something."""
    spelled = {_key(spelling) for spellings in SPELLINGS.values() for spelling in spellings}
    return len({_key(title) for title in titles} & spelled)


def _tell(rivals: Rivals, titles: Sequence[str]) -> Iterator[str]:
    """Say which of several columns is read, where they differ."""
    chosen = titles[rivals.chosen]
    for place, rows, line in rivals.differing():
        if _key(titles[place]) == _key(chosen):
            raise ColumnsError(f"has two columns named {chosen!r}. Keep one.")
        yield (
            f"{chosen!r} and {titles[place]!r} can both be the {rivals.meaning}: {chosen!r} is "
            f"read; they differ in {rows:,} row{'s' if rows > 1 else ''}, first in line {line}."
        )


def _candidates(titles: Sequence[str], meaning: Meaning) -> list[int]:
    """Return the places of the columns with a meaning, in order of precedence."""
    keys = [_key(title) for title in titles]
    wanted = [_key(spelling) for spelling in SPELLINGS[meaning]]
    found = [place for place, key in enumerate(keys) if key in wanted]
    return sorted(found, key=lambda place: wanted.index(keys[place]))


def _key(title: str) -> str:
    return re.sub(r"[\s_-]+", "", class_name(title).casefold())


def _ends_alike(one: str, other: str) -> bool:
    """Whether one path is the end of the other, with or without its suffix."""
    parts = [PurePosixPath(path.replace("\\", "/")).parts[::-1] for path in (one, other)]
    short, long = sorted(parts, key=len)
    if not short:
        return not long
    same = short[0] == long[0] or short[0] == PurePosixPath(long[0]).stem
    return (same or PurePosixPath(short[0]).stem == long[0]) and short[1:] == long[1 : len(short)]
