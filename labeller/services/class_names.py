"""From the words in files and folder names to classes, and from a model's classes to names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.store import Unit

# Joiners mean something within a Persian word or an emoji, so they stay in a name; nothing else
# that cannot be seen does: soft hyphens, byte order marks, zero-width blanks, marks of direction.
_JOINERS = "\u200c\u200d"


def class_name(text: str) -> str:
    """Return a word for a class as class names are stored: trimmed, in NFC, always printable."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", readable).strip()


def clean_name(text: str) -> str:
    """Return the name for a new class: as :func:`class_name`, with nothing that cannot be seen.

    Every kind of blank is one plain blank.
    """
    visible = (c for c in class_name(text) if c in _JOINERS or not _is_invisible(c))
    plain = "".join(" " if _is_blank(c) else c for c in visible)
    return re.sub(" +", " ", plain).strip(" " + _JOINERS)


def fold_name(text: str) -> str:
    """Return what two names have in common that differ only in how they are written.

    That is by capitals, blanks, invisible characters, or Unicode form.
    """
    bare = "".join(c for c in class_name(text) if not _is_invisible(c))
    return unicodedata.normalize("NFC", " ".join(bare.split()).casefold())


def _is_invisible(c: str) -> bool:
    return unicodedata.category(c) == "Cf" or "\ufe00" <= c <= "\ufe0f"


def _is_blank(c: str) -> bool:
    return unicodedata.category(c) == "Zs"


@dataclass(frozen=True, slots=True)
class Spellings:
    """Which class a name means: one of the `existing` ones, or one to be made.

    `joined` are the classes that came in other spellings too, each with those. `names` maps names,
    as class names are stored, to the name of their class.
    """

    existing: frozenset[str]
    joined: tuple[tuple[str, tuple[str, ...]], ...]
    names: Mapping[str, str]
    _folded: Mapping[str, str]

    def find(self, text: str) -> str:
        """Return the name of the class that a name means; a name that is new means itself."""
        name = class_name(text)
        return self.names.get(name) or self._folded.get(fold_name(name)) or name

    def describe(self) -> list[str]:
        """Say which spellings were taken as one class."""
        return [
            f"“{name}” is one class, written also as " + ", ".join(map(_visible, others)) + "."
            for name, others in self.joined
        ]


def join_spellings(classes: Sequence[str], words: Mapping[str, int]) -> Spellings:
    """Decide which names that came along are one class.

    Names that differ only as :func:`fold_name` says are one. A class of the project keeps its name;
    among new names the most frequent spelling is the class's, of equally frequent ones the first
    in order.

    Parameters
    ----------
    classes : sequence of str
        Names of the project's classes. A word that is exactly one of them means that one.
    words : mapping of str to int
        How many images came with each word, as it was written.
    """
    existing = frozenset(classes)
    by_fold: dict[str, str] = {}
    for name in classes:
        by_fold.setdefault(fold_name(name), name)
    groups: dict[str, Counter[str]] = {}
    for word, number in words.items():
        if class_name(word) not in existing:
            groups.setdefault(fold_name(word), Counter())[word] += number
    names: dict[str, str] = {name: name for name in existing}
    joined: list[tuple[str, tuple[str, ...]]] = []
    for fold, spellings in groups.items():
        chosen = by_fold.get(fold) or _most_frequent(spellings)
        by_fold.setdefault(fold, chosen)
        names |= {class_name(word): chosen for word in spellings}
        others = tuple(sorted(word for word in spellings if _differs(word, chosen, spellings)))
        if others:
            joined.append((chosen, others))
    return Spellings(existing, tuple(sorted(joined)), names, by_fold)


def _most_frequent(spellings: Mapping[str, int]) -> str:
    most = min(spellings, key=lambda word: (-spellings[word], class_name(word), word))
    return clean_name(most) or class_name(most)


def _differs(word: str, chosen: str, spellings: Iterable[str]) -> bool:
    """Whether a person should hear that a word was taken as a class.

    One that is only in another Unicode form counts where the other form came as well.
    """
    if class_name(word) != chosen:
        return True
    return word != chosen and sum(class_name(other) == chosen for other in spellings) > 1


def _visible(text: str) -> str:
    """Quote a name so that what cannot be seen in it can."""
    composed = class_name(text)
    shown = "".join(
        f"<U+{ord(c):04X}>" if _is_invisible(c) or (_is_blank(c) and c != " ") else c
        for c in composed
    )
    form = " (in another Unicode form)" if shown == composed != text.strip() else ""
    return f"“{shown}”{form}"


def class_ids(unit: Unit) -> dict[str, int]:
    """Return the class of every name; one that was merged away stands for what it merged into."""
    records = unit.classes.all(archived=True)
    targets = unit.classes.targets()
    live = {record.id for record in records if not record.archived}
    merged = {r.name: targets[r.id] for r in records if r.archived and targets[r.id] in live}
    return merged | {r.name: r.id for r in records if not r.archived}


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
