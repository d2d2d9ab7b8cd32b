"""Numbers about models against hand calculation, scipy and scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from labeller.project import Project, create_project
from labeller.services import evaluation, evaluation_curve
from labeller.services.evaluation_scores import wilson
from store.records import NewEvent, NewItem, NewModel, NewQueueEntry, Split


def test_confusion_has_true_rows_and_predicted_columns() -> None:
    table = evaluation.confusion(np.array([0, 0, 2, 1]), np.array([0, 2, 2, 2]), 4)
    assert table.tolist() == [[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_per_class_is_that_of_scikit_learn_and_none_where_undefined() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    rows = evaluation.per_class(evaluation.confusion(truth, predicted, 4), [7, 8, 9, 10])
    precision, recall, _, n = sklearn.metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(3)
    )
    assert [row["precision"] for row in rows[:3]] == pytest.approx(precision)
    assert [row["recall"] for row in rows[:3]] == pytest.approx(recall)
    assert [row["n"] for row in rows[:3]] == n.tolist()
    assert rows[3] == {"class_id": 10, "n": 0, "precision": None, "recall": None}


def test_log_loss_is_that_of_scikit_learn_and_finite_for_an_impossible_truth() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), 40)
    truth = rng.integers(0, 4, 40)
    expected = sklearn.metrics.log_loss(truth, probs, labels=range(4))
    assert evaluation.log_loss(probs, truth) == pytest.approx(expected)
    assert evaluation.log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(
        27.63, abs=0.01
    )


def test_calibration_error_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    truth = np.array([0, 1, 0, 0])
    # in the bin of 0.9 half are right, in that of 0.6 all: (0.4 + 0.4) / 2
    assert evaluation.calibration_error(probs, truth) == pytest.approx(0.4)
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert evaluation.calibration_error(sure, np.array([0, 1])) == 0


def test_audit_metrics_of_nothing_say_why() -> None:
    metrics = evaluation.audit_metrics(np.empty((0, 2)), np.empty(0, np.int64), [1, 2])
    assert metrics["accuracy"] is None
    assert metrics["interval"] is None
    assert metrics["n"] == 0
    assert metrics["why"].startswith("No item of the audit set")
    assert metrics["confusion"] == [[0, 0], [0, 0]]


def test_audit_metrics() -> None:
    probs = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    metrics = evaluation.audit_metrics(probs, np.array([0, 1, 1]), [4, 6])
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["interval"] == list(wilson(2, 3))
    assert metrics["confusion"] == [[1, 0], [1, 1]]
    assert metrics["log_loss"] == pytest.approx(-np.log([0.8, 0.7, 0.4]).mean())


def add_items(project: Project, splits: list[Split]) -> list[int]:
    items = [
        NewItem(f"{i:064}", f"images/{i}.png", True, 9, 9, "PNG", 9, f"g{i}", split)
        for i, split in enumerate(splits)
    ]
    with project.store.write() as unit:
        return unit.items.add(items)


def model(accuracy: float | None, n: int = 10) -> NewModel:
    right = round((accuracy or 0) * n)
    metrics: dict[str, Any] = {"accuracy": accuracy, "interval": None, "n": n}
    if accuracy is not None:
        metrics["interval"] = list(wilson(right, n))
    return NewModel("models/m", "0" * 64, 5, 0, "b", "CPU", (1, 2), {}, metrics, {}, {})


def test_the_curve_has_a_point_for_each_audited_model(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "b"])
    items = add_items(project, ["train", "audit", "train"])
    with project.store.write() as unit:
        told = [("random", 0, 0.0, None), ("margin", 9, 9.0, None), ("entropy", 20, 15.5, 0.8)]
        for strategy, labels, spent, accuracy in told:
            round_ = unit.rounds.start(strategy, 5, None, labels, spent)
            made = unit.models.add(model(accuracy), round_.id) if labels else None
            queued = unit.queue.replace([NewQueueEntry(items[0], strategy, None)], round_.id)
            unit.rounds.finish(round_.id, "done", made.id if made else None, queued)
        failed = unit.rounds.start("margin", 5, None, 30, 30.0)
        unit.rounds.finish(failed.id, "failed", error="killed")
    (point,) = evaluation_curve.learning_curve(project)
    assert (point.labels, point.spent, point.accuracy, point.round) == (20, 15.5, 0.8, 2)
    assert (point.strategy, point.bought_by, point.audited) == ("entropy", "margin", 10)
    assert (point.low, point.high) == wilson(8, 10)


def test_class_balance_counts_each_split(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "b", "c"])
    items = add_items(project, ["train", "train", "valid", "audit"])
    with project.store.write() as unit:
        a, b, _ = (one.id for one in unit.classes.all())
        events = [
            NewEvent(key=str(i), kind="label", item_id=i, class_id=c)
            for i, c in zip(items, [a, a, b, a], strict=True)
        ]
        unit.labels.record("anna", "s", "page", events, 1.0)
    rows = evaluation.class_balance(project)
    assert [(r.name, r.train, r.valid, r.audit, r.total) for r in rows] == [
        ("a", 2, 0, 1, 3),
        ("b", 0, 1, 0, 1),
        ("c", 0, 0, 0, 0),
    ]
