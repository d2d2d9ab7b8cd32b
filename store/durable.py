"""Files that survive a power cut: content flushed to the disk, and the name it lies under too."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path

from store.scratch import name_scratch

FLUSHES = 8  # at a time


def write_whole(path: Path, data: str | bytes, mode: int = 0o666) -> None:
    """Replace a file so that a reader sees the old content or the new, never half.

    When it returns, the new content is on the disk.

    Parameters
    ----------
    path : Path
        The file; its folder is made if it is missing.
    data : str or bytes
        The content; text is written as UTF-8.
    mode : int
        Permissions of the file, before the umask.

    Raises
    ------
    OSError
        When it cannot be written; the old content stays.
    """
    make_folder(path.parent)
    with _replacing(path, mode) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    sync_file(path.parent)


def write_unflushed(path: Path, data: bytes) -> None:
    """Replace a file as `write_whole` does, but leave it to the caller to flush many at once.

    Parameters
    ----------
    path : Path
        The file, in a folder that is there.
    data : bytes

    Raises
    ------
    OSError
        When it cannot be written; the old content stays.
    """
    with _replacing(path, 0o666) as file:
        file.write(data)


@contextmanager
def _replacing(path: Path, mode: int) -> Iterator[BufferedWriter]:
    """Open a file that gets its name when all is written."""
    temporary = name_scratch(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def move_whole(source: Path, target: Path) -> None:
    """Give a flushed file or folder its name, and have the name on the disk when it returns."""
    source.replace(target)
    sync_file(target.parent)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, each with its name on the disk.

    `mode` holds for the folder itself, before the umask; one that is there keeps its own.
    """
    missing, last = [], folder
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(mode if made == last else 0o777, exist_ok=True)
        sync_file(made.parent)


def sync_file(path: Path) -> None:
    """Flush one file's content, or the names in one folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush a folder with everything in it to the disk."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(Path(path, name))
        sync_file(Path(path))


class Flusher:
    """Flushes many files while other work goes on; the disk does several at once cheaper."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(FLUSHES)
        self._files: list[Future[None]] = []
        self._folders: set[Path] = set()

    def add(self, file: Path, folders: Iterable[Path] = ()) -> None:
        """Begin to flush a file; `folders` are those whose names `wait` is to flush too."""
        self._files.append(self._pool.submit(_sync_there, file))
        self._folders.update(folders)

    def wait(self) -> None:
        """Return when all that was added is on the disk.

        Raises
        ------
        OSError
            When some of it cannot be flushed.
        """
        files, self._files = self._files, []
        folders, self._folders = self._folders, set()
        for flush in files:
            flush.result()
        list(self._pool.map(sync_file, folders))

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown(cancel_futures=True)


def _sync_there(file: Path) -> None:
    with suppress(FileNotFoundError):  # deleted meanwhile: nothing will speak of it
        sync_file(file)
