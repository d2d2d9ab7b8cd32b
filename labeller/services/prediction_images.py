"""Where each predicted image lies, as the job noted it, and pictures of it for the browser.

No address that a browser sends is ever a path: it names a row, and the row's note names the file.
"""

from __future__ import annotations

import json
import os
import threading
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from labeller.errors import ImageError
from labeller.project import Project
from labeller.services import thumbnails
from labeller.services.decoding import close_decoders
from labeller.services.import_sources import Candidate

PLACES = "places.jsonl"
THUMBNAILS = "thumbnails"
AGAIN = "Put it back, or predict it again from its new place."
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError)
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies: a file, or an `entry` of an archive, and how large it was."""

    path: Path
    entry: str | None
    bytes: int


class Places:
    """Notes of where the predicted images lie, appended one by one.

    Each is on the disk before the row of its image is, so that no row lacks its note after a kill
    or a power cut. Files within the prediction's own folder are noted relative to it.
    """

    def __init__(self, folder: Path, restart: bool = False) -> None:
        self._folder = folder
        self._file = (folder / PLACES).open("wb" if restart else "ab", buffering=0)
        self._file.write(b"\n")  # a line that a kill has cut off ends here

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        self._file.close()

    def flush(self) -> None:
        """Have on the disk what was noted."""
        os.fsync(self._file.fileno())

    def note(self, candidate: Candidate) -> None:
        """Note where an image lies that was just predicted; one that is gone already is not."""
        path, entry = candidate.entry or (Path(candidate.path), None)
        try:
            size = os.stat(candidate.path).st_size  # noqa: PTH116 - a million times
        except OSError:
            return
        if path.is_relative_to(self._folder):
            path = path.relative_to(self._folder)
        line = json.dumps([candidate.key, str(path), entry, size])
        self._file.write(line.encode("ascii") + b"\n")


def offsets(folder: Path) -> dict[str, int]:
    """Return where in the file of notes each key's last one begins; lines cut off count as none."""
    found: dict[str, int] = {}
    at = 0
    with (folder / PLACES).open("rb") as file:
        for line in file:
            with suppress(ValueError, TypeError):
                key, _, _, _ = json.loads(line)
                found[key] = at
            at += len(line)
    return found


def place(folder: Path, offset: int) -> Place:
    """Return the note that begins at an offset of the file."""
    with (folder / PLACES).open("rb") as file:
        file.seek(offset)
        _, path, entry, size = json.loads(file.readline())
    return Place(folder / path, entry, int(size))


def picture(
    project: Project, folder: Path, name: str, where: Place, size: Literal["thumb", "card"]
) -> Path:
    """Return a JPEG of a predicted image that a browser can show, made on first use.

    Parameters
    ----------
    project : Project
    folder : Path
        The prediction's; what is made is kept in it, and goes with it.
    name : str
        Of the picture, among those of the prediction.
    where : Place
    size : {"thumb", "card"}

    Raises
    ------
    ImageError
        When the image is gone, was changed since, or the picture cannot be written.
    """
    pixels = thumbnails.longest(project, size)
    kept = folder / THUMBNAILS / str(pixels) / f"{name}.jpg"
    if thumbnails.is_whole(kept):
        return kept
    about = _stat(where.path)
    if where.entry is None:
        _check(about.st_size, where)
    else:
        _check(_entry_size(where, about), where)
    wanted = thumbnails.wanted_picture(project, where.path, size, entry=where.entry)
    thumbnails.make_once(kept, wanted, lambda: None)
    return kept


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise ImageError(f"the file is gone ({error.strerror})", AGAIN) from error


def _check(size: int, where: Place) -> None:
    """Refuse what is not what was predicted."""
    if size != where.bytes:
        raise ImageError("the file has changed since it was predicted", "Predict it again.")


def _entry_size(where: Place, about: os.stat_result) -> int:
    """Return how large an image in an archive is, by the archive."""
    try:
        with _guard:
            archive = _opened(where.path, about.st_size, about.st_mtime_ns)
        return archive.getinfo(where.entry or "").file_size
    except (*_BROKEN, OSError) as error:
        raise ImageError(f"it cannot be unpacked any more ({error})", AGAIN) from error


@lru_cache(maxsize=2)
def _opened(path: Path, size: int, changed: int) -> zipfile.ZipFile:
    """Open an archive; one of many entries takes a second, and a page shows sixty of them."""
    del size, changed  # another archive under the same name is opened anew
    return zipfile.ZipFile(path)


def forget_archives() -> None:
    """Close the archives that are open, so that a deleted one gives its room back."""
    with _guard:
        _opened.cache_clear()
    close_decoders()
