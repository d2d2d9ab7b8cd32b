"""Files that survive a power cut: content flushed to the disk, and the name it lies under too."""

from __future__ import annotations

import os
import threading
from pathlib import Path


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
    content = data.encode("utf-8") if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move_whole(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def move_whole(source: Path, target: Path) -> None:
    """Give a flushed file or folder its name, and have the name on the disk when it returns."""
    source.replace(target)
    sync_file(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each with its name on the disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
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
