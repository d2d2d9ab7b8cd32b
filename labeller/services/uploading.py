"""Images sent through the API or a browser: kept in the project until an import has copied them.

Nothing of what was sent is opened here: decoding happens in the processes of the import.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from labeller import jobs
from labeller.errors import ImportSourceError, JobError, NoRoomError
from labeller.file_kinds import HEAD, identify
from labeller.project import Project
from labeller.services.import_sources import is_candidate, safe_target
from store.durable import make_folder, move_whole, sync_tree
from store.records import JobRecord
from store.scratch import begin_scratch

ARRIVALS, UPLOADS = "arrivals", "uploads"  # through the API, by a browser
MOST_FILES = 200
_CHUNK = 1 << 20
MOST_WAITING_BYTES = 20_000_000_000
SPARE_BYTES = 300_000_000  # of the project's disk
_BATCHES = 50  # folders in one import


@dataclass(frozen=True, slots=True)
class Received:
    """One file that arrived: the name it is kept under, its hash, and the item it is already."""

    name: str
    sha256: str
    item: int | None


def receive(project: Project, files: Iterable[tuple[str, BinaryIO]]) -> list[Received]:
    """Keep files that were sent, all of them or none, for the next import; on the disk by then.

    Parameters
    ----------
    project : Project
    files : iterable of (str, binary file)
        Names as the client gave them, which may be anything, and the bytes.

    Returns
    -------
    list of Received
        In the order of the files.

    Raises
    ------
    ImportSourceError
        When there is none, there are too many, a name is no image's, or they cannot be kept.
    NoRoomError
        When the disk is nearly full, or so much waits for its import already.
    """
    folder = project.root / ARRIVALS
    files = list(files)
    _check_room(project, sum(_size(file) for _, file in files))
    whole = folder / uuid.uuid4().hex
    hidden = begin_scratch(whole)
    try:
        make_folder(hidden)
        kept = [_keep(hidden, place, name, file) for place, (name, file) in enumerate(files)]
        if not kept:
            raise ImportSourceError("No image was sent. Send some in the form field `images`.")
        sync_tree(hidden)
        move_whole(hidden, whole)
    except OSError as error:
        raise ImportSourceError(
            f"{folder}: the images cannot be kept ({error.strerror or error}). "
            f"Free some space and send them again."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    with project.store.read() as unit:
        known = unit.items.known([digest for _, digest in kept])
    return [Received(name, digest, known.get(digest)) for name, digest in kept]


def _check_room(project: Project, coming: int) -> None:
    """Refuse what would fill the disk, or pile up where imports do not keep pace."""
    free = shutil.disk_usage(project.root).free
    if free < coming + SPARE_BYTES:
        raise NoRoomError(
            f"{project.root}: only {free / 1e6:,.0f} MB are free on its disk. Free some space, "
            f"then send the images again."
        )
    waits = sum(_batch_bytes(batch) for batch in _waiting(project))
    if waits + coming > MOST_WAITING_BYTES:
        raise NoRoomError(
            f"{project.root / ARRIVALS}: {waits / 1e9:,.1f} GB of images wait for their import "
            f"already. Send more when some are imported; see the job on the Images page."
        )


def _size(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


@lru_cache(maxsize=100_000)
def _batch_bytes(batch: Path) -> int:
    """Return the size of a folder that arrived; nothing comes to it any more."""
    return sum(file.stat().st_size for file in batch.glob("*/*"))


def _keep(folder: Path, place: int, name: str, file: BinaryIO) -> tuple[str, str]:
    """Write one file into a folder of its own; return its safe name and its hash."""
    if place >= MOST_FILES:
        raise ImportSourceError(f"At most {MOST_FILES} images can be sent at a time.")
    safe = safe_target([PureWindowsPath(name).name or "image"]).name
    head = file.read(HEAD)
    if is_candidate(safe) is False and identify(head, safe).family != "image":
        raise ImportSourceError(
            f"{safe}: is no image, by its name and its bytes. Send single images; tables and "
            f"archives are imported on the Images page."
        )
    within = folder / f"{place:04d}"
    within.mkdir()
    digest = hashlib.sha256()
    with (within / safe).open("xb") as target:
        digest.update(head)
        target.write(head)
        while piece := file.read(_CHUNK):
            digest.update(piece)
            target.write(piece)
    return safe, digest.hexdigest()


def import_arrivals(project: Project) -> JobRecord | None:
    """Submit the import of what arrived; None when nothing waits, or an import is on already.

    Call it again after an import: what waited then is imported next. A folder is deleted when its
    import is done, so that nothing is lost with a job that is killed.
    """
    batches = _waiting(project)[:_BATCHES]
    sources = [str(file) for one in batches for file in sorted(one.glob("*/*"))]
    if not sources:
        return None
    params = {"sources": sources, "copy": True, "labels": "none", "arrived": True}
    try:
        return jobs.submit(project, "import", params)
    except JobError:  # another import is on
        return None


def waiting(project: Project) -> bool:
    """Whether something arrived that is not imported yet."""
    return bool(_waiting(project))


def _waiting(project: Project) -> list[Path]:
    """Return the folders of what arrived, whole ones only."""
    folder = project.root / ARRIVALS
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def forget(project: Project, sources: Iterable[Path]) -> None:
    """Delete files that were sent and have been imported, with their folders."""
    for source in sources:
        for folder in (project.root / ARRIVALS, project.root / UPLOADS):
            if source.is_relative_to(folder) and source != folder:
                batch = folder / source.relative_to(folder).parts[0]
                shutil.rmtree(batch, ignore_errors=True)
