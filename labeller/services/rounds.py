"""Rounds as the pages and commands start them; the work is done in a job process.

No torch here: a queue without a model is made at once, everything else is left to the job.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labeller import jobs
from labeller.errors import RoundError
from labeller.project import Project
from store.records import JobRecord, NewQueueEntry
from strategies import registry

Ints = NDArray[np.int64]

KIND = "round"
AUDIT = "audit"
RANDOM = "random"
MOST_BATCH = 100_000


def start_round(
    project: Project, strategy: str | None = None, batch: int | None = None
) -> JobRecord:
    """Start the job that trains, evaluates, predicts and replaces the queue.

    Parameters
    ----------
    project : Project
    strategy : str, optional
        How to pick the next items; the project's setting when not given.
    batch : int, optional
        How many to pick, audit items included; the project's setting when not given.

    Returns
    -------
    JobRecord
        The job, of kind ``round``.

    Raises
    ------
    RoundError
        When there is no image, the strategy is unknown, or the batch is out of range.
    JobError
        When a round is on already.
    """
    name = project.settings.strategy if strategy is None else strategy
    size = project.settings.batch if batch is None else batch
    known = registry.names("pool")
    if name not in known:
        raise RoundError(f"{name!r} is no strategy. Choose one of: {', '.join(known)}.")
    if not 1 <= size <= MOST_BATCH:
        raise RoundError(f"A batch of {size} cannot be. Ask for 1 to {MOST_BATCH:,} items.")
    with project.store.read() as unit:
        if not unit.items.count().items:
            raise RoundError("There are no images yet. Import some, then start a round.")
    return jobs.submit(project, KIND, {"strategy": name, "batch": size})


def first_queue(project: Project) -> int:
    """Fill an empty queue at random, without a model, so that labelling can begin at once.

    Parameters
    ----------
    project : Project

    Returns
    -------
    int
        How many items were queued; 0 when some wait already, or none is unlabelled.
    """
    settings = project.settings
    with project.store.read() as unit:  # ids of a million items are no work for a write
        free = unit.items.ids(state="unlabelled", split=("train", "valid"))
        audit = unit.items.ids(state="unlabelled", split="audit")
    with project.store.write() as unit:
        counts = unit.queue.counts()
        if counts.waiting or counts.leased or not len(free) + len(audit):
            return 0
        items, spent = unit.items.count(), unit.budget.get().spent
        record = unit.rounds.start(RANDOM, settings.batch, None, items.labelled, spent)
        rng = np.random.default_rng([settings.seed, record.number])
        quota = audit_quota(settings.batch, settings.audit_share, len(audit), len(free), rng)
        picked = rng.choice(free, min(len(free), settings.batch - quota), replace=False)
        entries = [NewQueueEntry(int(i), RANDOM, None) for i in picked]
        queued = unit.queue.replace(mix_audit(entries, audit, quota, rng), record.id)
        unit.rounds.finish(record.id, "done", queued=queued)
        return queued


def audit_quota(
    batch: int, share: float, audit_left: int, others_left: int, rng: np.random.Generator
) -> int:
    """Return how many of a batch come from the audit set.

    Parameters
    ----------
    batch : int
        Size of the whole batch.
    share : float
        Wanted share; what does not come out even is drawn, so that small batches keep it too.
    audit_left, others_left : int
        Unlabelled items of the audit set, and all others.
    rng : numpy.random.Generator

    Returns
    -------
    int
        More than the share only when there are too few others to fill the batch.
    """
    exact = batch * share
    wanted = int(exact) + int(rng.random() < exact - int(exact))
    return min(audit_left, max(wanted, batch - others_left))


def mix_audit(
    picked: Sequence[NewQueueEntry], audit_ids: Ints, quota: int, rng: np.random.Generator
) -> list[NewQueueEntry]:
    """Draw audit items and put them at random places among the picks, whose order stays.

    Parameters
    ----------
    picked : sequence of NewQueueEntry
        The strategy's picks, most wanted first.
    audit_ids : array of int, shape (A,)
        Unlabelled items of the audit set.
    quota : int
        How many to draw, at most A.
    rng : numpy.random.Generator

    Returns
    -------
    list of NewQueueEntry
        Picks and audit items; the latter are blind.
    """
    drawn = rng.choice(audit_ids, quota, replace=False)
    total = len(picked) + quota
    places = set(rng.choice(total, quota, replace=False).tolist())
    sealed = (NewQueueEntry(int(i), AUDIT, None, blind=True) for i in drawn)
    others = iter(picked)
    return [next(sealed) if place in places else next(others) for place in range(total)]


def behind(project: Project) -> int:
    """Return how many labels were given since the model in use took its labels; 0 without one."""
    with project.store.read() as unit:
        model = unit.models.in_use()
        if model is None:
            return 0
        since = float(model.config.get("labels_at", model.created_at))
        return unit.labels.events_count(since=since)
