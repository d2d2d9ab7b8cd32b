"""Replay: label what a strategy picks from known labels, train, measure, again. Runs as a job."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labeller.learning import replay_ground, replay_picture
from labeller.learning.calibration import fit_temperature, probabilities
from labeller.learning.features import Floats
from labeller.learning.fitting import Labelled
from labeller.learning.heads import Head, fit_head
from labeller.learning.images import Ints
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.learning.replay_ground import Ground
from labeller.learning.selection import Known, build_pool
from labeller.learning.snapshot import Labels, take
from labeller.learning.training import Quiet
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import replay_files, replays
from labeller.services.replay_results import Run, caveats, compared
from labeller.services.replays import Plan
from store.records import JobRecord
from strategies import registry
from strategies.base import Needs, StrategyError
from strategies.registry import StrategyInfo

STAGE = "replay"
CONFIDENCES = Needs.PROBS | Needs.LOGITS | Needs.MC_PROBS | Needs.LABELLED_PROBS
PREDICTED = Needs.PROBS | Needs.LABELLED_PROBS
FOLDS = 3  # one of so many parts of the labels calibrates


def run_replay_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Replay every strategy with every seed, and write curves, tables and a picture.

    A finished run is kept at once: a replay that is stopped goes on after the last of them.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its params are those of a plan and ``out``, the folder of the replay.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``out``, ``best`` strategy, ``runs``, and ``step_seconds`` per model trained.

    Raises
    ------
    LabellerError
        With what went wrong and its mend.
    """
    began = time.time()
    plan, out = replays.plan_of(job.params), Path(job.params["out"])
    snapshot = take(project)
    ground = replay_ground.prepare(project, snapshot, plan, progress)
    runs = replay(ground, plan, out, progress)
    origins = replay_ground.origins(project, ground.pool)
    told = caveats(origins, len(ground.pool), len(ground.test), ground.drawn, plan.seeds)
    result: dict[str, Any] = {
        "strategies": compared(runs),
        **replays.written(plan),
        "source": project.name,
        "pool": len(ground.pool),
        "test": len(ground.test),
        "classes": len(ground.class_ids),
        "origins": origins,
        "bias": told,
        "notes": list(ground.notes),
        "device": ground.device.text,
        "seconds": round(sum(run.seconds for run in runs), 3),
        "finished_at": time.time(),
        "took": round(time.time() - began, 3),
    }
    replay_picture.draw(out / replay_files.PICTURE, result)
    replay_files.write_result(out, runs, result)
    return {
        "out": str(out),
        "best": result["strategies"][0]["strategy"],
        "runs": len(runs),
        "step_seconds": result["seconds"] / plan.steps,
    }


def replay(ground: Ground, plan: Plan, out: Path, progress: Progress) -> list[Run]:
    """Do the runs that are not in `out` yet, seed by seed; returns all of them.

    Parameters
    ----------
    ground : Ground
    plan : Plan
    out : Path
        The folder of the replay.
    progress : Progress
        Told after each model, asked whether to stop.
    """
    kept = replay_files.read_runs(out, ground.data)
    runs: list[Run] = []
    for seed in range(plan.seeds):
        for name in plan.strategies:
            steps = len(plan.points)
            before = len(runs) * steps
            run = kept.get((name, seed))
            if run is None:
                message = f"{name}, seed {seed + 1} of {plan.seeds}"
                told = Steps(progress, before, plan.steps, message)
                run = replay_one(ground, registry.get(name), plan, seed, told)
                replay_files.write_run(out, run, ground.data)
            runs.append(run)
            progress.update(STAGE, before + steps, plan.steps)
    return runs


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


def replay_one(ground: Ground, strategy: StrategyInfo, plan: Plan, seed: int, steps: Steps) -> Run:
    """Replay one strategy with one seed.

    Parameters
    ----------
    ground : Ground
    strategy : StrategyInfo
        Of the family pool.
    plan : Plan
    seed : int
        The first batch, every head and the ties depend on it, never on the strategy.
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
    known = first_batch(ground.pool, plan.batch, np.random.default_rng(seed))
    accuracy: list[float] = []

    def measured() -> TrainedModel:
        given = _rows(ground.pool, known)
        made = trained(ground, given, strategy.needs, seed, steps.progress)
        accuracy.append(_accuracy(made, ground.test, steps.progress))
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


def trained(
    ground: Ground, given: Labels, needs: Needs, seed: int, progress: Progress
) -> TrainedModel:
    """Train a head on all labels given so far; calibrated when a strategy reads confidences.

    Parameters
    ----------
    ground : Ground
    given : Labels
        Of two classes at least.
    needs : Needs
        Of the strategy.
    seed : int
    progress : Progress
        Asked whether to stop.
    """
    model = HeadPredictor(ground.features, _head(ground, given, seed, progress), ground.device)
    temperature = _temperature(ground, given, seed, progress) if needs & CONFIDENCES else 1.0
    return TrainedModel(model, ground.class_ids, temperature)


def _temperature(ground: Ground, given: Labels, seed: int, progress: Progress) -> float:
    """Fit a temperature on a third of the labels, with a head that was trained on the others."""
    fold = np.random.default_rng(seed).permutation(len(given)) % FOLDS
    rest = _rows(given, fold != 0)
    if len(np.unique(rest.columns)) < 2:
        return 1.0
    outside = _rows(given, (fold == 0) & np.isin(given.columns, rest.columns))
    head = HeadPredictor(ground.features, _head(ground, rest, seed, progress), ground.device)
    _, logits = TrainedModel(head, ground.class_ids, 1.0).logits(outside.ids, progress)
    return fit_temperature(logits, outside.columns)


def _head(ground: Ground, given: Labels, seed: int, progress: Progress) -> Head:
    features = torch.from_numpy(ground.features.read(given.ids))
    return fit_head(
        Labelled(features, torch.from_numpy(given.columns)),
        None,
        len(ground.class_ids),
        ground.scaling,
        seed=seed,
        device=ground.device,
        progress=Quiet(progress),
    )


def _accuracy(model: TrainedModel, test: Labels, progress: Progress) -> float:
    """Return the share of the held-out images that a model gets right."""
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
    state = Known(ground.features, ground.scaling, given, model, rows)
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
