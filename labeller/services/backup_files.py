"""What a backup file holds: its members with their hashes, read back without trusting a byte."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from labeller.errors import BackupError

FORMAT = "labeller backup"
VERSION = 1
MANIFEST = "backup.json"
DATABASE = "labeller.db"
SETTINGS = "project.toml"
FOLDERS = ("images", "synthetic", "arrivals", "models", "vectors")
CHUNK = 1 << 20
# What reading a damaged archive may raise.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_LARGEST_MANIFEST = 512 << 20
_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a backup: its size in bytes and SHA-256."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes
    ----------
    project, name : str
        Identity and name of the project.
    created : float
        UTC seconds.
    counts : mapping of str to int
        Items, labels and events of its database.
    members : mapping of str to Member
        Every file but this one, by its place in the project's folder.
    """

    project: str
    name: str
    created: float
    version: str
    counts: Mapping[str, int]
    members: Mapping[str, Member]

    def to_json(self) -> bytes:
        """Return the file."""
        told = {"format": FORMAT, "format_version": VERSION, **asdict(self)}
        return json.dumps(told, ensure_ascii=True).encode("ascii")


def read_manifest(archive: zipfile.ZipFile, file: Path) -> Manifest:
    """Return the manifest of an open backup.

    Raises
    ------
    BackupError
        When it is no backup, of a newer version, or names places outside a project.
    """
    try:
        if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
            raise BackupError(f"{file}: its list of files is too large to be one.")
        told = json.loads(archive.read(MANIFEST))
        if told["format"] != FORMAT:
            raise ValueError("another format")
        if told["format_version"] > VERSION:
            raise BackupError(f"{file}: was made by a newer version. Update the program.")
        return _parsed(told, file)
    except KeyError as error:
        raise BackupError(f"{file}: is no backup ({error} is missing).") from error
    except (ValueError, TypeError, RecursionError, *UNREADABLE) as error:
        raise BackupError(f"{file}: its list of files is damaged ({error}).") from error


def _parsed(told: dict[str, Any], file: Path) -> Manifest:
    members = {}
    for name, about in told["members"].items():
        _check_place(name, file)
        size, digest = about["bytes"], about["sha256"]
        if type(size) is not int or size < 0 or not _HASH.match(digest):
            raise ValueError(f"of {name}")
        members[name] = Member(size, digest)
    if not {DATABASE, SETTINGS} <= set(members):
        raise BackupError(f"{file}: holds no project ({DATABASE} or {SETTINGS} is missing).")
    counts = {str(name): int(count) for name, count in told["counts"].items()}
    return Manifest(
        str(told["project"]),
        str(told["name"]),
        float(told["created"]),
        str(told["version"]),
        counts,
        members,
    )


def _check_place(name: str, file: Path) -> None:
    """Refuse a member that would be written outside the project, or where none belongs."""
    path = PurePosixPath(name)
    plain = path.as_posix() == name and not path.is_absolute() and "\\" not in name
    if not plain or ".." in path.parts or "\0" in name or not path.parts:
        raise BackupError(f"{file}: {name[:200]!r} would be written outside the project. Refused.")
    if name not in (DATABASE, SETTINGS) and (path.parts[0] not in FOLDERS or len(path.parts) < 2):
        raise BackupError(f"{file}: {name[:200]!r} is no file of a project. Refused.")


def copy_checked(source: IO[bytes], member: Member, target: IO[bytes] | None) -> bool:
    """Copy a member, and return whether it is what the manifest says; never reads much more."""
    digest, length = hashlib.sha256(), 0
    while piece := source.read(min(CHUNK, member.bytes - length + 1)):
        length += len(piece)
        if length > member.bytes:
            return False
        digest.update(piece)
        if target is not None:
            target.write(piece)
    return length == member.bytes and digest.hexdigest() == member.sha256
