"""From the words in files and folder names to classes, and from a model's classes to names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from store.store import Unit

_BLANKS = re.compile(r"[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000 ]+")
# Shown as nothing, although Unicode counts them among letters, marks and symbols.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Format characters that are seen all the same: signs that stand before Arabic and other numbers.
_SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")
_JOINERS = frozenset("\u200c\u200d")  # scripts and emoji need them within a word
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
# Compatibility forms that people tell apart: m² is not m2, ① is not 1.
_APART = frozenset({"<super>", "<sub>", "<circle>", "<square>", "<fraction>"})
_NAMED = 10


def class_name(text: str) -> str:
    """Return a word for a class as class names are stored: trimmed, in NFC, always printable.

    Runs of blanks become one blank, and invisible characters go, but for those that a script or
    an emoji needs within a word.
    """
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    seen = "".join(c for c in readable if not _is_invisible(c) or c in _JOINERS | _SELECTORS)
    trimmed = _BLANKS.sub(" ", unicodedata.normalize("NFC", seen)).strip()
    return trimmed.strip("".join(_JOINERS)).strip()


@lru_cache(maxsize=1 << 16)  # an import asks again for all classes with every batch
def class_key(text: str) -> str:
    """Return what names of one class have in common.

    Names that differ only in case, blanks around them or their number, invisible characters or
    Unicode form have the same key.
    """
    visible = "".join(c for c in class_name(text) if not _is_invisible(c))
    plain = unicodedata.normalize("NFC", "".join(map(_plain, visible)))
    folded = unicodedata.normalize("NFC", plain.casefold())
    return _BLANKS.sub(" ", folded).strip()


def choose_spellings(counts: Mapping[str, int], classes: Iterable[str] = ()) -> dict[str, str]:
    """Return the class name that stands for each word.

    Words of one :func:`class_key` are one class. An existing class's spelling wins, else the
    most frequent one; of those as frequent, the first.

    Parameters
    ----------
    counts : mapping of str to int
        How often each word occurs, in order of first appearance.
    classes : iterable of str
        The classes that there are. Where two of them share a key, no other word is taken for
        either.
    """
    exact = {class_name(name): name for name in classes}
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in exact.values():
        alike[class_key(name)].append(name)
    chosen = {key: names[0] if len(names) == 1 else "" for key, names in alike.items()}
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word, number in counts.items():
        sums[class_key(word)][class_name(word)] += number
    for key, spellings in sums.items():
        chosen.setdefault(key, max(spellings, key=spellings.__getitem__))
    return {
        word: exact.get(class_name(word)) or chosen[class_key(word)] or class_name(word)
        for word in counts
    }


def describe_spellings(counts: Mapping[str, int], chosen: Mapping[str, str]) -> str | None:
    """Say which words were taken for a class of another spelling; None when there is none.

    Parameters
    ----------
    counts : mapping of str to int
        How often each word occurs.
    chosen : mapping of str to str
        As :func:`choose_spellings` returns it.
    """
    parts = [
        f"{readable(word)} ({counts[word]:,}) is taken for {readable(name)}"
        for word, name in chosen.items()
        if word.strip() != name and name
    ]
    if not parts:
        return None
    more = f"; and {len(parts) - _NAMED:,} more" if len(parts) > _NAMED else ""
    return (
        "Names that differ only in case, blanks, invisible characters or Unicode form are one "
        f"class: {'; '.join(parts[:_NAMED])}{more}."
    )


def readable(name: str) -> str:
    """Return a name in quotes, with what cannot be seen in it written as ``U+200B``."""
    shown = "".join(
        f"[U+{ord(c):04X}]" if _is_invisible(c) or (c != " " and _BLANKS.fullmatch(c)) else c
        for c in name
    )
    return f"“{shown}”" + ("" if unicodedata.is_normalized("NFC", name) else " (not in NFC)")


class ClassIds(Mapping[str, int]):
    """The class of every name, found by names of the same :func:`class_key` too.

    A name that fits two classes in use, and is neither's exactly, finds none.
    """

    def __init__(self, live: Mapping[str, int], merged: Mapping[str, int]) -> None:
        self._exact = {**merged, **live}
        self._by_key: dict[str, set[int]] = {}
        for names in (live, merged):
            found: defaultdict[str, set[int]] = defaultdict(set)
            for name, class_id in names.items():
                found[class_key(name)].add(class_id)
            self._by_key = {**found, **self._by_key}

    def __getitem__(self, name: str) -> int:
        for text in (name, class_name(name)):
            if text in self._exact:
                return self._exact[text]
        ids = self._by_key.get(class_key(name), set())
        if len(ids) != 1:
            raise KeyError(name)
        return next(iter(ids))

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)

    def alike(self, name: str) -> list[str]:
        """Return the names of classes that a word may mean."""
        key = class_key(name)
        return [other for other in self._exact if class_key(other) == key]


def class_ids(unit: Unit) -> ClassIds:
    """Return the class of every name; one that was merged away stands for what it merged into."""
    records = unit.classes.all(archived=True)
    targets = unit.classes.targets()
    live = {record.id for record in records if not record.archived}
    merged = {r.name: targets[r.id] for r in records if r.archived and targets[r.id] in live}
    return ClassIds({r.name: r.id for r in records if not r.archived}, merged)


def names_of(unit: Unit, ids: Sequence[int]) -> tuple[str, ...]:
    """Return a name for each class a model knows, no two alike.

    An archived class says so where another class has taken its name since.

    Parameters
    ----------
    unit : Unit
    ids : sequence of int
        Classes, each once.
    """
    known = {one.id: one for one in unit.classes.all(archived=True)}
    named = Counter(known[i].name for i in {*ids, *(i for i in known if not known[i].archived)})
    return tuple(
        f"{known[i].name} (archived class {i})"
        if known[i].archived and named[known[i].name] > 1
        else known[i].name
        for i in ids
    )


def _is_invisible(c: str) -> bool:
    """Whether a character is shown as nothing, not even as a blank."""
    formats = unicodedata.category(c) == "Cf" and c not in _SEEN
    return formats or c in _UNSEEN or c in _SELECTORS


def _plain(c: str) -> str:
    """Return a character without its compatibility form, where people see none."""
    if c.isascii() or unicodedata.decomposition(c).partition(" ")[0] in _APART:
        return c
    return unicodedata.normalize("NFKC", c)
