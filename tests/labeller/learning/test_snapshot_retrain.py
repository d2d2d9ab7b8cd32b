"""A project restored from its snapshot trains to the same model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.project import Project, open_project
from labeller.services import audit_files, classes, feature_recipes, leak_guard
from labeller.services.feature_recipes import Recipe
from labeller.services.snapshot_files import read_manifest
from labeller.services.snapshot_restore import restore_snapshot
from labeller.services.snapshots import export_snapshot
from store.records import ModelRecord
from store.records_leaks import LinkRecord
from tests.labeller.learning.shapes import label, run, shapes

FIGURES = ("n", "accuracy", "temperature", "valid_accuracy", "ece_after", "log_loss", "train_n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose labels disagree with the images here and there, after a round."""
    folder = tmp_path_factory.mktemp("snapshot")
    project = shapes(folder / "here", 60, seed=7, workers=1, leak_distance=0.3)
    with project.store.write() as unit:
        last = unit.classes.all()[-1].id
        twins = [LinkRecord(item + 20, item, "hash", 4.0) for item in (1, 5, 9, 13)]
        unit.leaks.link(twins, checked=False)
    classes.move(project, last, 0)  # class ids are not in the order of the columns
    rng = np.random.default_rng(5)
    label(project, range(1, 43), rng.integers(0, 3, 42).tolist())
    label(project, range(43, 49))
    run(project)
    return project


def model_of(project: Project) -> ModelRecord:
    with project.store.read() as unit:
        model = unit.models.in_use()
    assert model is not None
    return model


def figures(model: ModelRecord) -> dict[str, Any]:
    return {name: model.metrics[name] for name in FIGURES}


def test_a_round_elsewhere_gives_the_same_model(trained: Project, tmp_path: Path) -> None:
    here = model_of(trained)
    exported = export_snapshot(trained, tmp_path / "snapshot")
    manifest = read_manifest(tmp_path / "snapshot")
    assert exported.with_metrics
    assert manifest.model is not None
    assert {name: manifest.model["metrics"][name] for name in FIGURES} == figures(here)
    assert len(manifest.backbone["weights_sha256_begins"]) == 16
    shutil.move(tmp_path / "snapshot", tmp_path / "elsewhere")

    restored = restore_snapshot(tmp_path / "elsewhere", tmp_path / "there")
    assert restored.notes == ()
    there_project = open_project(tmp_path / "there")
    assert leak_guard.overview(trained).runs, "the guard had something to do here"
    recipe = Recipe.of(here.config["recipe"])
    assert feature_recipes.begun(there_project, here.backbone) == recipe
    run(there_project)
    assert not leak_guard.overview(there_project).runs, "and does it not a second time"

    there = model_of(there_project)
    assert there.label_hash == here.label_hash == restored.label_hash
    assert here.metrics["n"] > 5
    assert here.metrics["accuracy"] < 1
    assert there.metrics["confusion"] == here.metrics["confusion"]
    for name in FIGURES:
        assert there.metrics[name] == pytest.approx(here.metrics[name], abs=1e-6)
    mine, theirs = audit_files.read(trained, here), audit_files.read(there_project, there)
    assert len(mine.item_ids) > here.metrics["n"]
    assert np.ptp(mine.probs, axis=0).min() > 0.1
    np.testing.assert_array_equal(mine.item_ids, theirs.item_ids)
    np.testing.assert_allclose(theirs.probs, mine.probs, atol=1e-6)


def test_one_other_label_gives_another_model(trained: Project, tmp_path: Path) -> None:
    """The comparison above is one that can fail."""
    with trained.store.read() as unit:
        ids, _, splits = unit.labels.arrays()
    first = int(ids[splits.index("train")])
    export_snapshot(trained, tmp_path / "snapshot")
    restore_snapshot(tmp_path / "snapshot", tmp_path / "there")
    there = open_project(tmp_path / "there")
    with there.store.read() as unit:
        now = unit.labels.current(first)
        names = [one.id for one in unit.classes.all()]
    assert now is not None
    other = next(place for place, one in enumerate(names) if one != now.class_id)
    label(there, [first], [other])
    run(there)
    assert model_of(there).label_hash != model_of(trained).label_hash
    mine = audit_files.read(trained, model_of(trained)).probs
    assert np.abs(audit_files.read(there, model_of(there)).probs - mine).max() > 1e-4
