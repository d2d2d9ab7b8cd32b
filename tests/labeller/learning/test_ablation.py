"""A round that learns from synthetic items says what they bought."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.learning import heads
from labeller.learning.saved import load_audit
from labeller.project import Project, open_project
from labeller.services import ablations, synthesis
from labeller.services.synthesis import SynthesisPlan
from store.records import ModelRecord
from tests.labeller import synthesised
from tests.labeller.learning.shapes import Told, label, run, shapes

LABELLED = 60

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose training labels are half wrong, so that no model is right on everything."""
    root = tmp_path_factory.mktemp("before") / "p"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=18))
        project = shapes(root, 75, start_workers=False)
        with project.store.read() as unit:
            splits = {i: item.split for i, item in unit.items.many(range(1, 76)).items()}
        wrong = [i for i in range(1, LABELLED + 1) if splits[i] == "train" and i % 5 < 2]
        true = [i for i in range(1, LABELLED + 1) if i not in wrong]
        label(project, true)
        label(project, wrong, [i % 3 for i in wrong])
        run(project)
    project.store.close()
    yield root
    shutil.rmtree(root)


@pytest.fixture
def project(before: Path, tmp_path: Path) -> Project:
    """A copy of the project with its first model, which knew no synthetic item."""
    shutil.copytree(before, tmp_path / "p")
    return open_project(tmp_path / "p")


def models(project: Project) -> list[ModelRecord]:
    with project.store.read() as unit:
        return unit.models.all()


def right(project: Project, model: ModelRecord) -> np.ndarray[Any, np.dtype[np.bool_]]:
    ids, truth, probs = load_audit(project, model)
    assert ids.tolist() == sorted(ids.tolist())
    guessed = np.array(model.class_ids)[probs.argmax(axis=1)]
    return np.asarray(guessed == truth, np.bool_)


def test_with_and_without_on_the_audit_set(project: Project) -> None:
    made = synthesised.run(project, SynthesisPlan("balance", 30, seed=1))["made"]
    told = Told()
    result = run(project, progress=told)
    old, new = models(project)
    metrics = new.metrics["ablation"]
    assert list(dict.fromkeys(told.stages)) == [
        *("features", "synthetic", "train", "calibrate", "evaluate", "ablate"),
        *("predict", "select", "queue"),
    ]
    assert new.config["synthetic"] == metrics["synthetic"] == made
    assert new.config["synthetic_digest"] == metrics["digest"]
    assert len(metrics["digest"]) == 64
    assert new.metrics["train_n"] == old.metrics["train_n"]  # labels by people
    assert new.metrics["valid_n"] == old.metrics["valid_n"]
    assert new.label_hash == old.label_hash
    # the same labels and seed gave the first model, which is therefore the one without
    assert metrics["n"] == new.metrics["n"] == old.metrics["n"] == 12
    assert metrics["without"]["accuracy"] == old.metrics["accuracy"]
    assert metrics["with"]["accuracy"] == new.metrics["accuracy"] == result["audit_accuracy"]
    assert metrics["with"]["interval"] == new.metrics["interval"]
    was, now = right(project, old), right(project, new)
    assert metrics["gained"] == (now & ~was).sum()
    assert metrics["lost"] == (was & ~now).sum()
    found = ablations.all_of(project)
    assert [(one.round, one.model_id, one.synthetic) for one in found] == [(1, new.id, made)]
    assert "ablation" not in old.metrics
    assert "synthetic" not in old.config


def test_dropped_children_teach_no_more(project: Project) -> None:
    synthesised.run(project, SynthesisPlan("balance", 6, {"hflip": {}, "crop": {}}, seed=1))
    ids = [one.id for one in synthesised.children(project, 1)]
    synthesis.judge(project, ids, "drop", "ann")
    told = Told()
    run(project, progress=told)
    old, new = models(project)
    assert "ablation" not in new.metrics
    assert not {"synthetic", "ablate"} & set(told.stages)
    assert {**new.metrics, "temperature": 0} == {**old.metrics, "temperature": 0}


def test_mixtures_teach_with_shared_labels(project: Project) -> None:
    synthesised.run(project, SynthesisPlan("latent_mixup", 40, seed=1))
    synthesised.run(project, SynthesisPlan("interpolate", 10, seed=1))
    run(project)
    old, new = models(project)
    assert new.metrics["ablation"]["synthetic"] == 50
    assert new.metrics["ablation"]["without"]["accuracy"] == old.metrics["accuracy"]
    assert not (project.root / "synthetic" / "1" / "0.png").exists()
    file, other = (load_audit(project, one)[2] for one in (new, old))
    assert not np.array_equal(file, other)  # they did teach something


def test_children_that_cannot_be_read_are_left_out(project: Project) -> None:
    synthesised.run(project, SynthesisPlan("balance", 6, {"hflip": {}, "crop": {}}, seed=1))
    for child in synthesised.children(project, 1)[:2]:
        project.file(child.path or "").unlink()
    result = run(project)
    assert models(project)[1].config["synthetic"] == 4
    assert "2 synthetic items could not be learned from" in result["message"]
