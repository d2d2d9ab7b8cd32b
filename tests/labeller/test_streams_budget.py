"""Whatever happens to a stream: it never overspends, and every item is accounted for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeller.learning import stream_job
from labeller.progress import Silent
from labeller.project import Project, create_project, open_project
from labeller.services import budget, streams, streams_run
from labeller.services.streams import StreamPlan
from labeller.services.streams_pool import Source, payable, source_of
from store.queue import Queues
from strategies import stream as streaming
from strategies.stream import StreamState
from tests.labeller.streaming import CLASSES, add_items, add_model, probabilities, say

QUICK = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Confidences = st.lists(
    st.sampled_from([0.34, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95, 1.0]), min_size=5, max_size=60
)
Plans = st.builds(
    StreamPlan,
    strategy=st.sampled_from(streams.names()),
    error=st.sampled_from([0.02, 0.1, 0.3]),
    ask_at_most=st.one_of(st.none(), st.integers(1, 20)),
    seed=st.integers(0, 3),
    audit_share=st.sampled_from([0.0, 0.1, 0.5]),
    follow=st.booleans(),
)


class Killed(BaseException):
    """The process is gone: nothing that comes after is done."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project without items, to be copied."""
    root = tmp_path_factory.mktemp("template") / "p"
    create_project(root, CLASSES, start_workers=False).store.close()
    return root


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """Return one new folder after the other."""
    return (tmp_path / str(number) for number in count())


def project_of(
    template: Path, root: Path, confidences: list[float], total: float | None
) -> Project:
    """Return a copy of the template with items, a model and a budget."""
    shutil.copytree(template, root)
    project = open_project(root)
    ids = add_items(project, ["train"] * len(confidences))
    add_model(project, ids, probabilities(confidences, [n % 3 for n in range(len(ids))]))
    budget.set_total(project, total)
    return project


def expected(state: StreamState, project: Project) -> list[tuple[int, str]]:
    """Return item and outcome of a stream over the whole pool at once, without any store."""
    with project.store.read() as unit:
        source = source_of(project, unit)
        judged = source.read(unit.items.ids(state="unlabelled"))
    rows = zip(
        judged.ids.tolist(), judged.columns.tolist(), judged.confidences.tolist(), strict=True
    )
    return [(i, one.outcome.value) for i, one, _ in streaming.run(state, rows)]


def decided(project: Project, run_id: int) -> list[tuple[int, str]]:
    """Return item and outcome as they are stored."""
    with project.store.read() as unit:
        log = unit.generated_labels.decisions(run_id, limit=10_000)
    return [(one.item_id, one.outcome) for one in log]


def run_until_killed(project: Project, steps: int, size: int, inside: bool) -> bool:
    """Run the waiting job and kill it in or after so many steps; say whether it got to its end."""
    with project.store.write() as unit:
        job = unit.jobs.claim("elsewhere", 1)
        assert job is not None
    done = 0
    real_append, real_advance = Queues.append, streams_run.advance

    def append(self: Queues, *args: Any, **options: Any) -> int:
        if inside and done >= steps:
            raise Killed
        return real_append(self, *args, **options)

    def advance(project: Project, job: int, run: int, source: Source, upto: int) -> Any:
        nonlocal done
        if not inside and done >= steps:
            raise Killed
        step = real_advance(project, job, run, source, upto, size)
        done += 1
        return step

    with (
        mock.patch.object(Queues, "append", append),
        mock.patch.object(streams_run, "advance", advance),
        mock.patch.object(stream_job, "PAGE", 3 * size + 1),
    ):
        try:
            stream_job.run_stream_job(project, job, Silent())
            state = "done"
        except Killed:
            state = "failed"
    with project.store.write() as unit:
        unit.jobs.finish(job.id, state, error="killed")  # type: ignore[arg-type]
    return state == "done"


