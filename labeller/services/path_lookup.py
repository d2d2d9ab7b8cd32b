"""Find what people mean by the paths that they write: an imported image, or a file on the disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from unicodedata import normalize

from labeller import imaging
from labeller.project import Project
from store.store import Unit

NEAREST = 20  # paths that are told the nearest one
COMPARED = 20_000  # names among which it is looked for
ROOTS = 20  # folders of imports, the last ones, that a path may start from
IMAGES = "images"
NAMED = 3
_DRIVE = re.compile(r"^(?:[A-Za-z]:[\\/]|\\\\)")
_SUFFIXES = imaging.SUFFIXES | imaging.OTHER_SUFFIXES


@dataclass(frozen=True, slots=True)
class PathMatches:
    """What paths mean, by line: an item's id, or in words what is wrong.

    `notes` say what was not taken to the letter.
    """

    by_line: Mapping[int, int | str]
    notes: tuple[str, ...] = ()


def items_by_path(
    project: Project, unit: Unit, paths: Mapping[int, str], places: Sequence[Path]
) -> PathMatches:
    r"""Return the item that each path means.

    A path may be absolute, relative to one of `places` or to a folder that was imported, as stored,
    or any end of a known path that only one image has; with ``/`` or ``\``, and in any Unicode
    form. Where nothing has that path, one without its suffix counts, or in other letter case, or
    from another machine (with a drive letter, or beginning with folders that are not here), as long
    as it fits a single image; the notes say so.

    Parameters
    ----------
    project : Project
    unit : Unit
        An open transaction.
    paths : mapping of int to str
        Paths as written, by line.
    places : sequence of Path
        Folders that relative paths may start from, the likeliest first.

    Returns
    -------
    PathMatches
    """
    written = {line: _Written(text) for line, text in paths.items()}
    found: dict[int, int | str] = {**_exact(project, unit, written, places)}
    left = {line: one for line, one in written.items() if line not in found}
    notes: tuple[str, ...] = ()
    if left:
        names = _Names(left.values(), _foreign(left.values()), _roots(unit))
        for part in unit.paths.stream():
            for path, item_id in part:
                names.add(path, item_id)
        found |= {line: names.meaning(one) for line, one in left.items()}
        names.suggest(found, left, (p for part in unit.paths.stream() for p, _ in part))
        notes = names.notes()
    return PathMatches(found, notes)


class _Written:
    """A path as it was written, and its parts without what says nothing."""

    __slots__ = ("parts", "plain", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.plain = clean_path(text)
        self.parts = tuple(part for part in _composed(self.plain).split("/") if part)

    @property
    def name(self) -> str:
        """Its last part."""
        return self.parts[-1] if self.parts else ""

    @property
    def least(self) -> int:
        """How many parts must fit when it is of another machine: a name alone is little."""
        return 1 if _DRIVE.match(self.text) else 2

    @property
    def foreign(self) -> bool:
        """Whether it is of another machine: Windows, or folders that are not here."""
        if _DRIVE.match(self.text):
            return True
        return self.plain.startswith("/") and not os.path.lexists(self.plain)


def clean_path(text: str) -> str:
    """Return a path with ``/`` between its parts, without a drive, ``.`` and ``..``."""
    plain = text.replace("\\", "/")
    if _DRIVE.match(text):
        plain = "/" + re.sub(r"^[A-Za-z]:", "", plain).lstrip("/")
    return os.path.normpath(plain) if plain else plain


def _composed(text: str) -> str:
    return normalize("NFC", text)


def _exact(
    project: Project, unit: Unit, written: Mapping[int, _Written], places: Sequence[Path]
) -> dict[int, int]:
    """Return the items of the lines whose path is known as it is, from one of the places."""
    ways = {line: list(_as_stored(project, one, places)) for line, one in written.items()}
    holders = unit.paths.holders(list({path for some in ways.values() for path in some}))
    found: dict[int, int] = {}
    for line, some in ways.items():
        first = next((holders[path] for path in some if path in holders), None)
        if first is not None:
            found[line] = first
    return found


def _roots(unit: Unit) -> list[str]:
    """Return the folders that the last imports began at, as far as stored paths begin with them."""
    found: dict[str, None] = {}
    for record in unit.imports.all():
        for source in record.source.split(", "):
            path = Path(source)
            if path.suffix.lower() in _SUFFIXES or not path.is_absolute():
                continue
            table = path.suffix.lower() in (".csv", ".tsv", ".txt")
            found[f"{path.parent if table else path}/"] = None
            found[f"{IMAGES}/{path.stem if path.suffix else path.name}/"] = None
        if len(found) >= ROOTS:
            break
    return [_composed(root) for root in found]


def _as_stored(project: Project, one: _Written, places: Sequence[Path]) -> Iterator[str]:
    """Yield the ways in which a path may be stored."""
    root = project.root
    for text in dict.fromkeys([one.text, one.plain]):
        for name in dict.fromkeys([text, normalize("NFC", text), normalize("NFD", text)]):
            for place in places:
                full = Path(os.path.normpath(place / name))
                yield str(full)
                if full.is_relative_to(root):
                    yield full.relative_to(root).as_posix()
            yield name


def _foreign(written: Iterable[_Written]) -> int:
    """Return how many leading folders all paths of another machine share: those say nothing."""
    folders = [one.parts[:-1] for one in written if one.foreign]
    if not folders:
        return 0
    shared = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return shared


def _without_suffix(name: str) -> str:
    """Return a path without an image's suffix."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return stem if suffix.lower() in _SUFFIXES else name


