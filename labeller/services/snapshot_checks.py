"""Checks of what a snapshot says: a value or an image is what it should be, or is refused."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labeller import imaging
from labeller.errors import ImageError, SnapshotError

_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_LATEST = datetime(3000, 1, 1, tzinfo=UTC).timestamp()
_SHOWN = 60  # characters of a value that a message repeats


class _NotFiniteError(ValueError):
    """A number of a JSON file that no database keeps."""


def json_object(data: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object; raises :class:`~labeller.errors.SnapshotError` naming `where`."""
    try:
        told = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except _NotFiniteError as error:
        raise SnapshotError(f"{where}: {error}. Export the snapshot anew.") from error
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{where}: is no JSON. Export the snapshot anew.") from error
    if not isinstance(told, dict):
        raise SnapshotError(f"{where}: is no JSON object. Export the snapshot anew.")
    return told


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotFiniteError(f"{show_value(text)} is no number that can be kept")
    return number


def show_value(value: object) -> str:
    """Return a value as a message repeats it: on one line, and never at length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def show_path(path: Path | str) -> str:
    """Return a path as a message names it: nothing in it acts on a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))


def said(error: Exception) -> str:
    """Return what one of the errors of this module says."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def typed(told: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a value of a type, or raise KeyError or TypeError."""
    if not isinstance(told[name], kind):
        raise TypeError(f"{name} is no {kind.__name__}")
    return told[name]


def text(told: Mapping[str, Any], name: str, longest: int, *, empty: bool = False) -> str:
    """Return text of at most `longest` characters, or raise KeyError, TypeError or ValueError.

    It is not empty unless that is allowed, and a database and a UTF-8 file can hold it.
    """
    value: str = typed(told, name, str)
    if len(value) > longest:
        raise ValueError(f"{name} is longer than {longest:,} characters")
    if not (value or empty):
        raise ValueError(f"{name} is empty")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name} holds a null byte or half a character")
    return value


def line_of_text(told: Mapping[str, Any], name: str, longest: int) -> str:
    """Return text that can be printed as it is, or raise KeyError, TypeError or ValueError."""
    value = text(told, name, longest)
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in value):
        raise ValueError(f"{name} holds a line break or control character")
    return value


def short_list(told: Mapping[str, Any], name: str, most: int) -> list[Any]:
    """Return a list of at most `most` entries, or raise KeyError, TypeError or ValueError."""
    values: list[Any] = typed(told, name, list)
    if len(values) > most:
        raise ValueError(f"{len(values):,} {name} are more than {most:,}")
    return values


def whole(told: Mapping[str, Any], name: str, low: int, high: int = 2**63 - 1) -> int:
    """Return a number from `low` to `high`, or raise KeyError or ValueError."""
    value = told[name]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} = {show_value(value)} cannot be")
    return value


def one_of(told: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Any:
    """Return one of the known words, or raise KeyError or ValueError."""
    if told[name] not in known:
        raise ValueError(f"{name} = {show_value(told[name])} is none of {', '.join(known)}")
    return told[name]


def sha256(told: Mapping[str, Any], name: str) -> str:
    """Return a hexadecimal SHA-256, or raise KeyError or ValueError."""
    value = told[name]
    if not isinstance(value, str) or not _HASH.match(value):
        raise ValueError(f"{name} is no SHA-256")
    return value


def seconds(moment: str) -> float:
    """Return a time since 1970 with its zone as UTC seconds, or raise ValueError."""
    at = datetime.fromisoformat(moment)
    found = at.timestamp() if at.tzinfo is not None else math.nan
    if not math.isfinite(found):
        raise ValueError("time names no zone")
    if not 0 <= found < _LATEST:
        raise ValueError(f"time = {show_value(moment)} cannot be")
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
        raise SnapshotError(f"{show_path(source)}: {error}. {error.mend}".strip()) from error
    finally:
        if copy is not None:
            copy.close()
    if length != size or found.hexdigest() != digest:
        raise SnapshotError(
            f"{show_path(source)}: is not the image that was imported (other bytes). Put the "
            f"original back."
        )
