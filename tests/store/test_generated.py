"""Generated labels: recorded batch by batch, audited blind, rolled back and brought back whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from store.errors import Conflict, NotFound
from store.records import NewQueueEntry
from store.records_made import AuditAnswer, NewDecision, Outcome
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, record, undo
from tests.store.test_rounds import new_model


def with_model(store: Store, items: int = 10) -> tuple[list[int], int, int, int]:
    """Add items, two classes and a model; return the items, both classes and the model."""
    ids = fill(store, items)
    with store.write() as unit:
        started = unit.rounds.start("margin", 5, None, 0, 0)
        model = unit.models.add(new_model(), started.id)
    return ids, class_id(store, "cat"), class_id(store, "dog"), model.id


def decisions(ids: Sequence[int], outcome: Outcome, of_class: int) -> list[NewDecision]:
    return [NewDecision(i, outcome, of_class, 0.9, {"position": i}) for i in ids]


def run_over(store: Store, model: int, made: Sequence[NewDecision]) -> int:
    with store.write() as unit:
        run = unit.generated.start("stream", model, "fixed_threshold", {}, {"left": 3})
        unit.generated.record(run.id, made, {"left": 0}, made[-1].item_id)
    return run.id


def test_a_run_goes_on_where_it_stopped(store: Store, clock: Clock) -> None:
    ids, cat, dog, model = with_model(store)
    with store.write() as unit:
        params = {"error": 0.05}
        run = unit.generated.start("stream", model, "split", params, {"left": 3}, follow=True)
        assert (run.state, run.verdict, run.follow, run.cursor) == ("paused", "open", True, 0)
        job = unit.jobs.add("stream", {}, True)
        assert unit.generated.set_state(run.id, "running", job.id).job_id == job.id
        made = decisions(ids[:3], "accept", cat) + decisions(ids[3:4], "ask", dog)
        run = unit.generated.record(run.id, made, {"left": 2}, ids[3])
    assert (run.asked, run.accepted, run.deferred, run.passed) == (1, 3, 0, 4)
    assert (run.cursor, run.machine, run.params) == (ids[3], {"left": 2}, params)
    with pytest.raises(Conflict, match="elsewhere"), store.write() as unit:
        unit.generated.record(run.id, decisions(ids[:1], "defer", cat), {}, ids[0])
    clock.now += 5
    with store.write() as unit:
        unit.generated.record(run.id, decisions(ids[4:6], "defer", dog), {"left": 2}, ids[5])
        unit.generated.set_state(run.id, "finished", reason="budget")
        ended = unit.generated.set_state(run.id, "paused")
    assert (ended.state, ended.reason, ended.finished_at) == ("finished", "budget", clock.now)
    with pytest.raises(Conflict, match="finished"), store.write() as unit:
        unit.generated.record(run.id, decisions(ids[6:7], "defer", dog), {}, ids[6])
    with store.read() as unit:
        assert unit.generated.all("propagation") == []
        assert unit.generated.all("stream") == unit.generated.all() == [unit.generated.get(run.id)]
        kept = unit.generated_labels.decisions(run.id)
        assert [one.outcome for one in kept] == ["accept"] * 3 + ["ask"] + ["defer"] * 2
        assert kept[0].detail == {"position": ids[0]}
        page = unit.generated_labels.decisions(run.id, after=ids[1], limit=2)
        assert [one.item_id for one in page] == ids[2:4]
        only = unit.generated_labels.decisions(run.id, outcome="defer", class_id=dog)
        assert [one.item_id for one in only] == ids[4:6]
        found, classes, confidences = unit.generated_labels.accepted(run.id)
        assert (found.tolist(), classes.tolist()) == (ids[:3], [cat] * 3)
        assert confidences.tolist() == [0.9] * 3
        with pytest.raises(NotFound):
            unit.generated.get(99)


def test_generated_labels_are_no_labels(store: Store) -> None:
    ids, cat, dog, model = with_model(store)
    before = None
    with store.read() as unit:
        before = (unit.items.count(), unit.labels.set_hash(), list(unit.labels.export()))
    run = run_over(store, model, decisions(ids[:4], "accept", cat))
    with store.read() as unit:
        assert (unit.items.count(), unit.labels.set_hash(), list(unit.labels.export())) == before
        assert unit.generated_labels.ids().tolist() == ids[:4]
        of = unit.generated_labels.of(ids)
        assert sorted(of) == ids[:4]
        assert (of[ids[0]].class_id, of[ids[0]].run_id, of[ids[0]].kind) == (cat, run, "stream")
    record(store, label("k", ids[0], dog))  # a person's label takes the place of the generated one
    with store.read() as unit:
        assert unit.generated_labels.ids().tolist() == ids[1:4]
        assert sorted(unit.generated_labels.of(ids)) == ids[1:4]
    record(store, undo("u", "k"))
    with store.read() as unit:
        assert unit.generated_labels.ids().tolist() == ids[:4]


def test_one_step_takes_a_run_back_and_brings_it_again(store: Store, clock: Clock) -> None:
    ids, cat, dog, model = with_model(store)
    first = run_over(store, model, decisions(ids[:4], "accept", cat))
    clock.now += 1
    with store.write() as unit:
        back = unit.generated.decide(first, "rolled_back", "ann")
    assert (back.verdict, back.verdict_by, back.verdict_at) == ("rolled_back", "ann", clock.now)
    with store.read() as unit:
        assert unit.generated_labels.ids().tolist() == []
        assert unit.generated_labels.of(ids) == {}
        assert len(unit.generated_labels.decisions(first)) == 4  # the log stays
    with store.write() as unit:
        assert unit.generated.decide(first, "accepted", "ann").verdict == "accepted"
        assert unit.generated_labels.ids(("accepted",)).tolist() == ids[:4]
        assert unit.generated_labels.ids(("open",)).tolist() == []
        unit.generated.decide(first, "rolled_back", "ann")
    second = run_over(store, model, decisions(ids[2:6], "accept", dog))
    with pytest.raises(Conflict, match="2 of its items"), store.write() as unit:
        unit.generated.decide(first, "open", "ann")
    with store.write() as unit:
        unit.generated.decide(second, "rolled_back", "bob")
        unit.generated.decide(first, "open", "ann")
        assert unit.generated_labels.ids().tolist() == ids[:4]


def test_the_audit_counts_only_what_people_said(store: Store) -> None:
    ids, cat, dog, model = with_model(store)
    run = run_over(
        store, model, decisions(ids[:5], "accept", cat) + decisions(ids[5:7], "defer", dog)
    )
    with store.write() as unit:
        assert unit.generated_labels.choose_audit(run, [*ids[:3], ids[6]], "random") == 3
        assert unit.generated_labels.choose_audit(run, ids[2:4], "extra") == 1
        assert unit.generated_labels.audit_open().tolist() == ids[:4]
        assert unit.generated_labels.audit_answers(run) == []
    record(store, label("a", ids[0], cat), label("b", ids[3], dog), label("c", ids[4], dog))
    with store.read() as unit:
        assert unit.generated_labels.audit_answers(run) == [
            AuditAnswer(ids[0], cat, cat, extra=False),
            AuditAnswer(ids[3], cat, dog, extra=True),
        ]
        assert unit.generated_labels.audit_open(run).tolist() == ids[1:3]
        audited = unit.generated_labels.decisions(run, audit=True)
        assert [one.audit for one in audited] == ["random"] * 3 + ["extra"]
        assert len(unit.generated_labels.decisions(run, audit=False)) == 3
    with store.write() as unit:  # merging the classes makes the wrong one right
        unit.classes.update(dog, archived=True, merged_into=cat)
        assert [one.truth for one in unit.generated_labels.audit_answers(run)] == [cat, cat]
        unit.generated.decide(run, "rolled_back", "ann")
        assert unit.generated_labels.audit_open().tolist() == []


def test_export_says_where_labels_come_from(store: Store) -> None:
    ids, cat, dog, model = with_model(store)
    run = run_over(store, model, decisions(ids[:5], "accept", cat))
    record(store, label("k", ids[1], dog))
    with store.write() as unit:
        assert list(unit.generated_labels.export()) == []
        unit.generated.decide(run, "accepted", "ann")
        rows = list(unit.generated_labels.export(batch=2))
    assert [row.item_id for row in rows] == [ids[0], *ids[2:5]]
    first = rows[0]
    assert (first.class_name, first.confidence, first.kind) == ("cat", 0.9, "stream")
    assert (first.strategy, first.run_id, first.model_id) == ("fixed_threshold", run, model)
    assert (first.split, first.sha256) == ("train", f"{0:064x}")


def test_more_picks_join_the_queue_behind_the_others(store: Store) -> None:
    ids, cat, _, _ = with_model(store, items=8)
    record(store, label("k", ids[7], cat))
    with store.write() as unit:
        unit.queue.replace([NewQueueEntry(i, "margin", 0.5) for i in ids[:3]])
        picks = [NewQueueEntry(i, "split", 0.1) for i in (ids[2], ids[5], ids[4], ids[7], ids[5])]
        assert unit.queue.append(picks) == 2
        assert unit.queue.append(picks) == 0
        found = unit.queue.entries()
    assert [entry.item_id for entry in found] == [*ids[:3], ids[5], ids[4]]
    assert [entry.strategy for entry in found] == ["margin"] * 3 + ["split"] * 2
    with store.write() as unit:
        unit.queue.replace([])
        assert unit.queue.append(picks) == 3


def test_what_may_pass_in_a_run(store: Store) -> None:
    ids, cat, dog, model = with_model(store, 20)  # every fifth is of the audit set, all are queued
    with store.read() as unit:
        assert unit.generated_labels.arrivals().tolist() == []
        splits = {item.id: item.split for item in unit.items.many(ids).values()}
    with store.write() as unit:
        unit.queue.replace([NewQueueEntry(ids[0], "margin", 0.5)])
    record(store, label("k", ids[1], dog))
    free = [i for i in ids[2:] if splits[i] != "audit"]
    run = run_over(store, model, decisions(free[:2], "accept", cat))
    run_over(store, model, decisions(free[2:4], "defer", cat) + decisions(free[4:5], "ask", cat))
    with store.read() as unit:
        assert unit.generated_labels.arrivals().tolist() == free[2:]
        assert unit.generated_labels.arrivals(free[3], limit=3).tolist() == free[4:7]
        assert unit.generated_labels.arrivals(free[3], upto=free[5]).tolist() == free[4:6]
        assert unit.generated_labels.arrivals_count() == len(free) - 2
        assert unit.generated_labels.arrivals_count(free[3]) == len(free) - 4
        assert unit.generated_labels.accepted_by_class(run) == {cat: 2}
    with store.write() as unit:
        unit.classes.update(cat, archived=True, merged_into=dog)
        unit.generated.decide(run, "rolled_back", "ann")
        assert unit.generated.hold(run).verdict == "rolled_back"
    with store.read() as unit:
        assert unit.generated_labels.arrivals().tolist() == free
        assert unit.generated_labels.accepted_by_class(run) == {dog: 2}


def test_an_extra_audit_that_is_drawn_as_well_counts_as_drawn(store: Store) -> None:
    ids, cat, _, model = with_model(store)
    run = run_over(store, model, decisions(ids[:4], "accept", cat))
    with store.write() as unit:
        assert unit.generated_labels.choose_audit(run, ids[:2], "extra") == 2
        assert unit.generated_labels.choose_audit(run, ids[1:3], "random") == 1
        assert unit.generated_labels.choose_audit(run, ids[:4], "extra") == 1
        assert unit.generated_labels.audit_marked(run) == 4
        kinds = [one.audit for one in unit.generated_labels.decisions(run)]
    assert kinds == ["extra", "random", "random", "extra"]


def test_picks_of_one_strategy_are_withdrawn_unless_held(store: Store) -> None:
    ids, *_ = with_model(store)
    with store.write() as unit:
        unit.queue.replace([NewQueueEntry(i, "stream_audit", None) for i in ids[:4]])
        unit.queue.append([NewQueueEntry(ids[5], "margin", 0.5)])
        (held,) = unit.queue.claim("ann", "s", 1, 60, 1.0)
        assert unit.queue.withdraw([*ids[:3], ids[5]], "stream_audit") == 2
        left = [one.item_id for one in unit.queue.entries()]
    assert held.item_id == ids[0]
    assert left == [ids[0], ids[3], ids[5]]


def test_items_are_listed_by_their_generated_label(store: Store) -> None:
    ids, cat, dog, model = with_model(store)
    run = run_over(
        store, model, decisions(ids[:4], "accept", cat) + decisions(ids[4:6], "accept", dog)
    )
    record(store, label("k", ids[0], dog))
    with store.read() as unit:
        assert unit.generated_labels.count() == 5
        newest = [one.id for one in unit.items.page(generated=True)]
        assert newest == ids[5:0:-1]
        assert unit.items.page_count(generated=True) == 5
        by_path = unit.items.page(generated=True, class_id=cat, order="path", after=ids[1])
        assert [one.id for one in by_path] == ids[2:4]
        assert unit.items.page_count(generated=True, class_id=dog) == 2
        assert unit.items.page_count(class_id=dog) == 1  # by a person
        split = unit.items.page(limit=1, generated=True)[0].split
        assert unit.items.page_count(generated=True, split=split) >= 1
        assert unit.items.page_count(generated=True, text="0000005") == 1
    with store.write() as unit:
        unit.generated.decide(run, "rolled_back", "ann")
        assert unit.generated_labels.count() == unit.items.page_count(generated=True) == 0
