"""Hashes of a folder's files, kept beside them: a bit that flipped on the disk is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from store.durable import write_whole

SUMS = "sums.json"


def write_sums(folder: Path) -> None:
    """Keep the SHA-256 of every file of a folder, in a file of it.

    Raises
    ------
    OSError
        When a file cannot be read, or the sums cannot be written.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    write_whole(folder / SUMS, json.dumps({path.name: hash_file(path) for path in files}))


def find_damaged(folder: Path, names: Collection[str] | None = None) -> list[str]:
    """Return the files of a folder that are not as `write_sums` found them; gone ones too.

    A folder without sums, of an earlier version, has none. With `names` only those are looked at.
    """
    try:
        sums = json.loads((folder / SUMS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        return [SUMS]
    if not isinstance(sums, dict):
        return [SUMS]
    chosen = {name: sums[name] for name in sums if names is None or name in names}
    return [name for name, digest in chosen.items() if not _is_as_kept(folder, name, digest)]


def _is_as_kept(folder: Path, name: str, digest: object) -> bool:
    try:
        return Path(name).name == name and hash_file(folder / name) == digest
    except OSError:
        return False


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
