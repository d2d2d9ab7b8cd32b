"""Find near-duplicates by embeddings and by a fit, and let the leak guard regroup them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labeller.learning.features import Features, Floats, Scaling
from labeller.learning.images import Ints
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import close_looks, leak_guard, old_looks
from labeller.services.leak_guard import Checked
from labeller.services.near_duplicates import close_pairs
from store.records_leaks import LinkRecord, RegroupingRecord

STAGE = "guard"


def guard(
    project: Project,
    features: Features,
    scaling: Scaling,
    ids: Ints,
    job_id: int,
    progress: Progress,
) -> RegroupingRecord | None:
    """Compare new items with all, and bring near-duplicates into one split.

    Items that were compared once are compared with each other again only when the distance was
    raised since: what moved once stays where it is, whatever backbone comes.

    Parameters
    ----------
    project : Project
    features : Features
    scaling : Scaling
        Of the pool.
    ids : array of int, shape (N,)
        All items; those without features are compared when they have some.
    job_id : int
    progress : Progress

    Returns
    -------
    RegroupingRecord or None
        None when nothing had to change.
    """
    distance = project.settings.leak_distance
    old_looks.take_down(project, STAGE, progress)
    with project.store.read() as unit:
        known = leak_guard.checked(unit)
    readable = features.having(ids)
    new = np.ones(len(readable), bool)
    if known is not None and known.distance >= distance:
        new = (readable > known.item) | np.isin(readable, known.left)
    links: list[LinkRecord] = []
    if new.any():
        links = _links(features, scaling, readable, distance, new, progress)
    links += close_looks.find_close_looks(project, STAGE, progress)
    run = leak_guard.regroup(project, links, job_id)
    with project.store.write() as unit:
        close_looks.note_compared(unit, int(ids[-1]) if len(ids) else 0)
        if new.any():
            left = tuple(np.setdiff1d(ids, readable).tolist())
            leak_guard.note_checked(unit, Checked(int(ids[-1]), distance, left))
    return run


def _links(
    features: Features,
    scaling: Scaling,
    ids: Ints,
    distance: float,
    new: NDArray[np.bool_],
    progress: Progress,
) -> list[LinkRecord]:
    """Return the pairs of items whose embeddings are close."""

    def read(rows: Ints) -> Floats:
        return features.embeddings(ids[rows], scaling)

    def tick(share: float) -> None:
        progress.update(STAGE, round(share * 100), 100, "Comparing images")
        progress.check()

    pairs = close_pairs(read, len(ids), distance, new, tick)
    items, others = ids[pairs.first].tolist(), ids[pairs.second].tolist()
    return [
        LinkRecord(item, other, "embedding", far)
        for item, other, far in zip(items, others, pairs.distance.tolist(), strict=True)
    ]
