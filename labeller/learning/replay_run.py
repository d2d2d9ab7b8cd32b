"""One run of a replay: a strategy picks from known labels, a model is trained and measured."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from labeller.learning.calibration import fit_temperature, probabilities
from labeller.learning.features import Floats
from labeller.learning.fitting import Labelled
from labeller.learning.images import Ints
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.learning.replay_ground import Ground
from labeller.learning.selection import Known, build_pool
from labeller.learning.snapshot import Labels
from labeller.learning.training import Quiet
from labeller.progress import Progress
from labeller.services.replay_results import Run
from labeller.services.replays import Plan
from strategies.base import Needs, StrategyError
from strategies.registry import StrategyInfo

STAGE = "replay"
CONFIDENCES = Needs.PROBS | Needs.LOGITS | Needs.MC_PROBS | Needs.LABELLED_PROBS
PREDICTED = Needs.PROBS | Needs.LABELLED_PROBS
FOLDS = 3  # one of so many parts of the labels calibrates


@dataclass(slots=True)
class Steps:
    """Counts models over all runs: `done` of this one after `before`, of `total`."""

    progress: Progress
    before: int
    total: int
    message: str
    done: int = 0

    def step(self) -> None:
        """Tell that one more model was trained and measured."""
        self.done += 1
        self.progress.update(STAGE, self.before + self.done, self.total, self.message)


def replay_one(heads: Heads, strategy: StrategyInfo, plan: Plan, steps: Steps) -> Run:
    """Replay one strategy with one seed.

    Parameters
    ----------
    heads : Heads
        Of the ground and the seed; the first batch, every head and the ties depend on that seed,
        never on the strategy.
    strategy : StrategyInfo
        Of the family pool.
    plan : Plan
    steps : Steps

    Returns
    -------
    Run

    Raises
    ------
    StrategyError
        When the strategy cannot pick, or picks too few.
    """
    began = time.perf_counter()
    ground, seed = heads.ground, heads.seed
    known = first_batch(ground.pool, plan.batch, np.random.default_rng(seed))
    accuracy: list[float] = []

    def measured() -> TrainedModel:
        made = trained(heads, _rows(ground.pool, known), strategy.needs, steps.progress)
        accuracy.append(accuracy_on(made, ground.test, steps.progress))
        steps.step()
        return made

    model = measured()
    for labels in plan.points[1:]:
        rng = np.random.default_rng([seed, labels])
        known[_picked(ground, strategy, model, known, labels, rng, steps.progress)] = True
        model = measured()
    seconds = round(time.perf_counter() - began, 3)
    return Run(strategy.name, seed, plan.points, tuple(accuracy), seconds)


def first_batch(pool: Labels, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the first labels at random, of two classes at least.

    Parameters
    ----------
    pool : Labels
        Of two classes at least.
    size : int
        2 or more.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (N,)
        Which of the pool are labelled.
    """
    order = rng.permutation(len(pool))
    first, rest = order[:size], order[size:]
    if (pool.columns[first] == pool.columns[first[0]]).all():
        others = rest[pool.columns[rest] != pool.columns[first[0]]]
        first = np.append(first[:-1], others[0])
    known = np.zeros(len(pool), bool)
    known[first] = True
    return known


class Heads:
    """The heads of one seed.

    Every strategy begins with the same first batch: heads on so few labels are trained once.

    Parameters
    ----------
    ground : Ground
    seed : int
        Of every head.
    batch : int
        Size of the first batch.
    """

    def __init__(self, ground: Ground, seed: int, batch: int) -> None:
        self.ground = ground
        self.seed = seed
        self.batch = batch
        self._kept: dict[bytes, HeadPredictor] = {}

    def on(self, given: Labels, progress: Progress) -> HeadPredictor:
        """Return a head trained on labels of two classes at least."""
        key = given.ids.tobytes()
        if key in self._kept:
            return self._kept[key]
        features = torch.from_numpy(self.ground.features.read(given.ids))
        head = self.ground.fit(
            Labelled(features, torch.from_numpy(given.columns)),
            None,
            len(self.ground.class_ids),
            self.ground.scaling,
            seed=self.seed,
            device=self.ground.device,
            progress=Quiet(progress),
        )
        made = HeadPredictor(self.ground.features, head, self.ground.device)
        if len(given) <= self.batch:
            self._kept[key] = made
        return made


def trained(heads: Heads, given: Labels, needs: Needs, progress: Progress) -> TrainedModel:
    """Train a head on all labels given so far; calibrated when a strategy reads confidences.

    Parameters
    ----------
    heads : Heads
    given : Labels
        Of two classes at least.
    needs : Needs
        Of the strategy.
    progress : Progress
        Asked whether to stop.
    """
    temperature = _temperature(heads, given, progress) if needs & CONFIDENCES else 1.0
    return TrainedModel(heads.on(given, progress), heads.ground.class_ids, temperature)


def _temperature(heads: Heads, given: Labels, progress: Progress) -> float:
    """Fit a temperature on a third of the labels, with a head that was trained on the others."""
    fold = np.random.default_rng(heads.seed).permutation(len(given)) % FOLDS
    rest = _rows(given, fold != 0)
    if len(np.unique(rest.columns)) < 2:
        return 1.0
    outside = _rows(given, (fold == 0) & np.isin(given.columns, rest.columns))
    model = TrainedModel(heads.on(rest, progress), heads.ground.class_ids, 1.0)
    _, logits = model.logits(outside.ids, progress)
    return fit_temperature(logits, outside.columns)


def accuracy_on(model: TrainedModel, test: Labels, progress: Progress) -> float:
    """Return the share of the held-out images that a model gets right.

    Parameters
    ----------
    model : TrainedModel
    test : Labels
        Of images that no strategy could pick.
    progress : Progress
        Asked whether to stop.
    """
    ids, logits = model.logits(test.ids, progress)
    return float((logits.argmax(axis=1) == test.among(ids).columns).mean())


def _picked(
    ground: Ground,
    strategy: StrategyInfo,
    model: TrainedModel,
    known: NDArray[np.bool_],
    labels: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Ints:
    """Return the rows of the pool that a strategy picks to reach so many labels."""
    ids, wanted = ground.pool.ids, labels - int(known.sum())
    free, given = ids[~known], _rows(ground.pool, known)
    rows = _probs(model, ids, progress) if strategy.needs & PREDICTED else None
    classes = len(ground.class_ids)
    state = Known(ground.features, ground.scaling, given, model, rows, classes)
    pool = build_pool(strategy.needs, free, ids[:0], state, rng, progress)
    picked = strategy(pool, wanted, rng)
    if len(picked) != wanted:
        raise StrategyError(f"{strategy.name} picked {len(picked)} of {len(free)}, not {wanted}.")
    return np.searchsorted(ids, picked.ids)


@dataclass(frozen=True, slots=True)
class _Probs:
    """Probabilities of some items in memory; `ids` rise."""

    ids: Ints
    rows: Floats

    def has(self, ids: Ints) -> NDArray[np.bool_]:
        """Return which of the items have a row."""
        return np.isin(ids, self.ids)

    def read(self, ids: Ints) -> Floats:
        """Return the rows of the items."""
        return self.rows[np.searchsorted(self.ids, ids)]


def _probs(model: TrainedModel, ids: Ints, progress: Progress) -> _Probs:
    """Predict the pool."""
    readable, logits = model.logits(ids, progress)
    return _Probs(readable, probabilities(logits, model.temperature))


def _rows(labels: Labels, chosen: NDArray[np.bool_]) -> Labels:
    return Labels(labels.ids[chosen], labels.columns[chosen])
