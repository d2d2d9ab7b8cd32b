"""Decode images ahead of whoever consumes them, in threads: Pillow lets go of the interpreter."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labeller.errors import ImageError, ProjectError
from labeller.imaging import open_rgb
from labeller.project import Project

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

CHUNK = 16  # images per task of a thread
AHEAD = 4  # tasks per thread that may wait decoded


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item whose image cannot be read (any more)."""

    item_id: int
    path: str
    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """Some images: `ids` (n,), `pixels` (n, size, size, 3), and those that could not be read."""

    ids: Ints
    pixels: Bytes
    unreadable: tuple[Unreadable, ...]


def decoded(project: Project, ids: Ints, size: int) -> Generator[Decoded]:
    """Yield the images of some items, resized to squares, in the order of `ids`.

    Parameters
    ----------
    project : Project
    ids : array of int, shape (N,)
    size : int
        Side of the squares in pixels; proportions are not kept, so that nothing is cut off.

    Yields
    ------
    Decoded
        Up to 16 images; unreadable ones are left out of `ids` and `pixels`.
    """
    workers = project.settings.workers or len(os.sched_getaffinity(0))
    waiting: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for start in range(0, len(ids), CHUNK):
            waiting.append(pool.submit(_decode, project, ids[start : start + CHUNK], size))
            if len(waiting) > workers * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def gathered(parts: Iterator[Decoded], size: int) -> Iterator[Decoded]:
    """Join decoded images to batches of about `size`.

    Parameters
    ----------
    parts : iterator of Decoded
    size : int
        Images per batch, as many as come out of the parts; the last batch may be small.
    """
    held: list[Decoded] = []
    for part in parts:
        held.append(part)
        if sum(len(one.ids) for one in held) >= size:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def square(image: Image.Image, size: int) -> Bytes:
    """Resize an RGB image to a square array (size, size, 3)."""
    resized = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized, np.uint8)


def square_of(path: Path | str, size: int, max_pixels: int) -> Bytes:
    """Decode an image file, no larger than needed, to a square array (size, size, 3).

    Raises
    ------
    ImageError
        When it cannot be read, or has more than `max_pixels`.
    """
    return square(open_rgb(path, max_pixels, cover=size), size)


def _decode(project: Project, ids: Ints, size: int) -> Decoded:
    with project.store.read() as unit:
        items = unit.items.many([int(i) for i in ids])
    kept, pixels, bad = [], [], []
    for item in (items[int(i)] for i in ids if int(i) in items):
        try:
            path = project.file(item.path)
            pixels.append(square_of(path, size, project.settings.max_image_pixels))
            kept.append(item.id)
        except ImageError as error:
            bad.append(Unreadable(item.id, item.path, error.reason, error.mend))
        except ProjectError as error:
            bad.append(Unreadable(item.id, item.path, str(error), "Import the image again."))
    stacked = np.stack(pixels) if pixels else np.empty((0, size, size, 3), np.uint8)
    return Decoded(np.array(kept, np.int64), stacked, tuple(bad))


def _joined(parts: list[Decoded]) -> Decoded:
    return Decoded(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.pixels for part in parts]),
        tuple(bad for part in parts for bad in part.unreadable),
    )
