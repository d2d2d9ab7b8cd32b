"""Rounds as the pages and commands start them; the work is done in a job process.

No torch here: a queue without a model is made at once, everything else is left to the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeller import jobs
from labeller.errors import RoundError
from labeller.project import Project
from labeller.services.asking_once import Lots, ask_once, asked_about, draw_from, read_lots
from store.records import JobRecord, NewQueueEntry
from store.store import Unit
from strategies import registry
from strategies.base import StrategyError
from strategies.pool import auto
from strategies.registry import StrategyInfo

Ints = NDArray[np.int64]

KIND = "round"
AUDIT = "audit"
AUTO = "auto"
MIXTURE = "mixture"
MARGIN = "margin"  # what auto ends with
RANDOM = "random"
COLD_START = "max_herding"  # what picks without a model, in place of a strategy that needs one
MOST_BATCH = 100_000


def start_round(
    project: Project, strategy: str | None = None, batch: int | None = None
) -> JobRecord:
    """Start the job that trains, evaluates, predicts and replaces the queue.

    Parameters
    ----------
    project : Project
    strategy : str, optional
        How to pick the next items: a name, or a mixture such as ``margin=70+random=30``; the
        project's setting when not given.
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
    info = chosen(project, name)
    if not 1 <= size <= MOST_BATCH:
        raise RoundError(f"A batch of {size} cannot be. Ask for 1 to {MOST_BATCH:,} items.")
    with project.store.read() as unit:
        if not unit.items.count().items:
            raise RoundError("There are no images yet. Import some, then start a round.")
    return jobs.submit(project, KIND, {"strategy": info.name, "batch": size})


def chosen(project: Project, name: str) -> StrategyInfo:
    """Return the strategy that a name stands for in this project.

    Parameters
    ----------
    project : Project
        Its setting ``mixture`` says what the strategy of that name is made of.
    name : str
        Of a pool strategy, or a mixture such as ``margin=70+random=30``.

    Raises
    ------
    RoundError
        When there is no such strategy, or the mixture is none.
    """
    try:
        return registry.get_pool(project.settings.mixture if name == MIXTURE else name)
    except registry.UnknownStrategy as error:
        known = ", ".join(registry.names("pool"))
        raise RoundError(f"{error.name!r} is no strategy. Choose one of: {known}.") from error
    except StrategyError as error:
        raise RoundError(str(error)) from error


def offered(project: Project) -> list[str]:
    """Return the strategies to choose from, the project's own mixture as it is written."""
    names = [*registry.names("pool")]
    for name in (MIXTURE, project.settings.strategy):
        try:
            written = chosen(project, name).name
        except RoundError:  # the settings page says what is wrong with it
            continue
        if written not in names:
            names.insert(names.index(MIXTURE), written)
    return [name for name in names if name != MIXTURE]


@dataclass(frozen=True, slots=True)
class AutoChoice:
    """What ``auto`` picks by now: `name`, with so many `labels`; margin from `switch` on."""

    name: str
    labels: int
    switch: int

    @property
    def reason(self) -> str:
        """Say why, as part of a sentence."""
        told = f"{self.labels:,} label{'' if self.labels == 1 else 's'}"
        return f"{told}, {MARGIN} from {self.switch:,}"


def auto_choice(labels: int, classes: int, has_model: bool = True) -> AutoChoice:
    """Say what ``auto`` picks by with so many labels outside the audit set.

    Parameters
    ----------
    labels, classes : int
        How many there are.
    has_model : bool
        Whether the round has a model; without one it covers the pool.
    """
    name = auto.choice(labels if has_model else 0, classes)
    return AutoChoice(name, labels, auto.MANY * classes)


def trainable(unit: Unit) -> bool:
    """Whether a round now would have a model: two classes have a training label.

    Images that cannot be read any more are found by the round itself.
    """
    labelled = unit.labels.counts_by_class("train")
    return sum(one.id in labelled for one in unit.classes.all()) > 1


def first_queue(project: Project) -> int:
    """Fill an empty queue at random, without a model, so that labelling can begin at once.

    Of images that look alike one is asked about while others are left.

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
        free = np.setdiff1d(free, unit.generated_labels.ids(), assume_unique=True)
        audit = unit.items.ids(state="unlabelled", split="audit")
        lots = read_lots(unit) if settings.distinct_distance else Lots()
        asked = asked_about(unit, lots)
    free, again = ask_once(free, lots, asked)
    with project.store.write() as unit:
        counts = unit.queue.counts()
        if counts.waiting or counts.leased or not len(free) + len(again) + len(audit):
            return 0
        items, spent = unit.items.count(), unit.budget.get().spent
        record = unit.rounds.start(RANDOM, settings.batch, None, items.labelled, spent)
        rng = np.random.default_rng([settings.seed, record.number])
        others = len(free) + len(again)
        quota = audit_quota(settings.batch, settings.audit_share, len(audit), others, rng)
        picked = rng.choice(free, min(len(free), settings.batch - quota), replace=False)
        rest = min(len(again), settings.batch - quota - len(picked))
        picked = np.concatenate([picked, rng.choice(again, rest, replace=False)])
        entries = [NewQueueEntry(int(i), RANDOM, None) for i in picked]
        audit = draw_from(audit, quota, lots, asked, rng)
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
