"""Import from a zip archive: entries are unpacked one at a time, under names of our own."""

from __future__ import annotations

import itertools
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from labeller import image_reasons
from labeller.errors import ImportSourceError
from labeller.services.import_sources import (
    Candidate,
    Refused,
    Survey,
    Tick,
    is_candidate,
    is_hidden,
    safe_target,
    shown,
)
from labeller.services.import_worker import CannotWriteError

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
MOST_RATIO = 200
SMALL = 64 << 20  # below this a high ratio is a plain picture, not a bomb
_CHUNK = 1 << 20
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
        try:
            with zipfile.ZipFile(path):
                pass
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise ImportSourceError(
                f"{self.shown}: cannot be read as a zip archive ({error}). Get a whole copy of it."
            ) from error

    def survey(self, tick: Tick) -> Survey:
        """Count the entries by their names."""
        survey = Survey()
        with zipfile.ZipFile(self.path) as archive:
            for entry in archive.infolist():
                parts = _parts(entry)
                if _leaves(entry.filename):
                    survey.files += 1
                elif _listed(archive, entry, parts):
                    survey.count(parts[:-1])
        tick(survey.files)
        return survey

    def candidates(self, survey: Survey, folders: bool) -> Iterator[Candidate | Refused]:
        """Unpack and yield one entry after the other."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(self.path) as archive:
            for entry in archive.infolist():
                parts = _parts(entry)
                if not _listed(archive, entry, parts):
                    continue
                found = self._refusal(entry, parts) or self._unpacked(archive, entry)
                if isinstance(found, Refused):
                    yield found
                else:
                    label = survey.label(parts[:-1]) if folders else None
                    target = safe_target([self.path.stem, *parts])
                    yield Candidate(
                        self._name(entry),
                        str(found),
                        target,
                        label,
                        owned=True,
                        key=shown(entry.filename),
                        entry=(self.path, entry.filename),
                    )

    def _refusal(self, entry: zipfile.ZipInfo, parts: tuple[str, ...]) -> Refused | None:
        """Say what is wrong with an entry before anything of it is unpacked."""
        if _leaves(entry.filename):
            return self._refused(entry, "its name leads out of the archive", "Rename it.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            return self._refused(entry, "it is a link, not a file", "Put the file itself in.")
        if entry.flag_bits & 1:
            return self._refused(
                entry, "it is encrypted", "Unpack the archive and take the folder."
            )
        if PurePosixPath(parts[-1]).suffix.lower() in ARCHIVES:
            return self._refused(entry, "it is an archive inside the archive", "Unpack it first.")
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > self._max_bytes:
            return self._refused(
                entry,
                f"it unpacks to {entry.file_size:,} bytes, more than any image within the limits",
                "Raise max_image_pixels in project.toml if you trust the file.",
            )
        if ratio > MOST_RATIO and entry.file_size > SMALL:
            return self._refused(
                entry, f"it unpacks to {ratio:,.0f} times its size", "Unpack it if you trust it."
            )
        return None

    def _unpacked(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Path | Refused:
        """Write an entry to a numbered file; zipfile itself stops at the size the entry states."""
        path = self._incoming / f"entry-{next(self._numbers)}"
        try:
            with path.open("wb") as file:
                for chunk in _chunks(archive, entry):
                    file.write(chunk)
        except _UnreadableError as error:
            path.unlink(missing_ok=True)
            return self._refused(
                entry, f"it cannot be unpacked ({error})", image_reasons.FETCH_AGAIN
            )
        except OSError as error:
            raise CannotWriteError(error.strerror or str(error)) from error
        return path

    def _refused(self, entry: zipfile.ZipInfo, reason: str, mend: str) -> Refused:
        return Refused(self._name(entry), reason, mend, key=shown(entry.filename))

    def _name(self, entry: zipfile.ZipInfo) -> str:
        return f"{self.shown}/{shown(entry.filename)}"


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack an entry piece by piece."""
    try:
        with archive.open(entry) as packed:
            while chunk := packed.read(_CHUNK):
                yield chunk
    except (*_BROKEN, OSError) as error:
        raise _UnreadableError(str(error) or type(error).__name__) from error


def _parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return the names of an entry's path; archives made on Windows may use backslashes."""
    return tuple(part for part in entry.filename.replace("\\", "/").split("/") if part != ".")


def _listed(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, parts: tuple[str, ...]) -> bool:
    """Whether an entry is an image, as in a folder, or an archive, which is told about."""
    if entry.is_dir() or not parts or any(is_hidden(part) for part in parts if part != ".."):
        return False
    wanted = is_candidate(parts[-1])
    if wanted is None:
        try:
            return image_reasons.begins_like_image(next(_chunks(archive, entry), b""))
        except _UnreadableError:
            return False
    return wanted or PurePosixPath(parts[-1]).suffix.lower() in ARCHIVES


def _leaves(name: str) -> bool:
    """Whether an entry's name points outside the folder it would be unpacked in."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"
