"""Files sent by the browser: kept in a folder of the project until an import has copied them."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Protocol

from labeller.project import Project
from labeller.services.import_sources import TABLES
from labeller.services.uploading import UPLOADS
from store.durable import make_folder, move_whole, sync_tree
from store.scratch import begin_scratch, remove

_LONGEST = 120
_CHUNK = 1 << 20


class Upload(Protocol):
    """What Streamlit's file uploader returns."""

    name: str

    def getbuffer(self) -> memoryview:
        """Return the bytes."""
        ...


def safe_name(name: str) -> str:
    r"""Return the last part of a name from a browser, fit for a file of ours.

    Parameters
    ----------
    name : str
        Anything, also ``../../x``, ``C:\x``, control characters or nothing.
    """
    text = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join("_" if not c.isprintable() or c in ':*?"<>|' else c for c in text)
    text = text.strip().lstrip(".")
    stem, dot, suffix = text.rpartition(".")
    if not dot:
        stem, suffix = text, ""
    while len(stem.encode()) > _LONGEST:
        stem = stem[:-1]
    return f"{stem or 'file'}{dot}{suffix[:10]}"


def keep(project: Project, files: Iterable[Upload]) -> list[Path]:
    """Write uploaded files into a new folder below the project and return their paths."""
    whole = project.root / UPLOADS / uuid.uuid4().hex
    hidden = begin_scratch(whole)
    try:
        make_folder(hidden)
        written = write(hidden, files)
        move_whole(hidden, whole)
    finally:
        remove(hidden)
    return [whole / path.name for path in written]


def write(folder: Path, files: Iterable[Upload]) -> list[Path]:
    """Write uploaded files into a folder, under safe names, and return their paths.

    They are on the disk then: the person may close the browser and delete their own.
    """
    kept: list[Path] = []
    for file in files:
        path = _free(folder, safe_name(file.name))
        with path.open("xb") as target:
            _copy(file.getbuffer(), target)
        kept.append(path)
    sync_tree(folder)
    return kept


def sources(kept: Iterable[Path]) -> list[Path]:
    """Return what to import: tables and archives one by one, the images' folder as one."""
    paths = list(kept)
    single = [path for path in paths if path.suffix.lower() in (".zip", *TABLES)]
    images = [path for path in paths if path not in single]
    return [*single, *images] if single else [images[0].parent] if images else []


def _free(folder: Path, name: str) -> Path:
    """Return a path in `folder` that no other upload has."""
    path, number = folder / name, 2
    while path.exists():
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        number += 1
    return path


def _copy(data: memoryview, target: IO[bytes]) -> None:
    for start in range(0, len(data), _CHUNK):
        target.write(data[start : start + _CHUNK])
