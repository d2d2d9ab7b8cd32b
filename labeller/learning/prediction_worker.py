"""A process that predicts image files with one model: JSON lines in, JSON lines out.

Run as ``python -m labeller.learning.prediction_worker`` by :mod:`labeller.services.predicting`. It
reads requests ahead, decodes them in threads, and predicts as many at once as are there: one alone
is answered at once, thousands are batched.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from labeller.decode_room import ROOM
from labeller.errors import ImageError, LabellerError
from labeller.learning.calibration import probabilities
from labeller.learning.predictors import TrainedModel
from labeller.learning.saved import load_model
from labeller.project import Project, open_project
from labeller.squares import Bytes, Resize, square_of

AHEAD = 256  # files that may wait decoded
GPU_BATCH = 256
CPU_BATCH = 32
PATIENCE = 1.0  # seconds for which what is decoded waits for more: slow images answer one by one

Answer = dict[str, Any]
Read = Bytes | ImageError


def main() -> None:
    """Answer requests until whoever asked closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to handle
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    config = json.loads(sys.stdin.readline())
    try:
        project = open_project(Path(config["project"]))
        ROOM.limit(project.settings.decode_memory_mb)
        with project.store.read() as unit:
            model = load_model(project, unit.models.get(int(config["model"])))
    except LabellerError as error:
        sys.exit(str(error))
    _say(out, {"ready": True})
    for batch in _batches(project, model):
        for answer in answers(model, batch):
            _say(out, answer)
        out.flush()


def answers(model: TrainedModel, batch: Sequence[Read]) -> list[Answer]:
    """Predict images that were read.

    Parameters
    ----------
    model : TrainedModel
    batch : sequence of (array of uint8, shape (size, size, 3)) or ImageError

    Returns
    -------
    list of dict
        In order: ``probs`` (C,), calibrated, and ``energy``, the free energy of the calibrated
        logits; or ``reason`` and ``mend``.

    References
    ----------
    Liu, W., Wang, X., Owens, J. and Li, Y. Energy-based Out-of-distribution Detection. NeurIPS
    2020.
    """
    found: list[Answer] = [
        {"reason": one.reason, "mend": one.mend} if isinstance(one, ImageError) else {}
        for one in batch
    ]
    readable = [place for place, one in enumerate(batch) if not isinstance(one, ImageError)]
    if not readable:
        return found
    pixels = np.stack([one for one in batch if not isinstance(one, ImageError)])
    logits = model.predictor.on_pixels(pixels)
    probs = probabilities(logits, model.temperature)
    energies = -logsumexp(logits.astype(np.float64) / model.temperature, axis=1)
    for place, row, energy in zip(readable, probs, energies, strict=True):
        found[place] = {"probs": [float(p) for p in row], "energy": float(energy)}
    return found


def _batches(project: Project, model: TrainedModel) -> Iterator[list[Read]]:
    """Yield what was read, in order of the requests, as much at once as is there."""
    most = GPU_BATCH if model.predictor.device.cuda else CPU_BATCH
    waiting: queue.Queue[Future[Read] | None] = queue.Queue(AHEAD)
    workers = project.settings.workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers, "decode") as pool:
        limits = model.predictor.resize, project.settings.max_image_pixels
        threading.Thread(target=_receive, args=(pool, waiting, *limits), daemon=True).start()
        while (first := waiting.get()) is not None:
            yield _batch(first, waiting, most)


def _batch(first: Future[Read], waiting: queue.Queue[Future[Read] | None], most: int) -> list[Read]:
    """Return what was read, as much as is there in good time."""
    batch, until = [first.result()], time.monotonic() + PATIENCE
    while len(batch) < most and time.monotonic() < until:
        try:
            following = waiting.get_nowait()
        except queue.Empty:
            break
        if following is None:
            waiting.put(None)
            break
        batch.append(following.result())
    return batch


def _receive(
    pool: ThreadPoolExecutor,
    waiting: queue.Queue[Future[Read] | None],
    resize: Resize,
    max_pixels: int,
) -> None:
    """Begin to decode what is asked for, and stop reading while enough waits."""
    for line in sys.stdin:
        request: Mapping[str, Any] = json.loads(line)
        waiting.put(pool.submit(_read, request["path"], resize, max_pixels))
    waiting.put(None)


def _read(path: str, resize: Resize, max_pixels: int) -> Read:
    try:
        return square_of(path, resize, max_pixels)
    except ImageError as error:
        return error
    except OSError as error:
        reason = f"it cannot be read to its end ({error.strerror or error})"
        return ImageError(reason, "Check the disk it lies on.")


def _say(out: Any, answer: Mapping[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    if "ready" in answer:
        out.flush()


if __name__ == "__main__":
    main()
