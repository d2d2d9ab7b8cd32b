"""Import from a zip archive: entries are unpacked one at a time, under names of our own."""

from __future__ import annotations

import itertools
import shlex
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from labeller.errors import ImportSourceError
from labeller.file_kinds import HEAD, FileKind, identify
from labeller.image_reasons import FETCH_AGAIN
from labeller.services.import_folders import passed_as
from labeller.services.import_sources import (
    Candidate,
    Refused,
    Survey,
    SurveyStopped,
    Tick,
    is_candidate,
    is_hidden,
    safe_target,
    shown,
)
from labeller.services.import_worker import CannotWriteError
from labeller.services.zip_names import EntryName, is_damaged, read_names

MOST_RATIO = 200
SMALL = 64 << 20  # below this a high ratio is a plain picture, not a bomb
_CHUNK = 1 << 20
_LOOKS = 500  # entries between two ticks
_ENCRYPTED = 1
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class _UnreadableError(Exception):
    """An entry cannot be unpacked."""


class ZipSource:
    """A zip archive; always copied, since there is no file to point to."""

    def __init__(self, path: Path, incoming: Path, max_bytes: int) -> None:
        self.path = path
        self.shown = shown(str(path))
        self._incoming, self._max_bytes = incoming, max_bytes
        self._numbers = itertools.count()
        self._odd: set[int] = set()  # images that are not named so, by where they begin
        self._archives: set[int] = set()
        try:
            with zipfile.ZipFile(path):
                pass
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ImportSourceError(_unreadable(path, error)) from error

    def survey(self, tick: Tick) -> Survey:
        """Count the entries by their names, and look into those that are not named like images."""
        survey = Survey()
        guessed: list[str] = []
        with suppress(SurveyStopped), zipfile.ZipFile(self.path) as archive:
            survey.cut = True
            entries = archive.infolist()
            for number, (entry, name) in enumerate(zip(entries, read_names(entries), strict=True)):
                if name.guessed:
                    guessed.append(name.text)
                self._look(archive, entry, name, survey)
                if number % _LOOKS == 0:
                    tick(survey.files)
            tick(survey.files)
            survey.cut = False
        if guessed:
            survey.notes.append(_damage(self.shown, guessed))
        return survey

    def _look(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: EntryName, survey: Survey
    ) -> None:
        """Take in one entry."""
        parts = _parts(name.text)
        if name.guessed:
            survey.damaged.update(part for part in parts if is_damaged(part))
        if entry.is_dir() or not parts:
            return
        if _leaves(name.text):
            survey.files += 1
        elif any(is_hidden(part) for part in parts):
            kind = "files of macOS" if _is_of_macos(parts) else "hidden files"
            survey.pass_over(kind, shown(name.text))
        elif is_candidate(parts[-1]):
            survey.count(parts[:-1])
        else:
            kind_of = _glance(archive, entry, parts[-1])
            passed = passed_as(parts[-1], kind_of)
            if passed == "archives":
                self._archives.add(entry.header_offset)
                survey.files += 1
            elif passed is None or entry.flag_bits & _ENCRYPTED:
                self._odd.add(entry.header_offset)
                survey.count(parts[:-1])
            else:
                survey.pass_over(passed, shown(name.text))

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Unpack and yield one entry after the other."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(self.path) as archive:
            entries = archive.infolist()
            for entry, name in zip(entries, read_names(entries), strict=True):
                parts = _parts(name.text)
                if not self._is_wanted(entry, name, parts):
                    continue
                found = self._refusal(entry, name) or self._unpacked(archive, entry, name)
                if isinstance(found, Refused):
                    yield found
                else:
                    yield Candidate(
                        self._name(name),
                        str(found),
                        safe_target([self.path.stem, *parts]),
                        owned=True,
                        key=shown(name.text),
                        entry=(self.path, entry.filename),
                        folder=parts[:-1],
                    )

    def _is_wanted(self, entry: zipfile.ZipInfo, name: EntryName, parts: tuple[str, ...]) -> bool:
        if entry.is_dir() or not parts:
            return False
        if _leaves(name.text):
            return True
        if any(is_hidden(part) for part in parts):
            return False
        return bool(is_candidate(parts[-1])) or self._looked_like(entry.header_offset)

    def _looked_like(self, offset: int) -> bool:
        return offset in self._odd or offset in self._archives

    def _refusal(self, entry: zipfile.ZipInfo, name: EntryName) -> Refused | None:
        """Say what is wrong with an entry before anything of it is unpacked."""
        if _leaves(name.text):
            return self._refused(name, "its name leads out of the archive", "Rename it.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            return self._refused(name, "it is a link, not a file", "Put the file itself in.")
        if entry.flag_bits & _ENCRYPTED:
            return self._refused(
                name, "it is encrypted", "Unpack the archive with its password; take the folder."
            )
        if entry.header_offset in self._archives:
            return self._refused(name, "it is an archive inside the archive", "Unpack it first.")
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > self._max_bytes:
            return self._refused(
                name,
                f"it unpacks to {entry.file_size:,} bytes, more than any image within the limits",
                "Raise max_image_pixels in project.toml if you trust the file.",
            )
        if ratio > MOST_RATIO and entry.file_size > SMALL:
            return self._refused(
                name, f"it unpacks to {ratio:,.0f} times its size", "Unpack it if you trust it."
            )
        return None

    def _unpacked(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: EntryName
    ) -> Path | Refused:
        """Write an entry to a numbered file; zipfile itself stops at the size the entry states."""
        path = self._incoming / f"entry-{next(self._numbers)}"
        try:
            with path.open("wb") as file:
                for chunk in _chunks(archive, entry):
                    file.write(chunk)
        except _UnreadableError as error:
            path.unlink(missing_ok=True)
            mend = FETCH_AGAIN
            if isinstance(error.__cause__, NotImplementedError):
                mend = "Unpack the archive with the program that made it, and take the folder."
            return self._refused(name, f"it cannot be unpacked ({error})", mend)
        except OSError as error:
            raise CannotWriteError(error.strerror or str(error)) from error
        return path

    def _refused(self, name: EntryName, reason: str, mend: str) -> Refused:
        return Refused(self._name(name), reason, mend, key=shown(name.text))

    def _name(self, name: EntryName) -> str:
        return f"{self.shown}/{shown(name.text)}"


def _unreadable(path: Path, error: Exception) -> str:
    """Say why an archive cannot be opened."""
    name = shown(str(path))
    if "multiple disks" in str(error) or path.with_suffix(".z01").exists():
        return (
            f"{name}: is one part of a zip archive in several. Join them "
            f"(zip -s 0 {shlex.quote(path.name)} --out whole.zip), then import whole.zip."
        )
    return f"{name}: cannot be read as a zip archive ({error}). Get a whole copy of it."


def _damage(source: str, guessed: list[str]) -> str:
    names = "1 name" if len(guessed) == 1 else f"{len(guessed):,} names"
    return (
        f"{source}: nothing says how {names} in it are written (as {shown(guessed[0])}), so they "
        "may be damaged; no class is made of one that is. Unpack it with the program that made it "
        "and import the folder, or pack it anew with names in UTF-8."
    )


def _glance(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> FileKind | None:
    try:
        head = next(_chunks(archive, entry, HEAD), b"")
    except _UnreadableError:
        return None
    return identify(head, name) if head else None


def _is_of_macos(parts: tuple[str, ...]) -> bool:
    return "__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _chunks(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int = _CHUNK
) -> Iterator[bytes]:
    """Unpack an entry piece by piece."""
    try:
        with archive.open(entry) as packed:
            while chunk := packed.read(size):
                yield chunk
    except (*_BROKEN, OSError) as error:
        raise _UnreadableError(str(error) or type(error).__name__) from error


def _parts(name: str) -> tuple[str, ...]:
    """Return the names of an entry's path; archives made on Windows may use backslashes."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _leaves(name: str) -> bool:
    """Whether an entry's name points outside the folder it would be unpacked in."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"
