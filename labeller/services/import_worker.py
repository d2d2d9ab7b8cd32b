"""A process that hashes, decodes and makes thumbnails: JSON lines in, JSON lines out.

Run as ``python -m labeller.services.import_worker``. It knows no database and no project, starts
in a fraction of a second, and may die on a hostile file without taking the import along.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import warnings
from io import BufferedReader
from pathlib import Path
from typing import Any

from labeller import imaging
from labeller.decode_room import ROOM, confine_process
from labeller.errors import ImageError, TooManyOpenFiles
from labeller.image_remarks import list_remarks
from labeller.services import thumbnails

NICE = 5
_CHUNK = 1 << 20


class CannotWriteError(Exception):
    """The project folder cannot be written: no file after this one could come in either."""


def main() -> None:
    """Answer requests until the import closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the import's to handle
    if os.nice(0) < NICE:
        os.nice(NICE)  # labelling in the browser goes first
    warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # others would only reserve memory
    config = json.loads(sys.stdin.readline())
    ROOM.limit(config.get("memory_mb", 0))
    confine_process(ROOM.budget)
    _say({"ready": True})
    for line in sys.stdin:
        _say(answer(json.loads(line), config))


def answer(request: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Examine one file.

    Parameters
    ----------
    request : dict
        ``path``; ``sift`` to stop after the hash; ``keep``, a path to copy the bytes to, or None.
    config : dict
        ``max_pixels``, ``thumbnails`` (folder) and ``side`` (longest side of a thumbnail).

    Returns
    -------
    dict
        ``sha256``, ``stamp`` (size and times of the file as it was) and, unless sifted, ``width``,
        ``height``, ``format``, ``bytes``, ``looks`` (the perceptual hash as hexadecimal digits, or
        None) and ``remarks`` (kind and number of each); or ``reason`` and ``mend`` when the file is
        left out; or ``stop`` when nothing can be written any more, or ``exhausted``
        when no file can be opened any more.
    """
    keep = request["keep"]
    try:
        return _examined(request, config)
    except CannotWriteError as error:
        found: dict[str, Any] = {"stop": str(error)}
    except TooManyOpenFiles as error:
        found = {"exhausted": f"{error.reason}. {error.mend}"}
    except ImageError as error:
        found = {"reason": error.reason, "mend": error.mend}
    except OSError as error:
        found = {
            "reason": f"it cannot be read to its end ({error.strerror or error})",
            "mend": "Check the disk it lies on.",
        }
    if keep is not None:
        Path(keep).unlink(missing_ok=True)
    return found


def _examined(request: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    path, keep = request["path"], request["keep"]
    with imaging.opened(path) as file:
        # Before the bytes are read: should they change meanwhile, this is not the stamp any more.
        stamp = _stamp(os.fstat(file.fileno()))
        if keep is not None:
            sha256 = _copied(file, keep)
        else:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if request["sift"]:
            return {"sha256": sha256, "stamp": stamp}
        if keep is None:
            return {**_decoded(file, sha256, config), "stamp": stamp}
    # What was copied is what is looked at, should the original change just now.
    with imaging.opened(keep) as file:
        return {**_decoded(file, sha256, config), "stamp": stamp}


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _decoded(file: BufferedReader, sha256: str, config: dict[str, Any]) -> dict[str, Any]:
    """Decode, and make the thumbnail from the same pixels."""
    file.seek(0)
    decoded = imaging.decode(file, config["max_pixels"], config["side"])
    size = os.fstat(file.fileno()).st_size
    try:
        kept = thumbnails.keep_thumbnail(
            Path(config["thumbnails"]), config["side"], sha256, decoded, size
        )
    except OSError as error:
        raise CannotWriteError(error.strerror or str(error)) from error
    from labeller.perceptual_hash import perceptual_hash  # numpy: not to hash a file that is known

    looks = perceptual_hash(decoded.image)
    return {
        "sha256": sha256,
        "width": decoded.width,
        "height": decoded.height,
        "format": decoded.format,
        "bytes": size,
        "thumbnail": None if kept is None else str(kept),
        "looks": None if looks is None else looks.hex(),
        "remarks": [(remark.kind, remark.number) for remark in list_remarks(file)],
    }


def _copied(file: BufferedReader, target: str) -> str:
    """Copy to `target` and return the hash of what was written."""
    digest = hashlib.sha256()
    try:
        with Path(target).open("wb") as copy:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except OSError as error:
        raise CannotWriteError(error.strerror or str(error)) from error
    return digest.hexdigest()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
