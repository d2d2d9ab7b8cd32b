"""Rounds, models, predictions, budget lines, settings, imports and annotators."""

from __future__ import annotations

import numpy as np
import pytest

from store.errors import Conflict, NotFound
from store.records import ImportProblem, ImportRecord, NewModel
from store.store import Store
from tests.store.build import Clock


def new_model(**metrics: object) -> NewModel:
    return NewModel(
        path="models/1",
        label_hash="a" * 64,
        labels=100,
        seed=0,
        backbone="efficientnet_lite0",
        device="cpu",
        class_ids=(2, 1),
        config={"dropout": 0.75},
        metrics=metrics,
        timings={"train": 1.5},
        versions={"torch": "2.15"},
    )


def test_rounds_are_numbered_from_zero(store: Store, clock: Clock) -> None:
    with store.write() as unit:
        job = unit.jobs.add("round", {}, True)
        first = unit.rounds.start("typiclust", 100, None, 0, 0)
        assert (first.number, first.state, first.labels, first.spent) == (0, "running", 0, 0.0)
        assert unit.rounds.finish(first.id, "done", queued=100, timings={"select": 0.25})
        clock.now += 1
        second = unit.rounds.start("margin", 50, job.id, 100, 99.5)
        model = unit.models.add(new_model(), second.id)
        clock.now += 1
        assert unit.rounds.finish(second.id, "done", model.id, 50, {"train": 2.0})
        assert not unit.rounds.finish(second.id, "failed", error="late")
    with store.read() as unit:
        all_ = unit.rounds.all()
        assert [one.number for one in all_] == [0, 1]
        assert (all_[0].queued, all_[0].timings, all_[0].model_id) == (100, {"select": 0.25}, None)
        assert unit.rounds.latest() == unit.rounds.by_job(job.id) == all_[1]
        assert (all_[1].model_id, all_[1].spent, all_[1].state) == (model.id, 99.5, "done")
        assert all_[1].finished_at == clock.now
        assert unit.rounds.by_job(99) is None
        assert unit.rounds.get(first.id) == all_[0]
        with pytest.raises(NotFound):
            unit.rounds.get(99)


def test_models_are_put_in_use_and_deleted(store: Store, clock: Clock) -> None:
    with store.write() as unit:
        started = unit.rounds.start("margin", 50, None, 3, 3)
        first = unit.models.add(new_model(), started.id)
        second = unit.models.add(new_model(), started.id)
        with pytest.raises(Conflict, match="is in use"):
            unit.models.delete(second.id)
        assert unit.models.use(first.id).in_use
        assert unit.models.in_use() == unit.models.get(first.id)
        unit.models.use(second.id)
        run = unit.generated.start("stream", first.id, "split", {}, {})
        with pytest.raises(Conflict, match="A stream goes by"):
            unit.models.delete(first.id)
        unit.generated.set_state(run.id, "finished")
        gone = unit.models.delete(first.id)
        clock.now += 1
        assert unit.models.delete(first.id) == gone
        assert gone.deleted_at == clock.now - 1
        with pytest.raises(Conflict, match="was deleted"):
            unit.models.use(first.id)
        with pytest.raises(NotFound):
            unit.models.use(99)
        assert [one.id for one in unit.models.all()] == [first.id, second.id]
        assert unit.models.in_use() == unit.models.get(second.id)


def test_a_failed_round(store: Store) -> None:
    with store.write() as unit:
        assert unit.rounds.latest() is None
        started = unit.rounds.start("margin", 50, None, 3, 3)
        assert unit.rounds.finish(started.id, "failed", error="only one class has labels")
        ended = unit.rounds.get(started.id)
    assert (ended.state, ended.error, ended.timings) == ("failed", "only one class has labels", {})


def test_the_newest_model_is_in_use(store: Store) -> None:
    with store.write() as unit:
        assert unit.models.in_use() is None
        started = unit.rounds.start("margin", 50, None, 3, 3)
        first = unit.models.add(new_model(accuracy=0.5), started.id)
        second = unit.models.add(new_model(accuracy=0.75), started.id)
    with store.read() as unit:
        assert unit.models.in_use() == second
        assert [model.in_use for model in unit.models.all()] == [False, True]
        assert unit.models.get(first.id).metrics == {"accuracy": 0.5}
        assert second.class_ids == (2, 1)
        assert (second.config, second.timings) == ({"dropout": 0.75}, {"train": 1.5})
        with pytest.raises(NotFound):
            unit.models.get(99)