class _Names:
    """Looks among all names for ends that were written: as they are, then less to the letter."""

    WAYS = ("", "without its suffix", "in other letter case", "without its suffix and case")

    def __init__(self, written: Iterable[_Written], shared: int, roots: Sequence[str]) -> None:
        self._roots = roots
        self._ends: dict[_Written, list[str]] = {}
        for one in written:
            parts = one.parts
            least = max(one.least, len(parts) - shared) if one.foreign else len(parts)
            lengths = range(len(parts), min(least, len(parts)) - 1, -1)
            self._ends[one] = ["/".join(parts[-length:]) for length in lengths]
        wanted = [end for ends in self._ends.values() for end in ends]
        self._deepest = max((end.count("/") + 1 for end in wanted), default=0)
        self._matches: tuple[dict[str, dict[str, int]], ...] = tuple(
            {end if way < 2 else end.casefold(): {} for end in wanted} for way in range(4)
        )
        self._rooted: dict[str, dict[str, int]] = {ends[0]: {} for ends in self._ends.values()}
        self._loose: dict[str, list[tuple[str, str]]] = {}

    def add(self, path: str, item_id: int) -> None:
        """Note a name as far as it is one of the ends that are looked for."""
        whole = _composed(path)
        for root in self._roots:
            if whole.startswith(root) and whole[len(root) :] in self._rooted:
                self._rooted[whole[len(root) :]][path] = item_id
        parts = whole.split("/")
        for length in range(1, min(self._deepest, len(parts)) + 1):
            end = "/".join(parts[-length:])
            stem = _without_suffix(end)
            for way, text in enumerate((end, stem, end.casefold(), stem.casefold())):
                if way % 2 and stem == end:
                    continue
                matches = self._matches[way].get(text)
                if matches is not None:
                    matches[path] = item_id

    def meaning(self, one: _Written) -> int | str:
        """Return the one item that a path means, or what is wrong with it."""
        if not one.foreign and (rooted := self._rooted[self._ends[one][0]]):
            several = len(set(rooted.values())) > 1
            return _several(one.text, list(rooted)) if several else next(iter(rooted.values()))
        for end in self._ends[one]:
            for way, name in enumerate(self.WAYS):
                found = self._matches[way].get(end if way < 2 else end.casefold())
                if not found:
                    continue
                if len(set(found.values())) > 1:
                    return _several(one.text, list(found))
                path, item_id = next(iter(found.items()))
                loose = "from another machine" if one.foreign else name
                if loose:
                    self._loose.setdefault(loose, []).append((one.text, path))
                return item_id
        return f"no imported image has the path {one.text!r}"

    def suggest(
        self,
        found: dict[int, int | str],
        written: Mapping[int, _Written],
        names: Iterable[str],
    ) -> None:
        """Add the nearest name to what is wrong with the first paths that nothing has."""
        missing = [
            line for line, said in found.items() if isinstance(said, str) and " fits " not in said
        ][:NEAREST]
        if not missing:
            return
        starts = {written[line].name[:1].casefold() for line in missing}
        near: list[str] = []
        rest: list[str] = []
        for name in names:
            last = _composed(name).rpartition("/")[2]
            (near if last[:1].casefold() in starts else rest).append(name)
        pool = [*near, *rest][:COMPARED]
        for line in missing:
            if closest := _nearest(written[line], pool):
                found[line] = f"{found[line]}; the nearest is {closest!r}"

    def notes(self) -> tuple[str, ...]:
        """Say which paths were taken less than to the letter."""
        return tuple(_loosely(how, pairs) for how, pairs in self._loose.items())


