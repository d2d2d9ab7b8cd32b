"""Near-duplicates that were cropped or turned a little: a loose look finds them, a fit decides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from labeller.errors import ImageError, ProjectError
from labeller.imaging import open_rgb
from labeller.perceptual_hash import BITS
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import thumbnails
from labeller.services.alignment import ALIKE, Floats, agreement, grey_square
from labeller.services.near_duplicates import Ints, Words
from store.records_leaks import LinkRecord
from store.store import Unit

KEY = "close_looks"
LOOSE = 14  # of the 64 bits of the lowest frequencies
NEAREST = 2  # images that each is fitted on
HELD = 8_192  # pictures of 48 × 48 kept in memory
TICK = 64


def find_close_looks(project: Project, stage: str, progress: Progress) -> list[LinkRecord]:
    """Return the pairs of items that show the same picture, cropped or turned a little.

    Each item that is new since :func:`note_compared` is compared with all older ones. Those whose
    coarse looks differ little are laid on each other. What looks the same as an older one anyhow
    is linked to it already.

    Parameters
    ----------
    project : Project
    stage : str
        What progress is told.
    progress : Progress
        Its ``check`` may stop.
    """
    with project.store.read() as unit:
        ids, words = unit.leaks.hashes()
        kept = unit.settings.get(KEY)
    start = int(np.searchsorted(ids, int(kept["item"]) if kept else 0, side="right"))

    @lru_cache(maxsize=HELD)
    def picture(item_id: int) -> Floats | None:
        return _grey(project, item_id)

    links: list[LinkRecord] = []
    for row, (others, bits) in enumerate(loosely_alike(words, start), start):
        if (row - start) % TICK == 0:
            progress.update(stage, row - start, len(ids) - start, "Fitting images on each other")
            progress.check()
        item = int(ids[row])
        for other, far in zip(ids[others].tolist(), bits.tolist(), strict=True):
            one, two = picture(other), picture(item)
            if one is not None and two is not None and agreement(one, two) >= ALIKE:
                links.append(LinkRecord(item, other, "hash", float(far)))
    return links


def note_compared(unit: Unit, item_id: int) -> None:
    """Keep how far items have been compared."""
    unit.settings.set(KEY, {"item": item_id})


def coarse_looks(words: Words) -> NDArray[np.uint64]:
    """Return of hashes (n, 4) the bits (n,) of the lowest eight frequencies each way."""
    rows = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), 16, 2)
    return np.ascontiguousarray(rows[:, :8, 0]).view(np.uint64)[:, 0]


def loosely_alike(words: Words, start: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield for each hash (n, 4) from the row `start` on the few before it to fit it on.

    Yields
    ------
    rows, bits : array of int
        Closest first, with how many of the 256 bits differ; none where one is so close that it is
        linked already.
    """
    coarse = coarse_looks(words)
    for row in range(start, len(words)):
        near = np.flatnonzero(np.bitwise_count(coarse[:row] ^ coarse[row]) <= LOOSE)
        bits = np.bitwise_count(words[near] ^ words[row]).sum(axis=1, dtype=np.int64)
        if len(bits) and bits.min() <= BITS:
            near, bits = near[:0], bits[:0]
        order = np.argsort(bits, kind="stable")[:NEAREST]
        yield near[order], bits[order]


def _grey(project: Project, item_id: int) -> Floats | None:
    """Return an item's picture, None where it cannot be read."""
    with project.store.read() as unit:
        item = unit.items.get(item_id)
    try:
        if item is None:
            return None
        path, _ = thumbnails.thumbnail(project, item, "thumb")
        settings = project.settings
        return grey_square(open_rgb(path, settings.max_image_pixels, settings.thumbnail_pixels))
    except (ImageError, ProjectError, OSError):
        return None
