"""Processes that render previews: kept for the next one, ended when nobody asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeller.progress import Silent
from labeller.project import Project
from labeller.services import synthesis_warm
from labeller.services.synthesis_preview import preview
from labeller.services.synthesis_rendering import Wanted, config_of, rendered
from labeller.services.synthesis_warm import Warm
from labeller.services.worker_pool import Pool
from strategies.synthesis import Plan
from tests.ui.synthetic import labelled_project, parents


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Eleven labelled images."""
    return labelled_project(tmp_path, start_workers=False)


@pytest.fixture
def warm() -> Iterator[Warm]:
    """Processes of this test alone."""
    made = Warm()
    yield made
    made.close()


def processes(pool: Pool) -> list[int]:
    return [worker.process.pid for worker in pool._workers]


def test_processes_are_kept_until_they_are_told_something_else(
    project: Project, warm: Warm
) -> None:
    with warm.lent(config_of(project, 64), 1) as pool:
        first = processes(pool)
    with warm.lent(config_of(project, 64), 1) as pool:
        assert processes(pool) == first
    with warm.lent(config_of(project, 32), 1) as pool:
        assert processes(pool) != first
    warm.close()
    assert not warm.running


def test_nobody_hears_the_answer_to_an_earlier_question(project: Project, warm: Warm) -> None:
    (item_id, _), *_ = parents(project)
    with project.store.read() as unit:
        item = unit.items.get(item_id)
    assert item is not None
    wanted = [Wanted(item, Plan(item_id, "grayscale", (("mode", "average"),)))] * 3

    def ask_and_leave() -> None:
        with warm.lent(config_of(project, 64), 1) as pool:
            next(rendered(project, wanted, 3, Silent(), 64, pool=pool))

    ask_and_leave()
    with warm.lent(config_of(project, 64), 1) as pool:
        assert pool.outstanding == 0
        found = list(rendered(project, wanted[:1], 1, Silent(), 64, pool=pool))
    assert len(found) == 1
    with pytest.raises(ValueError, match="broken"), warm.lent(config_of(project, 64), 1):
        raise ValueError("broken")
    assert not warm.running


def test_they_end_when_nobody_asks_any_more(project: Project) -> None:
    warm = Warm(seconds=0.05)
    with warm.lent(config_of(project, 64), 1):
        assert warm.running
    end = time.monotonic() + 20
    while warm.running and time.monotonic() < end:
        time.sleep(0.02)
    assert not warm.running


def test_a_second_preview_uses_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Counted(Pool):
        def __init__(self, *args: object, **options: object) -> None:
            started.append(args)
            super().__init__(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis_warm, "Pool", Counted)
    synthesis_warm.PREVIEWS.close()
    first = preview(project, {"brightness": {}}, parents=2, draws=3)
    again = preview(project, {"brightness": {}}, parents=2, draws=3)
    synthesis_warm.PREVIEWS.close()
    assert len(started) == 1
    assert [one.parent.id for one in first] == [one.parent.id for one in again]
    assert len({one.parent.id for one in first}) == 2
    assert [one.png for one in first] == [one.png for one in again]
    assert len({one.png for one in first}) == 6
