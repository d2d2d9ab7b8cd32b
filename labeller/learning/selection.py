"""Pick the next queue: give a strategy the arrays it needs, mix in the audit items, suggest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labeller.learning.features import Features, Floats, Scaling
from labeller.learning.images import Ints
from labeller.learning.predictors import TrainedModel
from labeller.learning.snapshot import Labels
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.rounds import audit_quota, mix_audit
from store.records import NewQueueEntry
from store.store import Unit
from strategies.base import Needs, Pool, Selection
from strategies.registry import StrategyInfo

COLD_START = "typiclust"
WITHOUT_MODEL = Needs.EMBEDDINGS | Needs.LABELLED
HEAVY = Needs.EMBEDDINGS | Needs.MC_PROBS
HEAVY_ITEMS = 50_000  # strategies with more per item than probabilities see so many, drawn evenly
SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items (n,) that may be asked for now, and those somebody is labelling at this moment."""

    free: Ints
    audit: Ints
    pending: Ints


class Rows(Protocol):
    """Probabilities by item: a file of all items, or some of them in memory."""

    def has(self, ids: Ints, /) -> NDArray[np.bool_]:
        """Return which of the items (n,) have a row."""

    def read(self, ids: Ints, /) -> Floats:
        """Return the rows (n, C)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the pool: features always, a model and its predictions maybe.

    `labelled` are the labels of training and validation, never those of the audit set.
    """

    features: Features
    scaling: Scaling
    labelled: Labels
    model: TrainedModel | None = None
    predictions: Rows | None = None


def candidates(project: Project, known: Known) -> Candidates:
    """Read what is unlabelled now; items that cannot be read are left out.

    Parameters
    ----------
    project : Project
    known : Known
        Items without features, or without a prediction when there is a model, count as unreadable.
    """
    readable: Rows = known.predictions or known.features.file
    with project.store.read() as unit:
        free = unit.items.ids(state="unlabelled", split=("train", "valid"))
        audit = unit.items.ids(state="unlabelled", split="audit")
        held = _held(unit)
    parts = (np.setdiff1d(free, held), np.setdiff1d(audit, held), np.intersect1d(free, held))
    return Candidates(*(part[readable.has(part)] for part in parts))


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


def effective(strategy: StrategyInfo, cold_start: StrategyInfo, has_model: bool) -> StrategyInfo:
    """Return the strategy that can pick: without a model one that needs none."""
    return strategy if has_model or not strategy.needs & ~WITHOUT_MODEL else cold_start


def thinned(strategy: StrategyInfo, found: Candidates) -> bool:
    """Whether a strategy is shown only some of the candidates, for the sake of memory and time."""
    return bool(strategy.needs & HEAVY) and len(found.free) > HEAVY_ITEMS


def choose(
    strategy: StrategyInfo,
    batch: int,
    share: float,
    found: Candidates,
    known: Known,
    rng: np.random.Generator,
    progress: Progress,
) -> list[NewQueueEntry]:
    """Return the next queue, most wanted first, audit items in between.

    Parameters
    ----------
    strategy : StrategyInfo
        One whose needs `known` can meet.
    batch : int
        Size of the queue, audit items included.
    share : float
        Of the audit items.
    found : Candidates
    known : Known
    rng : numpy.random.Generator
    progress : Progress

    Returns
    -------
    list of NewQueueEntry
        At most `batch`; fewer when no more are left.

    Raises
    ------
    StrategyError
        When the strategy cannot pick.
    """
    quota = audit_quota(batch, share, len(found.audit), len(found.free), rng)
    free = found.free
    if thinned(strategy, found):
        free = np.sort(rng.choice(free, HEAVY_ITEMS, replace=False))
    pool = build_pool(strategy.needs, free, found.pending, known, rng, progress)
    progress.check()
    picked = strategy(pool, batch - quota, rng)
    return mix_audit(_entries(strategy.name, picked, known), found.audit, quota, rng)


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
        Items that may be picked, and items that somebody is labelling.
    known : Known
    rng : numpy.random.Generator
        Seeds the dropout passes.
    progress : Progress
    """
    arrays: dict[str, Any] = {}
    labelled = known.labelled
    if Needs.EMBEDDINGS in needs:
        arrays["embeddings"] = known.features.embeddings(ids, known.scaling)
        arrays["pending_embeddings"] = known.features.embeddings(pending, known.scaling)
    if Needs.LABELLED in needs:
        arrays["labelled_embeddings"] = known.features.embeddings(labelled.ids, known.scaling)
        arrays["labelled_classes"] = labelled.columns
        arrays["labelled_ids"] = labelled.ids
    if known.predictions is not None:
        if Needs.PROBS in needs:
            arrays["probs"] = known.predictions.read(ids)
        if Needs.LABELLED_PROBS in needs:
            arrays["labelled_probs"] = known.predictions.read(labelled.ids)
    if known.model is not None:
        if Needs.LOGITS in needs:
            arrays["logits"] = known.model.logits(ids, progress)[1] / known.model.temperature
        if Needs.MC_PROBS in needs:
            seed = int(rng.integers(2**31))
            arrays["mc_probs"] = known.model.mc_probs(ids, SAMPLES, seed, progress)
    return Pool(ids, **arrays)


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
