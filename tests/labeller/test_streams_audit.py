"""The audit of generated labels: a fair draw, asked blind, counted by class, bounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services import streams, streams_audit
from store.records import NewQueueEntry
from tests.labeller.streaming import do_jobs, fixed, pool, say


def finished(root: Path, columns: list[int], budget: float | None = None) -> Project:
    """Return a project with a stream that generated a label for every item."""
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.95, 1, len(columns)).tolist()
    project = pool(root, sure, columns, budget=budget)
    streams.start(project, fixed(ask_at_most=1))
    done = do_jobs(project)
    assert done.result is not None
    assert done.result["accepted"] == len(columns)
    return project


def audits(project: Project) -> list[int]:
    """Return the items that wait in the queue to be asked blind."""
    with project.store.read() as unit:
        entries = [one for one in unit.queue.entries(10_000) if one.state == "waiting"]
    assert all(one.blind and one.strategy == streams_audit.STRATEGY for one in entries)
    return [one.item_id for one in entries]


def test_wrong_labels_are_counted_by_class_with_their_bound(tmp_path: Path) -> None:
    project = finished(tmp_path / "p", [0] * 40 + [1] * 20)
    assert streams.audit(project, 1).total.upper == 1.0
    assert streams.ask_audit(project, 1, share=1.0, least=0) == 60
    for item in range(1, 41):
        say(project, item, 2 if item <= 4 else 0)  # four of class a are none
    for item in range(41, 51):
        say(project, item, 1)
    report = streams.audit(project, 1)
    assert report.open == 10
    first, second = report.rows
    assert (first.name, first.generated, first.audited, first.wrong) == ("a", 40, 40, 4)
    assert first.rate == pytest.approx(0.1)
    assert first.upper == pytest.approx(beta.ppf(0.95, 5, 36))  # Clopper and Pearson, one side
    assert (second.generated, second.audited, second.wrong) == (20, 10, 0)
    assert second.upper == pytest.approx(1 - 0.05 ** (1 / 10))
    assert (report.total.generated, report.total.audited, report.total.wrong) == (60, 50, 4)
    assert report.total.upper == pytest.approx(beta.ppf(0.95, 5, 46))
    with project.store.read() as unit:  # a person's label takes the place of the generated one
        assert unit.generated_labels.ids().tolist() == list(range(51, 61))


def test_small_classes_are_topped_up_and_do_not_tilt_the_bound_of_all(tmp_path: Path) -> None:
    project = finished(tmp_path / "p", [0] * 200 + [1] * 5)
    assert streams.ask_audit(project, 1, share=0.1, least=4) >= 20
    waiting = audits(project)
    rare = [item for item in waiting if item > 200]
    assert len(rare) >= 4
    for item in rare:
        say(project, item, 0)  # all of the rare class are wrong
    report = streams.audit(project, 1)
    with project.store.read() as unit:
        answers = unit.generated_labels.audit_answers(1)
    fair = sum(not one.extra for one in answers)
    assert fair <= 1 < len(answers)
    assert (report.total.audited, report.rows[1].audited) == (fair, len(rare))
    assert streams.ask_audit(project, 1, share=0.1, least=4) == 0  # it has enough


def test_a_second_draw_tops_the_first_up(tmp_path: Path) -> None:
    project = finished(tmp_path / "p", [0] * 40)
    assert streams.ask_audit(project, 1, share=0.25, least=0) == 10
    first = set(audits(project))
    assert streams.ask_audit(project, 1, share=0.5, least=0) == 10
    assert streams.ask_audit(project, 1, share=0.5, least=0) == 0
    assert first < set(audits(project))
    assert len(audits(project)) == 20


def test_two_draws_leave_every_label_the_same_chance() -> None:
    classes = np.array([0] * 30 + [1] * 10)
    sure = np.linspace(0.9, 1, 40)
    none = np.zeros(40, bool)
    times = np.zeros(40)
    for seed in range(2_000):
        rng = np.random.default_rng(seed)
        drawn, extra = none.copy(), none.copy()
        for share in (0.2, 0.5):
            pool_ = streams_audit._Pool(np.arange(40), classes, sure, drawn, extra)
            fair, more = pool_.drawn(share, 6, rng)
            drawn = drawn.copy()
            drawn[fair] = True
            extra = extra.copy()
            extra[more] = True
            extra &= ~drawn  # an extra one that is drawn as well counts as drawn
        assert drawn.sum() == 20
        times += drawn
    assert abs(times / 2_000 - 0.5).max() < 0.05  # 4.5 standard errors


def test_the_budget_limits_the_audit(tmp_path: Path) -> None:
    project = finished(tmp_path / "p", [0] * 100, budget=8)
    assert streams.ask_audit(project, 1) == 8
    with pytest.raises(StreamRunError, match="pays for none of the 51 audits"):
        streams.ask_audit(project, 1)
    say(project, audits(project)[0], 0)
    with project.store.read() as unit:
        assert unit.budget.get().free == 7
        assert unit.queue.counts().waiting == 7
    for share, least in ((1.5, 0), (-0.1, 0), (float("nan"), 0), (0.5, -1)):
        with pytest.raises(StreamRunError, match="Cannot audit"):
            streams.ask_audit(project, 1, share, least)


def test_what_a_person_labelled_unasked_is_not_drawn(tmp_path: Path) -> None:
    project = finished(tmp_path / "p", [0] * 20)
    for item in range(1, 11):
        say(project, item, 1)  # seen on the Images page, with the mark: not blind
    assert streams.ask_audit(project, 1, share=1.0, least=0) == 10
    assert sorted(audits(project)) == list(range(11, 21))
    assert streams.audit(project, 1).total.audited == 0


def test_open_audits_survive_a_round(tmp_path: Path) -> None:
    project = finished(tmp_path / "p", [0] * 30)
    streams.ask_audit(project, 1, share=0.2, least=0)
    waiting = set(audits(project))
    picks = [NewQueueEntry(item, "margin", 0.5) for item in range(1, 31) if item not in waiting]
    mixed = streams_audit.mixed_in(project, picks, np.random.default_rng(0))
    assert [one for one in mixed if one.strategy == "margin"] == picks
    blind = [one for one in mixed if one.blind]
    assert {one.item_id for one in blind} == waiting
    assert len(mixed) == len(picks) + 6
    assert streams_audit.mixed_in(project, [], np.random.default_rng(0)) != []
    streams.decide(project, 1, "rolled_back", "ann")
    assert streams_audit.mixed_in(project, picks, np.random.default_rng(0)) == picks
