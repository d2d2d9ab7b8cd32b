"""How good the default model is, against what was measured before it was built (slow)."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import pytest

from benchmarks import accuracy
from labeller.services import demo
from labeller.services.evaluation_scores import wilson
from store.records import NewEvent
from tests.labeller.learning.shapes import run

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not accuracy.DATA.exists(), reason="needs the package dataset-fashion-mnist")
def test_random_labels_are_worth_at_least_what_was_measured() -> None:
    rows, classes, pool = accuracy.features()
    for labels, measured in accuracy.MEASURED.items():
        found, _ = accuracy.accuracies(rows, classes, pool, labels, 3)
        right = round(statistics.median(found) * accuracy.TEST)
        low, high = wilson(right, accuracy.TEST)
        assert high >= max(measured), f"{labels} labels: {low:.3f} to {high:.3f}"


def test_the_audit_of_the_demo_with_500_random_labels(tmp_path: Path) -> None:
    project = demo.create_demo(tmp_path / "demo")
    truth = demo.truth()
    with project.store.write() as unit:
        classes = {one.name: one.id for one in unit.classes.all()}
        items = [item for part in unit.items.stream() for item in part]
        train = [item for item in items if item.split == "train"]
        others = [item for item in items if item.split != "train"]
        chosen = np.random.default_rng(0).permutation(len(train))[:500]
        have = set(unit.items.ids(state="labelled").tolist())
        wanted = [*(train[i] for i in chosen), *others]
        events = [
            NewEvent(
                key=f"test:{item.id}",
                kind="label",
                item_id=item.id,
                class_id=classes[truth[item.sha256]],
            )
            for item in wanted
            if item.id not in have
        ]
        unit.labels.record("test", None, "import", events, 0.0)
        labelled = {i for i in have if i in {item.id for item in train}}
        keep = {train[i].id for i in chosen}
        clears = [
            NewEvent(key=f"clear:{item}", kind="clear", item_id=item) for item in labelled - keep
        ]
        unit.labels.record("import", None, "import", clears, 0.0)
    result = run(project)
    with project.store.read() as unit:
        metrics = unit.models.get(result["model"]).metrics
    assert abs(metrics["train_n"] - 500) <= 5, "near-duplicates follow their twins"
    assert metrics["n"] > 200
    low, high = metrics["interval"]
    assert high >= max(accuracy.MEASURED[500]), f"{metrics['accuracy']} ({low} to {high})"
    assert metrics["ece_after"] <= metrics["ece_before"] + 0.02
