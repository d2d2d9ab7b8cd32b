"""A process that decodes images to squares: JSON lines in, pixels into a shared file.

Run as ``python -m labeller.services.square_worker``. It knows no database and no project, starts
in a fraction of a second, and may die on a hostile file without taking the job along.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.decode_room import ROOM, confine_process
from labeller.squares import Resize, read_into


def main() -> None:
    """Answer requests until whoever asked closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to handle
    warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
    config = json.loads(sys.stdin.readline())
    ROOM.limit(config.get("memory_mb", 0))
    confine_process(ROOM.budget)
    slots = np.memmap(config["file"], np.uint8, "r+", shape=tuple(config["shape"]))
    resize = Resize(slots.shape[2], config["method"])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        found = answer(json.loads(line), slots, resize, config["max_pixels"])
        print(json.dumps(found), flush=True)


def answer(
    request: Mapping[str, Any], slots: NDArray[np.uint8], resize: Resize, max_pixels: int
) -> dict[str, Any]:
    """Decode some images into a slot.

    Parameters
    ----------
    request : mapping
        ``paths``, at most as many as fit, the number of the ``slot``, and the place there of the
        first (``at``).
    slots : array of uint8, shape (n, images, side, side, 3)
        Changed in place: the squares come in the order of the paths.
    resize : Resize
    max_pixels : int
        Images with more are refused.

    Returns
    -------
    dict
        ``bad``: place, reason and mend of each image that cannot be read.
    """
    at = request["at"]
    bad = read_into(slots[request["slot"]][at:], request["paths"], resize, max_pixels)
    return {"bad": [(at + row, reason, mend) for row, reason, mend in bad]}


if __name__ == "__main__":
    main()
