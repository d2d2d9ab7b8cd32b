"""Pick the next queue: give a strategy the arrays it needs, mix in the audit items, suggest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labeller.config import Settings
from labeller.learning.features import Features, Floats, Scaling
from labeller.learning.images import Ints
from labeller.learning.kept_distances import KeptDistances
from labeller.learning.picker import K_CENTER, most
from labeller.learning.predictors import TrainedModel
from labeller.learning.snapshot import Labels
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.asking_once import Lots, ask_once, asked_about, draw_from, nothing, read_lots
from labeller.services.rounds import audit_quota, mix_audit
from store.records import NewQueueEntry
from store.store import Unit
from strategies.base import Needs, Pool, Selection
from strategies.distinct import distinct, distinct_by
from strategies.registry import PoolStrategy, StrategyInfo

SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items (n,) that may be asked for now, and those somebody is labelling at this moment.

    `again` are those that look like one asked about, or like one of `free`: they come last. So do
    the audit items that look like others, by their `lots` and what was `asked` of them.
    """

    free: Ints
    audit: Ints
    pending: Ints
    again: Ints = field(default_factory=nothing)
    lots: Lots = field(default_factory=Lots)
    asked: Ints = field(default_factory=nothing)


class Rows(Protocol):
    """Probabilities by item: a file of all items, or some of them in memory."""

    def has(self, ids: Ints, /) -> NDArray[np.bool_]:
        """Return which of the items (n,) have a row."""

    def read(self, ids: Ints, /) -> Floats:
        """Return the rows (n, C)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the pool: features always, a model and its predictions maybe.

    `labelled` are the labels of training and validation, never those of the audit set; `classes`
    is the number of classes, whether or not one has labels.
    """

    features: Features
    scaling: Scaling
    labelled: Labels
    model: TrainedModel | None = None
    predictions: Rows | None = None
    classes: int = 0

    def embeddings(self, ids: Ints) -> Floats:
        """Return vectors (n, e) of length one."""
        return self.features.embeddings(ids, self.scaling)


def candidates(project: Project, known: Known) -> Candidates:
    """Read what is unlabelled now, without a generated label; unreadable items are left out.

    Parameters
    ----------
    project : Project
    known : Known
        Items without features, or without a prediction when there is a model, count as unreadable.
    """
    with project.store.read() as unit:
        free = unit.items.ids(state="unlabelled", split=("train", "valid"))
        free = np.setdiff1d(free, unit.generated_labels.ids(), assume_unique=True)
        audit = unit.items.ids(state="unlabelled", split="audit")
        held = _held(unit)
        lots = read_lots(unit) if project.settings.distinct_distance else Lots()
        asked = np.union1d(asked_about(unit, lots), held)
    parts = (np.setdiff1d(free, held), np.setdiff1d(audit, held), np.intersect1d(free, held))
    free, audit, pending = (readable(part, known.features, known.predictions) for part in parts)
    free, again = ask_once(free, lots, asked)
    return Candidates(free, audit, pending, again, lots, asked)


def readable(ids: Ints, features: Features, predictions: Rows | None) -> Ints:
    """Return those of the items (n,) that have features and, where others do, a prediction."""
    featured = features.having(ids)
    return featured if predictions is None else featured[predictions.has(featured)]


def _held(unit: Unit) -> Ints:
    """Return the items that somebody is labelling now, from this queue or the one before."""
    now = time.time()
    unlabelled = unit.items.ids(state="unlabelled")
    queued = np.setdiff1d(unlabelled, unit.items.ids(state="unlabelled", exclude_queue=True))
    present = {e.item_id: e for e in unit.queue.entries(unit.queue.counts().total)}
    places = [present.get(i) or unit.queue.entry_for(i) for i in queued.tolist()]
    return np.array(
        [e.item_id for e in places if e is not None and (e.leased_until or 0) > now], np.int64
    )


def thinned(strategy: StrategyInfo, found: Candidates, known: Known) -> int:
    """Return to how many candidates the pool is cut for memory and time; 0 when to none."""
    model = known.model
    limit = most(
        strategy,
        known.features.embedding_width,
        known.classes if model is None else len(model.class_ids),
        SAMPLES if model is None else model.opinions(SAMPLES),
    )
    return int(limit) if len(found.free) > limit else 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the next queue is to be.

    Parameters
    ----------
    strategy : StrategyInfo
        One whose needs can be met.
    batch : int
        Size of the queue, audit items included.
    share : float
        Of the audit items.
    distance : float
        No two picks are closer than this while others are left; 0 for any.
    folder : Path, optional
        Where distances are kept from round to round.
    """

    strategy: StrategyInfo
    batch: int
    share: float
    distance: float = 0.0
    folder: Path | None = None

    @classmethod
    def of(cls, settings: Settings, strategy: StrategyInfo, batch: int, folder: Path) -> Wish:
        """Return the wish for a batch by a project's settings."""
        return cls(strategy, batch, settings.audit_share, settings.distinct_distance, folder)


