"""Synthetic items: their lineage, what they cost, what people say of them, and their end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from store.errors import Conflict, NotFound
from store.records_made import NewSyntheticItem
from store.store import Store
from tests.store.build import Clock, class_id, fill, label, record, undo


def children(parents: Sequence[int], of_class: int, start: int = 0) -> list[NewSyntheticItem]:
    return [
        NewSyntheticItem(
            place=place,
            parent_id=parent,
            class_id=of_class,
            recipe="blur",
            plan={"parent": parent, "recipe": "blur", "parameters": {"radius": 2.0}, "seed": 7},
            path=f"synthetic/1/{place}.png",
            sha256=f"{place:064x}",
            width=64,
            height=48,
            bytes=900,
        )
        for place, parent in enumerate(parents, start)
    ]


def labelled(store: Store) -> tuple[list[int], int, int]:
    """Add ten items, the first five labelled cat; items 0, 1, 2 and 5, 6, 7 are for training."""
    ids = fill(store)
    cat = class_id(store, "cat")
    record(store, *[label(f"k{i}", i, cat) for i in ids[:5]], price=1.0)
    return ids, cat, class_id(store, "dog")


def begun(store: Store, planned: int = 4) -> int:
    with store.write() as unit:
        return unit.synthetic.start("balance", {"recipes": ["blur"]}, 3, planned).id


def spent(store: Store) -> float:
    with store.read() as unit:
        return unit.budget.get().spent


def test_a_run_from_start_to_end(store: Store, clock: Clock) -> None:
    ids, cat, _ = labelled(store)
    run = begun(store)
    with store.write() as unit:
        made = unit.synthetic.add(run, children(ids[:2], cat), 0.5)
        unit.synthetic.add(run, children(ids[2:3], cat, start=3), 0.5, failed=1)
        assert unit.synthetic.places(run) == {0, 1, 3}
        clock.now += 9
        assert unit.synthetic.finish(run, "done")
        assert not unit.synthetic.finish(run, "failed", "late")
    with store.read() as unit:
        kept = unit.synthetic.run(run)
        assert unit.synthetic.runs() == [kept]
        child = unit.synthetic.get(made[0])
        lines = unit.budget.ledger(2)
    assert (kept.planned, kept.made, kept.failed, kept.spent) == (4, 3, 1, 1.5)
    assert (kept.state, kept.finished_at, kept.seed) == ("done", clock.now, 3)
    assert child is not None
    assert (child.parent_id, child.recipe, child.plan["seed"]) == (ids[0], "blur", 7)
    assert (child.width, child.path, child.verdict) == (64, "synthetic/1/0.png", None)
    assert [(line.kind, line.amount, line.event_id) for line in lines] == [
        ("spend", 0.5, None),
        ("spend", 1.0, None),
    ]
    assert spent(store) == 6.5
    with pytest.raises(Conflict, match="ended"), store.write() as unit:
        unit.synthetic.add(run, children(ids[:1], cat, start=9), 0.5)


@pytest.mark.parametrize(("place", "why"), [(3, "valid"), (4, "audit"), (5, "unlabelled")])
def test_parents_are_labelled_training_items(store: Store, place: int, why: str) -> None:
    ids, cat, _ = labelled(store)
    run = begun(store)
    with pytest.raises(Conflict, match="no labelled training item"), store.write() as unit:
        unit.synthetic.add(run, children([ids[0], ids[place]], cat), 1.0)
    assert spent(store) == 5.0, why
    with store.read() as unit:
        assert unit.synthetic.page() == []


def test_the_budget_is_never_overspent(store: Store) -> None:
    ids, cat, _ = labelled(store)
    run = begun(store)
    with store.write() as unit:
        unit.budget.set_total(8.0)
        unit.queue.claim("ann", "s", 1, 60, 1.0)  # reserves one
        unit.synthetic.add(run, children(ids[:2], cat), 1.0)
    with pytest.raises(Conflict, match="cannot pay 1 more"), store.write() as unit:
        unit.synthetic.add(run, children(ids[:1], cat, start=2), 1.0)
    assert spent(store) == 7.0
    with store.write() as unit:
        unit.synthetic.add(run, children(ids[:1], cat, start=2), 0.0)  # what is free needs no money
    assert spent(store) == 7.0


def test_deleting_a_run_gives_its_cost_back(store: Store) -> None:
    ids, cat, _ = labelled(store)
    run = begun(store)
    with store.write() as unit:
        first = unit.synthetic.add(run, children(ids[:2], cat), 2.0)
        with pytest.raises(Conflict, match="still runs"):
            unit.synthetic.delete(run)
        unit.synthetic.finish(run, "cancelled")
    assert spent(store) == 9.0
    with store.write() as unit:
        assert unit.synthetic.delete(run) == ["synthetic/1/0.png", "synthetic/1/1.png"]
        assert unit.synthetic.delete(run) == []
        assert unit.synthetic.run(run).state == "deleted"
        assert unit.synthetic.get(first[0]) is None
    assert spent(store) == 5.0
    again = begun(store)
    with store.write() as unit:  # numbers are never given twice: a vector belongs to one item
        assert min(unit.synthetic.add(again, children(ids[:1], cat), 0.0)) > max(first)
        with pytest.raises(NotFound):
            unit.synthetic.run(99)


def test_a_child_teaches_while_its_parent_has_the_label_it_inherited(store: Store) -> None:
    ids, cat, dog = labelled(store)
    run = begun(store)
    with store.write() as unit:
        a, b, c = unit.synthetic.add(run, children(ids[:3], cat), 0.0)

    def trainable() -> list[int]:
        with store.read() as unit:
            return [one.id for one in unit.synthetic.trainable()]

    assert trainable() == [a, b, c]
    record(store, label("again", ids[0], dog))
    assert trainable() == [b, c]
    record(store, undo("undo", "again"))
    assert trainable() == [a, b, c]
    record(store, undo("gone", f"k{ids[1]}"))
    assert trainable() == [a, c]
    with store.write() as unit:
        assert unit.synthetic.judge([c], "drop", "ann") == 1
        assert unit.synthetic.judge([a], "keep", "ann") == 1
        assert unit.synthetic.counts(run) == {"keep": 1, "drop": 1, "none": 1}
        assert [one.id for one in unit.synthetic.page(run, verdict="drop")] == [c]
        assert [one.id for one in unit.synthetic.page(run, verdict="none")] == [b]
    assert trainable() == [a]
    with store.write() as unit:
        unit.synthetic.judge([c], None, "ann")
        dropped = unit.synthetic.get(c)
    assert dropped is not None
    assert (dropped.verdict, dropped.verdict_by, dropped.verdict_at) == (None, None, None)
    assert trainable() == [a, c]
    with store.write() as unit:  # a merge moves parent and child together
        unit.classes.update(cat, archived=True, merged_into=dog)
        assert [one.class_id for one in unit.synthetic.trainable()] == [dog, dog]
        assert [one.id for one in unit.synthetic.page(class_id=dog, after=a)] == [b, c]
        assert [one.id for one in unit.synthetic.page(parent_id=ids[2])] == [c]


def test_mixtures_have_no_picture(store: Store) -> None:
    ids, cat, _ = labelled(store)
    run = begun(store)
    mixed = NewSyntheticItem(0, ids[0], cat, "latent_mixup", {"parameters": {"partner": ids[1]}})
    with store.write() as unit:
        (made,) = unit.synthetic.add(run, [mixed], 0.0)
        found = unit.synthetic.get(made)
        assert unit.synthetic.max_id() == made
    assert found is not None
    assert (found.path, found.sha256, found.plan["parameters"]["partner"]) == (None, None, ids[1])


def test_a_stopped_run_goes_on_under_another_job(store: Store, clock: Clock) -> None:
    ids, cat, _ = labelled(store)
    run = begun(store)
    with store.write() as unit:
        first, second = (unit.jobs.add("synthesis", {}, exclusive=False).id for _ in range(2))
        with pytest.raises(Conflict, match="cannot go on: it is running"):
            unit.synthetic.resume(run, first)
    with store.write() as unit:
        unit.synthetic.add(run, children(ids[:1], cat), 1.0, failed=2)
        unit.synthetic.finish(run, "failed", "killed")
        clock.now += 5
        resumed = unit.synthetic.resume(run, second)
        assert (resumed.state, resumed.job_id, resumed.finished_at) == ("running", second, None)
        assert (resumed.made, resumed.failed, resumed.error) == (1, 0, None)
        assert unit.synthetic.by_job(second) == resumed
        unit.synthetic.add(run, children(ids[1:2], cat, start=1), 1.0)
        unit.synthetic.finish(run, "done")
    with store.write() as unit:
        for job in (first, second):
            with pytest.raises(Conflict, match="it is done"):
                unit.synthetic.resume(run, job)
        with pytest.raises(NotFound):
            unit.synthetic.resume(99, first)
    assert spent(store) == 7.0
