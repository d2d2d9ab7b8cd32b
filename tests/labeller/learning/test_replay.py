"""The replay as a job: real images, real heads, a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller.errors import JobCancelled, ReplayError
from labeller.learning import replay, replay_ground, replay_run
from labeller.learning.fitting import Labelled
from labeller.learning.head_training import fit_head
from labeller.learning.heads import Head
from labeller.learning.replay_ground import Ground
from labeller.learning.snapshot import Labels, take
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services import replay_files, replays
from labeller.services.replays import Plan
from strategies import registry
from tests.labeller.learning.shapes import Told, label, shapes

PLAN = replays.checked(["margin", "typiclust"], 12, 4, 2)


def run(
    project: Project, out: Path, plan: Plan = PLAN, progress: Progress | None = None
) -> dict[str, Any]:
    """Do a replay job in this process."""
    replay_files.prepare(out, replays.written(plan))
    params = {**replays.written(plan), "out": str(out)}
    with project.store.write() as unit:
        made = unit.jobs.add("replay", params, exclusive=False)
        job = unit.jobs.claim("here", 1, job_id=made.id)
    assert job is not None
    return replay.run_replay_job(project, job, progress or Silent())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = shapes(tmp_path / "p", 60)
    label(made, range(1, 61))
    return made


@pytest.mark.usefixtures("quick")
def test_a_replay_compares_strategies_and_leaves_the_project_alone(
    project: Project, tmp_path: Path
) -> None:
    out, told = tmp_path / "out", Told()
    ended = run(project, out, progress=told)
    result = json.loads((out / "result.json").read_text())
    assert ended["runs"] == 6
    assert {row["strategy"] for row in result["strategies"]} == {"margin", "typiclust", "random"}
    assert ended["best"] == result["strategies"][0]["strategy"]
    for row in result["strategies"]:
        assert [point[0] for point in row["curve"]] == [4, 8, 12]
        assert all(0 <= point[1] <= 1 for point in row["curve"])
    # the first batch, the head and its seed are the same for all
    assert len({row["curve"][0][1] for row in result["strategies"]}) == 1
    assert told.totals("replay") == {18}
    # twelve audit labels are too few: a quarter of each class of the others joins them
    assert (result["pool"], result["test"]) == (36, 24)
    assert "stratified" in " ".join(result["bias"])
    with Image.open(out / "curves.png") as picture:
        assert picture.width > 800
    assert (out / "summary.csv").read_text().count("\n") == 4
    with project.store.read() as unit:
        assert unit.rounds.all() == []
        assert unit.queue.counts().total == 0
        assert unit.items.count().labelled == 60


@pytest.mark.usefixtures("quick")
def test_a_replay_that_was_stopped_goes_on_and_ends_the_same(
    project: Project, tmp_path: Path
) -> None:
    class StopAt(Told):
        def check(self) -> None:
            if self.details and self.details[-1]["done"] == 8 and self.stages[-1] == "replay":
                raise JobCancelled("enough")

    plan = replays.checked(["margin", "typiclust"], 12, 4, 1)
    with pytest.raises(JobCancelled):
        run(project, tmp_path / "out", plan, StopAt())
    kept = sorted((tmp_path / "out" / "runs").iterdir())
    assert [file.name for file in kept] == ["margin-000.json", "typiclust-000.json"]
    written = [file.stat().st_mtime_ns for file in kept]
    run(project, tmp_path / "out", plan)
    assert [file.stat().st_mtime_ns for file in kept] == written
    run(project, tmp_path / "whole", plan)
    curves = [(tmp_path / name / "curves.csv").read_text() for name in ("out", "whole")]
    assert curves[0] == curves[1]

    label(project, [1], [2])
    with pytest.raises(ReplayError, match="other labels"):
        run(project, tmp_path / "out", plan)


def test_the_audit_set_measures_and_is_never_picked() -> None:
    rng = np.random.default_rng(0)
    others = Labels(np.arange(0, 80), np.arange(80) % 3)
    audit = Labels(np.arange(100, 160), np.arange(60) % 3)
    pool, test, drawn = replay_ground.divide(others, audit, 3, rng)
    assert not drawn
    assert pool.ids.tolist() == others.ids.tolist()
    assert test.ids.tolist() == audit.ids.tolist()

    few = Labels(audit.ids[:9], audit.columns[:9])
    pool, test, drawn = replay_ground.divide(others, few, 3, rng)
    assert drawn
    assert set(few.ids) < set(test.ids)
    assert not set(pool.ids) & set(test.ids)
    assert len(pool) + len(test) == 89
    assert np.bincount(test.columns).tolist() == [10, 10, 10]
    assert (pool.columns == pool.ids % 3).all()


def test_what_shares_a_group_is_measured_on_together() -> None:
    ids = np.arange(1, 61)
    others, groups = Labels(ids, ids % 3), ids // 4
    few = Labels(np.array([100]), np.array([0]))
    pool, test, drawn = replay_ground.divide(others, few, 3, np.random.default_rng(0), groups)
    assert drawn
    assert 0 < len(pool) < 45
    assert not set((pool.ids // 4).tolist()) & set((test.ids[test.ids < 100] // 4).tolist())


def test_the_first_batch_has_two_classes_even_of_a_rare_one() -> None:
    pool = Labels(np.arange(100), (np.arange(100) == 7).astype(np.int64))
    for seed in range(20):
        known = replay_run.first_batch(pool, 5, np.random.default_rng(seed))
        assert known.sum() == 5
        assert len(set(pool.columns[known])) == 2
    again = replay_run.first_batch(pool, 5, np.random.default_rng(19))
    assert (again == known).all()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    made = shapes(tmp_path_factory.mktemp("ground") / "p", 60)
    label(made, range(1, 61))
    return replay_ground.prepare(made, take(made), PLAN, Silent())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", registry.names("pool"))
def test_every_pool_strategy_can_be_replayed(name: str, ground: Ground) -> None:
    plan = replays.checked([name], 8, 6, 1)
    steps = replay_run.Steps(Silent(), 0, plan.steps, "")
    heads = replay_run.Heads(ground, 0, plan.batch)
    done = replay_run.replay_one(heads, registry.get(name), plan, steps)
    assert done.labels == (6, 8)
    assert len(done.accuracy) == 2


@pytest.mark.usefixtures("quick")
def test_strategies_share_the_heads_of_their_first_batch(ground: Ground) -> None:
    sizes: list[int] = []

    def fit(train: Labelled, *args: Any, **options: Any) -> Head:
        sizes.append(len(train))
        return fit_head(train, *args, **options)

    plan = replays.checked(["margin"], 12, 6, 1)
    told = replay_run.Steps(Silent(), 0, plan.steps, "")
    heads = replay_run.Heads(replace(ground, fit=fit), 0, plan.batch)
    first = replay_run.replay_one(heads, registry.get("margin"), plan, told)
    assert sorted(sizes) == [4, 6, 8, 12]  # on all labels, and on some of them to calibrate
    again = replay_run.replay_one(heads, registry.get("margin"), plan, told)
    assert sorted(sizes) == [4, 6, 8, 8, 12, 12]
    alone = replay_run.replay_one(
        replay_run.Heads(ground, 0, plan.batch), registry.get("margin"), plan, told
    )
    assert first.accuracy == again.accuracy == alone.accuracy


def test_labels_that_do_not_suffice(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 30)
    with pytest.raises(ReplayError, match="Nothing is labelled"):
        run(project, tmp_path / "a")
    label(project, range(1, 31), [0] * 30)
    with pytest.raises(ReplayError, match="“bars”"):
        run(project, tmp_path / "b")
