"""A process that makes pictures for the browser: JSON lines in, JSON lines out.

Run as ``python -m labeller.services.decode_worker``. It knows no database and no project, starts in
a fraction of a second, and may die on a hostile file without taking the server along.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from labeller import imaging
from labeller.decode_room import ROOM, confine_process
from labeller.errors import ImageBusy, ImageError
from labeller.sealed_jpeg import encode_jpeg

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError)
Answer = dict[str, Any]


def main() -> None:
    """Answer requests until whoever asked closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # others would only reserve memory
    Image.preinit()
    sys.stdin.readline()  # no configuration: projects differ in theirs
    _say({"ready": True})
    for line in sys.stdin:
        _say(answer(json.loads(line)))


def answer(request: dict[str, Any]) -> Answer:
    """Make one picture.

    Parameters
    ----------
    request : dict
        ``path``; ``entry``, the name of an image in the archive there, or None; ``as_is``, whether
        the file will do that a browser shows as it is; ``max_pixels`` and ``memory_mb``, what may
        be decoded; ``wait``, the seconds for which other images may be waited for, or None;
        ``side``, the longest one, or None; ``quality`` of the JPEG; and ``target``, a new file.

    Returns
    -------
    dict
        ``made`` is False when the file will do as it is; or ``busy``, why it has to be asked again;
        or ``reason`` and ``mend`` when the image cannot be read; or ``unwritten``, why the picture
        cannot be written.
    """
    ROOM.limit(request["memory_mb"])
    ROOM.wait_seconds = request["wait"]
    confine_process(ROOM.budget)
    try:
        if request["as_is"] and imaging.is_plain(request["path"], request["max_pixels"]):
            return {"made": False}
        return _made(request)
    except ImageBusy as error:
        return {"busy": error.reason, "mend": error.mend}
    except ImageError as error:
        return {"reason": error.reason, "mend": error.mend}
    except OSError as error:
        reason = f"it cannot be read to its end ({error.strerror or error})"
        return {"reason": reason, "mend": "Check the disk it lies on."}


def _made(request: dict[str, Any]) -> Answer:
    path, most, side = request["path"], request["max_pixels"], request["side"]
    if request["entry"] is None:
        image = imaging.open_rgb(path, most, side)
    else:
        image = imaging.decode_rgb(_unpacked(Path(path), request["entry"]), most, side)
    data = encode_jpeg(image, request["quality"])
    try:
        with Path(request["target"]).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return {"unwritten": error.strerror or str(error)}
    return {"made": True}


def _unpacked(path: Path, entry: str) -> bytes:
    """Return the bytes of an image in an archive."""
    about = path.stat()
    try:
        return _opened(path, about.st_size, about.st_mtime_ns).read(entry)
    except (*_BROKEN, OSError) as error:
        again = "Put it back, or predict it again from its new place."
        raise ImageError(f"it cannot be unpacked any more ({error})", again) from error


@lru_cache(maxsize=2)
def _opened(path: Path, size: int, changed: int) -> zipfile.ZipFile:
    """Open an archive; one of many entries takes a second, and a page shows sixty of them."""
    del size, changed  # another archive under the same name is opened anew
    return zipfile.ZipFile(path)


def _say(message: Answer) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
