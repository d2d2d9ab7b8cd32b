"""Checks of what a snapshot says: a value or an image is what it should be, or is refused."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from labeller import imaging
from labeller.errors import ImageError, SnapshotError

_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}\Z")


def json_object(data: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object; raises :class:`~labeller.errors.SnapshotError` naming `where`."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{where}: is no JSON. Export the snapshot anew.") from error
    if not isinstance(told, dict):
        raise SnapshotError(f"{where}: is no JSON object. Export the snapshot anew.")
    return told


def said(error: Exception) -> str:
    """Return what one of the errors of this module says."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def typed(told: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a value of a type, or raise KeyError or TypeError."""
    if not isinstance(told[name], kind):
        raise TypeError(f"{name} is no {kind.__name__}")
    return told[name]


def text(told: Mapping[str, Any], name: str) -> str:
    """Return text that is not empty, or raise KeyError, TypeError or ValueError."""
    value = typed(told, name, str)
    if not value or "\0" in value:
        raise ValueError(f"{name} is empty or holds a null byte")
    return str(value)


def whole(told: Mapping[str, Any], name: str, low: int) -> int:
    """Return a number from `low` on that fits in 64 bits, or raise KeyError or ValueError."""
    value = told[name]
    if type(value) is not int or not low <= value < 2**63:
        raise ValueError(f"{name} = {value!r} cannot be")
    return value


def one_of(told: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Any:
    """Return one of the known words, or raise KeyError or ValueError."""
    if told[name] not in known:
        raise ValueError(f"{name} = {told[name]!r} is none of {', '.join(known)}")
    return told[name]


def sha256(told: Mapping[str, Any], name: str) -> str:
    """Return a hexadecimal SHA-256, or raise KeyError or ValueError."""
    value = told[name]
    if not isinstance(value, str) or not _HASH.match(value):
        raise ValueError(f"{name} is no SHA-256")
    return value


def seconds(moment: str) -> float:
    """Return a time with its zone as UTC seconds, or raise ValueError."""
    at = datetime.fromisoformat(moment)
    found = at.timestamp() if at.tzinfo is not None else math.nan
    if not math.isfinite(found):
        raise ValueError("time names no zone")
    return found


def checked_copy(source: Path, digest: str, size: int, target: Path | None) -> None:
    """Read an image, compare it with its hash, and copy it on the way.

    Parameters
    ----------
    source : Path
        The image.
    digest : str
        SHA-256 of what its bytes must be.
    size : int
        How many bytes there must be; no more are read than it takes to notice others.
    target : Path, optional
        Where the copy goes; None to compare only.

    Raises
    ------
    SnapshotError
        When it cannot be read, or has other bytes.
    OSError
        When the copy cannot be written.
    """
    found, length = hashlib.sha256(), 0
    copy = target.open("wb") if target is not None else None
    try:
        with imaging.opened(source) as file:
            while length <= size and (chunk := file.read(_CHUNK)):
                found.update(chunk)
                length += len(chunk)
                if copy is not None:
                    copy.write(chunk)
    except ImageError as error:
        raise SnapshotError(f"{source}: {error}. {error.mend}".strip()) from error
    finally:
        if copy is not None:
            copy.close()
    if length != size or found.hexdigest() != digest:
        raise SnapshotError(
            f"{source}: is not the image that was imported (other bytes). Put the original back."
        )
