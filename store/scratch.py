"""Files and folders that are not finished: their names say whose they are.

Whoever finds one whose owner is dead removes it, so that no killed process leaves anything for
ever.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from store import alive

PREFIX = ".labeller-"
_FOREIGN_SECONDS = 24 * 3600.0  # after which the work of another machine is given up
_TAG = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<birth>[0-9a-f]{8})-\d+")
_NAMELESS = re.compile(r"labeller-(predict|doubtful|replay|decoding)-[a-z0-9_]{8}")
_numbers = itertools.count()


def name_scratch(target: Path) -> Path:
    """Return a new name beside `target` for what is to get its name when it is whole."""
    return target.with_name(f"{PREFIX}{_tag()}")


def begin_scratch(target: Path) -> Path:
    """Remove what dead processes left beside `target`, and name a new scratch as `name_scratch`."""
    remove_abandoned(target.parent)
    return name_scratch(target)


def make_scratch_folder(parent: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a hidden folder in another, removed with the returned object."""
    remove_abandoned(parent)
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{_tag()}-", dir=parent)


def make_temporary(purpose: str) -> tempfile.TemporaryDirectory[str]:
    """Make a folder among the system's temporary ones, removed with the returned object.

    Parameters
    ----------
    purpose : str
        A word of small letters.
    """
    return tempfile.TemporaryDirectory(prefix=f"labeller-{purpose}-{_tag()}-")


def remove_abandoned(folder: Path) -> list[Path]:
    """Delete what dead processes left unfinished in a folder, and return it.

    What cannot be deleted stays, as it costs nothing but room.
    """
    return [path for path in _list_abandoned(folder, PREFIX) if remove(path)]


def remove_temporary() -> list[Path]:
    """Delete what dead processes of this account left among the system's temporary folders."""
    folder = Path(tempfile.gettempdir())
    found = [*_list_abandoned(folder, "labeller-"), *_list_nameless(folder)]
    return [path for path in found if _is_own(path) and remove(path)]


def remove(path: Path) -> bool:
    """Delete a file or a whole folder; a link goes, never what it points to.

    Returns
    -------
    bool
        Whether it is gone.
    """
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return True
    return False


def _list_abandoned(folder: Path, prefix: str) -> Iterable[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(prefix)]
    except OSError:
        return []
    return [path for name in names if _is_abandoned(path := folder / name)]


def _list_nameless(folder: Path) -> list[Path]:
    """Return what versions left whose names told no owner, when it is old."""
    before = time.time() - _FOREIGN_SECONDS
    named = [path for path in folder.glob("labeller-*") if _NAMELESS.fullmatch(path.name)]
    return [path for path in named if path.lstat().st_mtime < before]


def _is_abandoned(path: Path) -> bool:
    """Whether the process that a name tells of is dead."""
    tag = _TAG.search(path.name)
    if tag is None:
        return False
    if tag["host"] != _place():
        with suppress(OSError):
            return time.time() - path.lstat().st_mtime > _FOREIGN_SECONDS
        return False
    living = alive.identity(int(tag["pid"]))
    if living is None:
        return True
    born = (_digest(living), _digest(alive.UNKNOWN))
    return living != alive.UNKNOWN and tag["birth"] not in born


def _is_own(path: Path) -> bool:
    with suppress(OSError):
        return path.lstat().st_uid == os.getuid()
    return False


def _tag() -> str:
    """Name this machine, this process and a number that it gives once."""
    pid, identity = alive.own_identity()
    return f"{_place()}-{pid}-{_digest(identity)}-{next(_numbers)}"


@cache
def _place() -> str:
    """Name this machine, or this container: where a pid means one process."""
    try:
        numbering = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no file
    except OSError:  # not Linux
        numbering = ""
    return _digest(f"{alive.host()} {numbering}")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