def test_numpy_and_nan_in_metrics_become_plain_json(store: Store) -> None:
    metrics = {
        "accuracy": np.float32(0.5),
        "confusion": np.eye(2, dtype=np.int64),
        "log_loss": float("nan"),
        "interval": (0.25, np.inf),
        1: "key",
    }
    with store.write() as unit:
        started = unit.rounds.start("margin", 50, None, 3, 3)
        model = unit.models.add(new_model(**{str(k): v for k, v in metrics.items()}), started.id)
    assert model.metrics == {
        "accuracy": 0.5,
        "confusion": [[1, 0], [0, 1]],
        "log_loss": None,
        "interval": [0.25, None],
        "1": "key",
    }


def test_predictions(store: Store, clock: Clock) -> None:
    with store.write() as unit:
        started = unit.rounds.start("margin", 50, None, 3, 3)
        model = unit.models.add(new_model(), started.id)
        assert unit.predictions.get(model.id) is None
        unit.predictions.add(model.id, "vectors/old.f16", 9, 1.0)
        noted = unit.predictions.add(model.id, "vectors/probs-1.f16", 10, 1.25)
        assert unit.predictions.get(model.id) == noted
        assert (noted.file, noted.items, noted.temperature) == ("vectors/probs-1.f16", 10, 1.25)
        assert noted.created_at == clock.now
        assert unit.predictions.drop(model.id)
        assert not unit.predictions.drop(model.id)


def test_the_budget_and_its_ledger(store: Store, clock: Clock) -> None:
    with store.read() as unit:
        assert unit.budget.get().total is None
        assert unit.budget.get().free is None
    with store.write() as unit:
        assert unit.budget.set_total(12.3456, "first grant").total == 12.346
        unit.budget.set_total(0)
        assert unit.budget.set_total(None).left is None
        lines = unit.budget.ledger(limit=2)
    assert [(line.kind, line.amount, line.note) for line in lines] == [
        ("set", 0.0, "no limit"),
        ("set", 0.0, None),
    ]
    assert lines[0].at == clock.now


def test_settings_hold_any_json(store: Store) -> None:
    with store.write() as unit:
        assert unit.settings.get("a") is None
        assert unit.settings.get("a", 5) == 5
        unit.settings.set("a", {"x": [1, None, "ü"]})
        unit.settings.set("a", [1, 2])
        unit.settings.set("none", None)
        assert unit.settings.get("none", 5) is None
    with store.read() as unit:
        assert unit.settings.all() == {"a": [1, 2], "none": None}


def test_imports(store: Store, clock: Clock) -> None:
    started = clock.now
    with store.write() as unit:
        first = unit.imports.start("/photos")
        problems = [ImportProblem(f"/photos/{n}.jpg", "is empty", "copy again") for n in range(700)]
        unit.imports.problem(first, problems)
        unit.imports.problem(first, ImportProblem("/photos/x.jpg", "is cut short"))
        clock.now += 2
        unit.imports.finish(first, added=5, known=2, labelled=1, failed=701, cancelled=True)
        second = unit.imports.start("/more")
    with store.read() as unit:
        newest, oldest = unit.imports.all()
        assert (newest.id, newest.finished_at) == (second, None)
        assert oldest == ImportRecord(first, "/photos", started, clock.now, 5, 2, 1, 701, True)
        assert unit.imports.problem_count(first) == 701
        assert unit.imports.problems(first, limit=2, offset=699) == [
            problems[699],
            ImportProblem("/photos/x.jpg", "is cut short", ""),
        ]
        assert unit.imports.problems(second) == []


def test_annotators(store: Store) -> None:
    with store.write() as unit:
        ann = unit.annotators.ensure("ann")
        assert unit.annotators.ensure("Zoë") != ann
        assert unit.annotators.ensure("ann") == ann
        assert unit.annotators.all() == ["Zoë", "ann"]