def choose(
    wish: Wish, found: Candidates, known: Known, rng: np.random.Generator, progress: Progress
) -> list[NewQueueEntry]:
    """Return the next queue, most wanted first, audit items in between.

    Parameters
    ----------
    wish : Wish
    found : Candidates
    known : Known
    rng : numpy.random.Generator
    progress : Progress

    Returns
    -------
    list of NewQueueEntry
        At most as many as wished for; fewer when no more are left.

    Raises
    ------
    StrategyError
        When the strategy cannot pick.
    """
    others = len(found.free) + len(found.again)
    quota = audit_quota(wish.batch, wish.share, len(found.audit), others, rng)
    entries: list[NewQueueEntry] = []
    for free in (found.free, found.again):
        left = wish.batch - quota - len(entries)
        if left and len(free):
            picked = _asked_for(wish, replace(found, free=free), left, known, rng, progress)
            entries += _entries(wish.strategy.name, picked, known)
    audit = draw_from(found.audit, quota, found.lots, found.asked, rng)
    return mix_audit(entries, audit, quota, rng)


def _asked_for(
    wish: Wish,
    found: Candidates,
    k: int,
    known: Known,
    rng: np.random.Generator,
    progress: Progress,
) -> Selection:
    """Have the strategy pick from what is free."""
    free = found.free
    if limit := thinned(wish.strategy, found, known):
        free = np.sort(rng.choice(free, limit, replace=False))
    pool = build_pool(wish.strategy.needs, free, found.pending, known, rng, progress)
    progress.check()
    return _picked(wish, pool, k, found.pending, known, rng)


def _picked(
    wish: Wish, pool: Pool, k: int, pending: Ints, known: Known, rng: np.random.Generator
) -> Selection:
    """Pick, passing over near-duplicates when it is wished for."""
    pick: PoolStrategy = wish.strategy
    if wish.strategy.name == K_CENTER and wish.folder is not None:
        pick = KeptDistances(wish.folder, known.features, known.scaling).pick
    if not wish.distance:
        return pick(pool, k, rng)
    if pool.embeddings is not None:
        return distinct(pick, pool, k, rng, distance=wish.distance)
    asked = known.embeddings(pending)
    return distinct_by(
        pick, pool, k, rng, distance=wish.distance, embed=known.embeddings, asked=asked
    )


def build_pool(
    needs: Needs,
    ids: Ints,
    pending: Ints,
    known: Known,
    rng: np.random.Generator,
    progress: Progress,
) -> Pool:
    """Return a pool with the arrays that a strategy needs, and no others.

    Parameters
    ----------
    needs : Needs
    ids, pending : array of int, shape (N,), (Q,)
        Items that may be picked, and items that somebody is labelling. Those whose image the model
        is asked about again and cannot be read any more are left out of the pool.
    known : Known
    rng : numpy.random.Generator
        Seeds the dropout passes.
    progress : Progress
    """
    ids, asked = _asked(needs, ids, known, rng, progress)
    arrays: dict[str, Any] = {"class_count": known.classes, **asked}
    labelled = known.labelled
    if Needs.EMBEDDINGS in needs:
        arrays["embeddings"] = known.embeddings(ids)
        arrays["pending_embeddings"] = known.embeddings(pending)
    if Needs.LABELLED in needs:
        arrays["labelled_embeddings"] = known.embeddings(labelled.ids)
        arrays["labelled_classes"] = labelled.columns
        arrays["labelled_ids"] = labelled.ids
    if known.predictions is not None:
        if Needs.PROBS in needs:
            arrays["probs"] = known.predictions.read(ids)
        if Needs.LABELLED_PROBS in needs:
            arrays["labelled_probs"] = known.predictions.read(labelled.ids)
    return Pool(ids, **arrays)


def _asked(
    needs: Needs, ids: Ints, known: Known, rng: np.random.Generator, progress: Progress
) -> tuple[Ints, dict[str, Any]]:
    """Ask the model what its predictions do not say, and return of which items (n,) it says it."""
    arrays: dict[str, Any] = {}
    if known.model is None:
        return ids, arrays
    if Needs.LOGITS in needs:
        ids, logits = known.model.logits(ids, progress)
        arrays["logits"] = logits / known.model.temperature
    if Needs.MC_PROBS in needs:
        seed, before = int(rng.integers(2**31)), ids
        ids, arrays["mc_probs"] = known.model.mc_probs(before, SAMPLES, seed, progress)
        if "logits" in arrays:
            arrays["logits"] = arrays["logits"][np.isin(before, ids)]
    return ids, arrays


def _entries(strategy: str, picked: Selection, known: Known) -> list[NewQueueEntry]:
    """Return the picks with what the model suggests for them."""
    suggested = _suggestions(picked.ids, known)
    names: Sequence[str] = picked.parts or (strategy,) * len(picked)
    return [
        NewQueueEntry(
            item_id=int(item),
            strategy=name,
            score=float(score),
            suggestion_class_id=suggestion[0] if suggestion else None,
            suggestion_confidence=suggestion[1] if suggestion else None,
        )
        for item, name, score, suggestion in zip(
            picked.ids, names, picked.scores, suggested, strict=True
        )
    ]


def _suggestions(ids: Ints, known: Known) -> Sequence[tuple[int, float] | None]:
    """Return class and confidence for each item, None without a model."""
    if known.predictions is None or known.model is None:
        return [None] * len(ids)
    probs: Floats = known.predictions.read(ids)
    best = probs.argmax(axis=1)
    return [
        (known.model.class_ids[column], float(row[column]))
        for column, row in zip(best, probs, strict=True)
    ]
