"""Perceptual hashes of images that were imported before there were any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from labeller.errors import ImageError, ProjectError
from labeller.imaging import open_rgb
from labeller.perceptual_hash import perceptual_hash
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import thumbnails
from labeller.services.import_twins import LINKS, Match, as_words, look_alikes
from store.records import ItemRecord
from store.records_leaks import LinkRecord

BATCH = 256


def take_down(project: Project, stage: str, progress: Progress) -> int:
    """Compute what is missing, and link what looks alike, for the leak guard to join.

    Parameters
    ----------
    project : Project
    stage : str
        What progress is told.
    progress : Progress
        Its ``check`` may stop, which keeps what is done.

    Returns
    -------
    int
        How many images were looked at; those that cannot be read are tried again the next time.
    """
    with project.store.read() as unit:
        missing = unit.leaks.unhashed().tolist()
        ids, words = unit.leaks.hashes()
    done = 0
    workers = project.settings.workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers, "looks") as pool:
        for start in range(0, len(missing), BATCH):
            progress.check()
            with project.store.read() as unit:
                items = list(unit.items.many(missing[start : start + BATCH]).values())
            taken = pool.map(partial(_look, project), items)
            looks = [
                (item, found[0])
                for item, found in zip(items, taken, strict=True)
                if found is not None
            ]
            hashed = [(item.id, bits) for item, bits in looks if bits is not None]
            ids = np.concatenate([ids, np.array([item for item, _ in hashed], np.int64)])
            words = np.concatenate([words, as_words([bits for _, bits in hashed])])
            matches = look_alikes([bits for _, bits in hashed], ids, words, LINKS + 1)
            with project.store.write() as unit:
                unit.leaks.add_hashes([(item.id, bits) for item, bits in looks])
                unit.leaks.link(_links([item for item, _ in hashed], matches), checked=False)
            done += len(looks)
            progress.update(stage, done, len(missing), "Taking down what images look like")
    return done


def _look(project: Project, item: ItemRecord) -> tuple[bytes | None] | None:
    """Return the hash of an image, None in its place where it has none; None if unreadable."""
    try:
        path, _ = thumbnails.thumbnail(project, item, "thumb")
        side = project.settings.thumbnail_pixels
        return (perceptual_hash(open_rgb(path, project.settings.max_image_pixels, side)),)
    except (ImageError, ProjectError, OSError):
        return None


def _links(items: Sequence[int], matches: Sequence[Sequence[Match]]) -> list[LinkRecord]:
    return [
        LinkRecord(max(item, one.other), min(item, one.other), one.method, one.bits)
        for item, found in zip(items, matches, strict=True)
        for one in [one for one in found if one.other != item][:LINKS]
    ]
