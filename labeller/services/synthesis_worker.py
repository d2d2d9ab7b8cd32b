"""A process that renders children of pictures: JSON lines in, JSON lines out.

Run as ``python -m labeller.services.synthesis_worker``. It knows no database and no project, and is
the only kind of process that loads AugLy; it may die on a hostile picture and take nothing along.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
import warnings
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from labeller import imaging
from labeller.decode_room import ROOM, confine_process
from labeller.errors import ImageError
from labeller.squares import Resize, to_square
from store.scratch import name_scratch
from strategies.synthesis import AugmenterMissing, Plan, SynthesisError, Unchanged, render

COMPRESSION = 3  # of PNGs: twice as fast as Pillow's own choice, and a tenth larger
NICE = 5

Answer = dict[str, Any]


class CannotWriteError(Exception):
    """The project folder cannot be written: no picture after this one could be kept either."""


def main() -> None:
    """Answer requests until whoever asked closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to handle
    if os.nice(0) < NICE:
        os.nice(NICE)  # labelling in the browser goes first
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    config = json.loads(sys.stdin.readline())
    ROOM.limit(config.get("memory_mb", 0))
    confine_process(ROOM.budget)
    _say(out, {"ready": True})
    for line in sys.stdin:
        _say(out, answer(json.loads(line), config))


def answer(request: dict[str, Any], config: dict[str, Any]) -> Answer:
    """Render one child.

    Parameters
    ----------
    request : dict
        ``source``, the parent's file; ``plan``, as `Plan.to_json` writes it; ``target``, the file
        to write, or None to have the picture in the answer.
    config : dict
        ``max_pixels`` of a parent; ``side``, the longest one at which parents are opened;
        ``side`` and ``method`` to which answered pictures are resized as ``resize``, or None.

    Returns
    -------
    dict
        ``sha256``, ``width``, ``height`` and ``bytes`` of the file written, or ``png`` (base64); or
        ``unchanged`` when the recipe changes nothing; or ``reason`` and ``mend`` when the child
        cannot be made; or ``stop`` when none can.
    """
    try:
        parent = _opened(request["source"], config["max_pixels"], config["side"])
        child = render(parent, Plan.from_json(request["plan"]))
        if request["target"] is None:
            return {"png": base64.b64encode(_png(_resized(child, config["resize"]))).decode()}
        return _kept(child, Path(request["target"]))
    except (AugmenterMissing, CannotWriteError) as error:
        return {"stop": str(error)}
    except Unchanged as error:
        return {"unchanged": str(error)}
    except SynthesisError as error:
        return {"reason": str(error), "mend": ""}
    except ImageError as error:
        return {"reason": error.reason, "mend": error.mend}
    except MemoryError:
        return {"reason": "the child does not fit into memory", "mend": "Choose other recipes."}


@lru_cache(maxsize=4)  # children of one parent are asked for one after the other
def _opened(source: str, max_pixels: int, side: int) -> Image.Image:
    return imaging.open_rgb(source, max_pixels, side)


def _resized(image: Image.Image, resize: dict[str, Any] | None) -> Image.Image:
    """Return the picture as a backbone is to see it, or as it is."""
    return image if resize is None else to_square(image, Resize(**resize))


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=COMPRESSION)
    return buffer.getvalue()


def _kept(image: Image.Image, target: Path) -> Answer:
    """Write a picture under its name once it is on the disk."""
    data = _png(image)
    temporary = name_scratch(target)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CannotWriteError(
            f"{target.parent}: cannot be written ({error.strerror or error}). Free some space, or "
            f"mend its permissions."
        ) from error
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": image.width,
        "height": image.height,
        "bytes": len(data),
    }


def _say(out: Any, message: Answer) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
