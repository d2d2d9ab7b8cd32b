"""Replays of the loop on labels that are known: planned, started, and read again. No torch."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeller import jobs
from labeller.errors import ReplayError
from labeller.project import Project
from labeller.services import replay_files
from labeller.services.evaluation import class_balance
from labeller.services.replay_results import RANDOM
from store.records import JobRecord
from strategies import registry
from strategies.base import StrategyError

KIND = "replay"
FOLDER = "replays"

LEAST_AUDIT = 50  # audit labels that measure well enough; with fewer, others are held out too
HELD_OUT = 0.25
LEAST_POOL = 10
MOST_SEEDS = 100
STEP_SECONDS = 2.0  # one training with its selection, before any replay was timed here


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay: `strategies`, each with `seeds` seeds, up to `budget` labels by `batch`."""

    strategies: tuple[str, ...]
    budget: int
    batch: int
    seeds: int

    @property
    def points(self) -> tuple[int, ...]:
        """Labels at which a model is trained and measured; the first batch is random."""
        return (*range(self.batch, self.budget, self.batch), self.budget)

    @property
    def steps(self) -> int:
        """Models to train in all."""
        return len(self.strategies) * self.seeds * len(self.points)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of a project that can be replayed, by class: of the audit set, and others."""

    audit: Mapping[str, int]
    others: Mapping[str, int]

    @property
    def drawn(self) -> int:
        """How many of the others are held out, about: none when the audit set is large enough."""
        enough = sum(self.audit.values()) >= LEAST_AUDIT
        return 0 if enough else sum(map(held_out, self.others.values()))

    @property
    def pool(self) -> int:
        """How many can be picked, about."""
        return sum(self.others.values()) - self.drawn


def held_out(count: int) -> int:
    """Return how many of a class's `count` labels are held out; one label stays to be picked."""
    return min(count - 1, math.ceil(HELD_OUT * count)) if count else 0


def checked(strategies: Sequence[str], budget: int, batch: int, seeds: int) -> Plan:
    """Return a plan, ``random`` always in it.

    Parameters
    ----------
    strategies : sequence of str
        Names of pool strategies, or mixtures such as ``margin=70+random=30``; given twice counts
        once.
    budget : int
        Labels at the end of each run, the first random batch included.
    batch : int
        Labels bought at a time.
    seeds : int

    Raises
    ------
    ReplayError
        When a strategy is unknown or picks from no pool, or a number makes no sense.
    """
    try:
        names = tuple(dict.fromkeys(registry.get_pool(name).name for name in strategies))
    except StrategyError as error:
        raise ReplayError(str(error)) from error
    if batch < 2:
        raise ReplayError(f"A batch of {batch} cannot be: a model needs at least 2 labels.")
    if budget <= batch:
        raise ReplayError(
            f"A budget of {budget} leaves nothing to pick after the first random batch of {batch}. "
            "Set the budget higher, or the batch lower."
        )
    if not 1 <= seeds <= MOST_SEEDS:
        raise ReplayError(f"{seeds} seeds cannot be. Take 1 to {MOST_SEEDS}; 5 or more say more.")
    return Plan(names if RANDOM in names else (*names, RANDOM), budget, batch, seeds)


def plan_of(values: Mapping[str, Any]) -> Plan:
    """Return the plan in a job's parameters or in a result."""
    names = tuple(str(name) for name in values["planned"])
    return Plan(names, int(values["budget"]), int(values["batch"]), int(values["seeds"]))


def written(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values; :func:`plan_of` reads them."""
    values = asdict(plan)
    return {"planned": list(values.pop("strategies"))} | values


def labelled(project: Project) -> Labelled:
    """Count the labels that can be replayed."""
    classes = class_balance(project)
    return Labelled(
        audit={one.name: one.audit for one in classes if one.audit},
        others={one.name: one.train + one.valid for one in classes if one.train + one.valid},
    )


def check_labels(found: Labelled, plan: Plan | None = None) -> None:
    """Check that there are labels enough to replay.

    Raises
    ------
    ReplayError
        When there are too few labels or one class only, or the plan's budget exceeds them.
    """
    total = sum(found.others.values())
    if len(found.others) == 1:
        (name,) = found.others
        raise ReplayError(
            f"All {total:,} labels outside the audit set are “{name}”. A replay needs two classes."
        )
    if found.pool < LEAST_POOL:
        raise ReplayError(
            f"Too few images to replay: {total:,} outside the audit set are labelled. "
            f"At least {math.ceil(LEAST_POOL / (1 - HELD_OUT)) + 1}, of two classes, are needed."
        )
    if not found.drawn + sum(found.audit.values()):
        raise ReplayError("No class has two labels, so nothing can be measured on. Label more.")
    if plan is not None and plan.budget > found.pool:
        raise ReplayError(
            f"A budget of {plan.budget:,} is more than the {found.pool:,} labelled images to choose"
            f" from ({found.drawn + sum(found.audit.values()):,} are held out to measure on). "
            f"Set the budget to at most {found.pool:,}."
        )


def suggested(found: Labelled) -> Plan:
    """Return sensible numbers for labels that :func:`check_labels` lets pass."""
    batch = max(2, 5 * math.floor(min(250, found.pool // 2) / 50)) or 2
    budget = min(found.pool, 10 * batch)
    known = registry.names("pool")
    names = [name for name in ("margin", "typiclust", "badge", RANDOM) if name in known]
    return Plan(tuple(names), budget, batch, 5)


def start(project: Project, plan: Plan, out: Path | None = None) -> JobRecord:
    """Start the job that replays; one at a time, beside whatever round is on.

    Parameters
    ----------
    project : Project
    plan : Plan
    out : Path, optional
        A folder that :func:`~labeller.services.replay_files.prepare` made; a new one in the
        project when not given.

    Raises
    ------
    ReplayError
        When the project's labels do not suffice.
    JobError
        When a replay is on already.
    """
    check_labels(labelled(project), plan)
    folder = out
    if folder is None:
        taken = [int(one.name) for one in (project.root / FOLDER).glob("[0-9]*")]
        folder = project.root / FOLDER / f"{max(taken, default=0) + 1:04}"
        replay_files.prepare(folder, {**written(plan), "source": str(project.root)})
    try:
        return jobs.submit(project, KIND, {**written(plan), "out": str(folder.absolute())})
    except Exception:
        if out is None:
            shutil.rmtree(folder)
        raise


def seconds_per_step(project: Project) -> float:
    """Return what one training with its selection took in the last replay of the project."""
    with project.store.read() as unit:
        for job in unit.jobs.all(200):
            if job.kind == KIND and job.state == "done" and (job.result or {}).get("step_seconds"):
                return float((job.result or {})["step_seconds"])
    return STEP_SECONDS


def past(project: Project) -> list[replay_files.Past]:
    """Return the finished replays in a project, newest first."""
    return replay_files.past(project.root / FOLDER)


def unfinished(project: Project) -> Path | None:
    """Return the folder of the newest replay when it was stopped before its end."""
    return replay_files.unfinished(project.root / FOLDER)


def resume(project: Project, folder: Path) -> JobRecord:
    """Go on with a replay that was stopped; raises as :func:`start` does."""
    return start(project, plan_of(replay_files.read_settings(folder)), folder)


def discard(project: Project, folder: Path) -> None:
    """Delete a replay of a project, finished or not.

    Raises
    ------
    ReplayError
        When the folder is not one of the project's replays.
    """
    if folder.parent != project.root / FOLDER:
        raise ReplayError(f"{folder}: is no replay of this project.")
    shutil.rmtree(folder, ignore_errors=True)
