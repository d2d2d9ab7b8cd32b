"""What an ablation says: arithmetic on predictions, kept with a model and read again."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from labeller.project import create_project
from labeller.services import ablations
from labeller.services.evaluation_scores import wilson
from store.records import ModelRecord, NewModel


def model_of(told: object) -> ModelRecord:
    """Return a model whose metrics hold an ablation."""
    return ModelRecord(
        id=7,
        round_id=3,
        path="models/x",
        label_hash="h",
        labels=9,
        seed=0,
        backbone="b",
        device="cpu",
        class_ids=(4, 9),
        config={},
        metrics={"ablation": told} if told else {},
        timings={},
        versions={},
        created_at=0.0,
        in_use=True,
    )


def test_a_comparison_is_counted_by_hand() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    new = np.array([0, 0, 1, 1, 1, 1, 1, 0])
    old = np.array([0, 1, 0, 0, 0, 0, 1, 0])
    told = ablations.compared(truth, new, old, (4, 9))
    assert (told["n"], told["gained"], told["lost"]) == (8, 4, 1)
    assert told["difference"] == 3 / 8
    # of five that flipped, one or fewer the rarer way: 2 · (1 + 5) / 32
    assert told["p_value"] == pytest.approx(12 / 32)
    assert told["significant"] is False
    assert told["with"] == {"accuracy": 6 / 8, "interval": list(wilson(6, 8))}
    assert told["without"] == {"accuracy": 3 / 8, "interval": list(wilson(3, 8))}
    assert told["classes"] == [
        {"class_id": 4, "n": 3, "with": 2, "without": 2},
        {"class_id": 9, "n": 5, "with": 4, "without": 1},
    ]
    assert "why" not in told


@pytest.mark.parametrize("seed", range(5))
def test_a_comparison_agrees_with_counting_item_by_item(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    truth, new, old = rng.integers(0, 3, (3, n))
    told = ablations.compared(truth, new, old, (1, 2, 3))
    gained = lost = 0
    for t, a, b in zip(truth, new, old, strict=True):
        gained += a == t != b
        lost += b == t != a
    assert (told["gained"], told["lost"]) == (gained, lost)
    flips = gained + lost
    tail = sum(math.comb(flips, k) for k in range(min(gained, lost) + 1)) / 2**flips
    assert told["p_value"] == pytest.approx(min(1.0, 2 * tail))
    assert told["with"]["accuracy"] - told["without"]["accuracy"] == pytest.approx(
        told["difference"]
    )
    assert sum(one["n"] for one in told["classes"]) == n
    assert json.loads(json.dumps(told)) == told


def test_an_ablation_is_read_back() -> None:
    truth = np.zeros(20, np.int64)
    told = ablations.compared(truth, truth, np.r_[truth[:8], truth[:12] + 1], (4, 9))
    found = ablations.of(model_of({**told, "synthetic": 5, "digest": "d"}), 2)
    assert found is not None
    assert (found.round, found.model_id, found.synthetic, found.n) == (2, 7, 5, 20)
    assert found.with_synthetic == ablations.Score(1.0, *wilson(20, 20))
    assert found.without == ablations.Score(0.4, *wilson(8, 20))
    assert (found.gained, found.lost, found.difference) == (12, 0, 0.6)
    assert found.p_value == pytest.approx(2 / 2**12)
    assert (found.significant, found.verdict, found.why) == (True, "better", None)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 0.6 < found.high <= 1
    assert found.classes[0] == ablations.ClassScore(4, 20, 20, 8)
    worse = ablations.compared(truth, np.r_[truth[:8], truth[:12] + 1], truth, (4, 9))
    found = ablations.of(model_of({**worse, "synthetic": 5, "digest": "d"}))
    assert found is not None
    assert found.verdict == "worse"


def test_without_audit_labels_there_are_no_figures() -> None:
    nothing = np.empty(0, np.int64)
    told = ablations.compared(nothing, nothing, nothing, (4, 9))
    found = ablations.of(model_of({**told, "synthetic": 5, "digest": "d"}))
    assert found is not None
    assert (found.n, found.with_synthetic, found.difference, found.p_value) == (0, None, None, None)
    assert found.why == "No item of the audit set is labelled yet."
    assert found.verdict == "no difference shown"
    assert ablations.of(model_of(None)) is None


def test_those_of_a_project_come_newest_first(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "b"], start_workers=False)
    right = np.zeros(4, np.int64)
    told = {**ablations.compared(right, right, right + 1, (1, 2)), "synthetic": 3, "digest": "d"}
    with project.store.write() as unit:
        for metrics in ({"ablation": told}, {}, {"ablation": {**told, "synthetic": 8}}):
            job = unit.jobs.add("round", {}, exclusive=False)
            round_ = unit.rounds.start("margin", 5, job.id, 4, 4.0)
            model = NewModel("m", "h", 4, 0, "b", "cpu", (1, 2), {}, metrics, {}, {})
            made = unit.models.add(model, round_.id)
            unit.rounds.finish(round_.id, "done", model_id=made.id)
    found = ablations.all_of(project)
    assert [(one.round, one.synthetic) for one in found] == [(2, 8), (0, 3)]