def _nearest(one: _Written, names: Sequence[str]) -> str | None:
    """Return the end of a name, as long as what was written, that looks most like it."""
    depth = max(1, len(one.parts))
    ends = {"/".join(_composed(name).split("/")[-depth:]) for name in names}
    if close := get_close_matches("/".join(one.parts), ends, 1):
        return close[0]
    by_name = {end.rpartition("/")[2]: end for end in sorted(ends)}
    close = get_close_matches(one.name, by_name, 1)
    return by_name[close[0]] if close else None


def _several(text: str, paths: Sequence[str]) -> str:
    return (
        f"{text!r} fits {len(paths)} images ({', '.join(paths[:2])}, ...): write more of the path"
    )


def _loosely(how: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Say which paths were found in a way, and what they were taken for."""
    first = ", ".join(f"{text!r} is {path}" for text, path in pairs[:NAMED])
    more = ", …" if len(pairs) > NAMED else ""
    return (
        f"{len(pairs):,} path{' is' if len(pairs) == 1 else 's are'} written {how}: {first}{more}."
    )


class DiskPaths:
    r"""Finds the files that a sheet's paths mean, from its folder.

    A path is taken to the letter first. Where that is no file, ``\`` counts as ``/``, any Unicode
    form as the other, and then a name without its suffix, in other letter case, or the end of a
    path of another machine, as long as a single file fits; :meth:`notes` say so.

    Parameters
    ----------
    folder : Path
        Where relative paths start from.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._suggestions = NEAREST
        self._listings: dict[str, tuple[dict[str, list[str]], ...]] = {}
        self._loose: dict[str, list[tuple[str, str]]] = {}

    def resolve_written_path(self, text: str) -> str:
        """Return the absolute path of the file that is meant; what was written when none is."""
        full = os.path.normpath(self._folder / text)
        if os.path.lexists(full):
            return full
        one = _Written(text)
        foreign = one.foreign
        starts = range(len(one.parts) - one.least + 1) if foreign else [0]
        base = os.sep if one.plain.startswith("/") and not foreign else str(self._folder)
        for start in starts:
            hit = self._walk(base, os.path.normpath("/".join(one.parts[start:])).split("/"))
            if hit is not None:
                path, how = hit
                if loose := "from another machine" if foreign else how:
                    self._loose.setdefault(loose, []).append((text, path))
                return path
        return os.path.normpath(self._folder / one.plain) if "\\" in text else full

    def nearest(self, text: str) -> str | None:
        """Return the file beside a missing one with the likest name, for the first such paths."""
        if not self._suggestions:
            return None
        self._suggestions -= 1
        full = Path(text)
        names = [name for some in self._listing(str(full.parent))[0].values() for name in some]
        close = get_close_matches(full.name, names, 1)
        return close[0] if close else None

    def notes(self) -> tuple[str, ...]:
        """Say which paths were taken less than to the letter."""
        return tuple(_loosely(how, pairs) for how, pairs in self._loose.items())

    def _walk(self, base: str, parts: Sequence[str]) -> tuple[str, str] | None:
        """Follow names from folder to folder; returns the file and how its names were taken."""
        how = ""
        for place, part in enumerate(parts):
            if part == "..":
                base = os.path.dirname(base)  # noqa: PTH120
                continue
            last = place == len(parts) - 1
            for way, named in enumerate(_Names.WAYS if last else ("", "", _Names.WAYS[2])):
                key = part if way < 2 else part.casefold()
                names = self._listing(base)[way].get(key, []) if last or way != 1 else []
                if len(names) == 1:
                    base, how = os.path.join(base, names[0]), named or how  # noqa: PTH118
                    break
            else:
                return None
        return base, how

    def _listing(self, folder: str) -> tuple[dict[str, list[str]], ...]:
        """Return the names in a folder by what they may be written as, way by way."""
        if folder not in self._listings:
            ways: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {})
            try:
                listed = os.listdir(folder)  # noqa: PTH208
            except OSError:
                listed = []
            for name in sorted(listed):
                plain = _composed(name)
                stem = _without_suffix(plain)
                for way, key in enumerate((plain, stem, plain.casefold(), stem.casefold())):
                    ways[way].setdefault(key, []).append(name)
            self._listings[folder] = ways
        return self._listings[folder]