@QUICK
@given(
    confidences=Confidences,
    total=st.one_of(st.none(), st.integers(1, 40)),
    plan=Plans,
    kills=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=4),
    size=st.integers(1, 20),
)
def test_killed_anywhere_it_decides_the_same(
    template: Path,
    folders: Iterator[Path],
    confidences: list[float],
    total: float | None,
    plan: StreamPlan,
    kills: list[tuple[int, bool]],
    size: int,
) -> None:
    project = project_of(template, next(folders), confidences, total)
    if streams.outlook(project, plan).why_not is not None:  # the audit takes the only label
        assert total == 1
        return
    dry = streams.dry_run(project, plan)
    run = streams.start(project, plan)
    first = StreamState.from_json(run.params["machine"])
    wanted = expected(first, project)
    left = iter(kills)
    while True:
        steps, inside = next(left, (10_000, False))
        if run_until_killed(project, steps, size, inside):
            break
        (view,) = streams.runs(project)
        assert view.run.state == "paused"
        assert view.run.reason == "killed"
        streams.go_on(project, run.id)
    assert decided(project, run.id) == wanted
    with project.store.read() as unit:
        ended = unit.generated.get(run.id)
        waiting = [
            one.item_id for one in unit.queue.entries(1_000) if one.strategy == plan.strategy
        ]
        open_audits = len(unit.generated_labels.audit_open(run.id))
        money = payable(unit, project.settings.label_price)
    counts = (ended.asked, ended.accepted, ended.deferred)
    assert counts == (dry.asked, dry.accepted, dry.deferred)
    assert sum(counts) + streams.unreached(project, run.id) == len(confidences)
    assert waiting == [item for item, outcome in wanted if outcome == "ask"]
    assert ended.asked <= first.left
    if total is not None:
        assert ended.asked + open_audits + (money or 0) == total
    assert ended.state == ("paused" if plan.follow and ended.asked < first.left else "finished")


@QUICK
@given(
    confidences=Confidences,
    total=st.integers(3, 40),
    plan=Plans,
    people=st.lists(st.tuples(st.booleans(), st.integers(0, 99)), min_size=5, max_size=30),
    size=st.integers(1, 9),
)
def test_people_label_and_raise_the_budget_meanwhile(
    template: Path,
    folders: Iterator[Path],
    confidences: list[float],
    total: int,
    plan: StreamPlan,
    people: list[tuple[bool, int]],
    size: int,
) -> None:
    project = project_of(template, next(folders), confidences, total)
    run = streams.start(project, plan)
    left = StreamState.from_json(run.params["machine"]).left
    with project.store.write() as unit:
        job = unit.jobs.claim("elsewhere", 1)
        assert job is not None
        source = source_of(project, unit, run.model_id)
    streams_run.take_on(project, job)
    doing = iter(people)
    while True:
        before, money = decided(project, run.id), bought(project)
        step = streams_run.advance(project, job.id, run.id, source, 10_000, size)
        made = decided(project, run.id)
        asked = sum(outcome == "ask" for _, outcome in made[len(before) :])
        assert made[: len(before)] == before
        assert asked <= money
        if step is None:
            break
        queued, item = next(doing, (False, -1))
        if queued:
            with project.store.read() as unit:
                waiting = [e.item_id for e in unit.queue.entries(1_000) if e.state == "waiting"]
            if waiting:
                assert say(project, waiting[item % len(waiting)], 0) == "accepted"
        elif item >= 0:  # something that the stream has not asked about
            said = say(project, item % len(confidences) + 1, item % 3)
            assert said in ("accepted", "budget")
        assert spent(project) <= total
    ended = {item for item, _ in decided(project, run.id)}
    with project.store.read() as unit:
        asked = unit.generated.get(run.id).asked
        people_first = set(unit.items.ids(state="labelled").tolist()) - ended
    assert asked <= left
    reached = len(ended) + len(people_first)
    assert reached + streams.unreached(project, run.id) == len(confidences)


def bought(project: Project) -> int:
    """Return how many labels the budget pays beyond what waits."""
    with project.store.read() as unit:
        money = payable(unit, project.settings.label_price)
    assert money is not None
    return money


def spent(project: Project) -> float:
    """Return what is spent and what is reserved."""
    now = budget.meter(project)
    return now.spent + now.reserved


def test_what_people_label_meanwhile_is_not_spent_twice(template: Path, tmp_path: Path) -> None:
    project = project_of(template, tmp_path / "p", [0.5] * 60, 10)
    plan = StreamPlan("fixed_threshold", audit_share=0.0, options={"threshold": 1.0})
    run = streams.start(project, plan)
    with project.store.write() as unit:
        job = unit.jobs.claim("elsewhere", 1)
        assert job is not None
        source = source_of(project, unit, run.model_id)
    streams_run.take_on(project, job)
    streams_run.advance(project, job.id, run.id, source, 60, 5)
    for item in range(50, 56):  # the stream has not come to these
        assert say(project, item, 0) == "accepted"
    while streams_run.advance(project, job.id, run.id, source, 60, 5):
        pass
    assert streams_run.settle(project, job.id, run.id)
    (view,) = streams.runs(project)
    assert (view.run.asked, view.run.reason) == (4, streams_run.SPENT)
    assert (bought(project), spent(project)) == (0, 6)
    for item in range(1, 60):
        said = say(project, item, 0)
        assert said in ("accepted", "budget")
    assert spent(project) == 10
