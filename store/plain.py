"""Plain words for database errors, plain values for JSON."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store.errors import Conflict, NotFound, StoreBusy, StoreDamaged, StoreError, StoreFull

# How long a transaction waits in all: for its turn, for the database's lock, for a connection.
BUSY_SECONDS = 10.0


def wait_longer(seconds: float) -> None:
    """Have this process wait longer for a busy database: a job, which nobody waits for."""
    global BUSY_SECONDS
    BUSY_SECONDS = seconds


def to_json(value: Any) -> str:
    """Write JSON that every database takes: a number that is not finite becomes null."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (ValueError, TypeError):
        return json.dumps(_plain(value), allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return `value` made of plain Python values, NumPy's and NaN replaced."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Turn the database's errors into the store's, with the mend.

    Parameters
    ----------
    name : str
        The file or address that the texts name.

    Raises
    ------
    StoreError
        The leaf that fits.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy(
            f"{name}: too many transactions at once; none ended within {BUSY_SECONDS:.0f} s. "
            f"Try again."
        ) from error
    except DBAPIError as error:
        raise explained(name, error) from error
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{name}: {error.object!a} cannot be stored as text. If it is a file, rename it."
        ) from error
    except OverflowError as error:
        raise NotFound(f"{name}: no row has so large a number ({error}).") from error


def explained(name: str, error: DBAPIError) -> StoreError:
    """Return the store's error for a database's.

    Parameters
    ----------
    name : str
        The file or address.
    error : DBAPIError
        What SQLAlchemy raised.
    """
    lines = str(error.orig).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else "no reason given"
    low = reason.lower()
    if "unable to open" in low and _has_no_file_left():
        return StoreBusy(
            f"{name}: too many files are open in this process. Raise the limit before you start "
            f"it: ulimit -n 65536"
        )
    for leaf, signs, mend in _MENDS:
        if any(sign in low for sign in signs):
            return leaf(f"{name}: {reason}. {mend}")
    if isinstance(error, IntegrityError):
        return Conflict(f"{name}: {reason}. Look again at the rows as they are now.")
    return StoreError(f"{name}: {reason}.")


def _has_no_file_left() -> bool:
    """Whether this process may open no more files, for which SQLite has no word of its own."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


_MENDS: tuple[tuple[type[StoreError], tuple[str, ...], str], ...] = (
    (
        StoreFull,
        ("disk is full", "no space left", "could not extend", "disk full"),
        "Make room on the disk; nothing that was acknowledged is lost.",
    ),
    (
        StoreBusy,
        ("is locked", "lock timeout", "deadlock detected"),
        "Another program kept it locked. Close that program or wait, then try again.",
    ),
    (
        StoreDamaged,
        ("not a database", "malformed"),
        "Put back a copy: labeller.db.before-* beside it, or your own backup.",
    ),
    (NotFound, ("out of range",), "No row has so large a number."),
    (
        StoreError,
        ("unable to open",),
        "Check that the folder exists and that you may write to it.",
    ),
    (
        StoreError,
        ("readonly", "read-only"),
        "The transaction, the file or its folder cannot be written; check the permissions.",
    ),
    (
        StoreError,
        ("disk i/o error",),
        "Check the disk and its cable or network share; WAL does not work on network shares.",
    ),
    (
        StoreError,
        ("connection is bad", "connection failed", "refused", "server closed", "terminating"),
        "Check that the PostgreSQL server runs and that the URL and password are right.",
    ),
)
