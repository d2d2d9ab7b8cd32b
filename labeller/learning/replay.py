"""Replay: label what a strategy picks from known labels, train, measure, again. Runs as a job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from labeller.learning import replay_ground, replay_picture
from labeller.learning.replay_ground import Ground
from labeller.learning.replay_run import STAGE, Heads, Steps, replay_one
from labeller.learning.snapshot import take
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import replay_files, replays
from labeller.services.replay_results import Run, caveats, compared
from labeller.services.replays import Plan
from store.records import JobRecord
from strategies import registry


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
        heads = Heads(ground, seed, plan.batch)
        for name in plan.strategies:
            steps = len(plan.points)
            before = len(runs) * steps
            run = kept.get((name, seed))
            if run is None:
                message = f"{name}, seed {seed + 1} of {plan.seeds}"
                told = Steps(progress, before, plan.steps, message)
                run = replay_one(heads, registry.get(name), plan, told)
                replay_files.write_run(out, run, ground.data)
            runs.append(run)
            progress.update(STAGE, before + steps, plan.steps)
    return runs
