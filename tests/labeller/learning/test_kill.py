"""A round that is killed (SIGKILL) at any moment leaves a project that goes on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from labeller import jobs
from labeller.jobs.control import get
from labeller.learning import tidy, training
from labeller.project import Project, open_project
from labeller.services import feature_recipes, rounds
from tests.labeller.learning.killed import SHORT
from tests.labeller.learning.shapes import Told, label, run, shapes

ROOT = Path(__file__).resolve().parents[3]


def submit(project: Project) -> int:
    with project.store.write() as unit:
        return unit.jobs.add("round", {"strategy": "margin", "batch": 10}, exclusive=True).id


STAY = (feature_recipes.PREFIX, feature_recipes.FILE)


def hidden(project: Project) -> set[str]:
    """Return what lies in the project's folders of models and vectors."""
    return {path.name for folder in (project.models, project.vectors) for path in folder.iterdir()}


def kill(project: Project, job_id: int, moment: str) -> None:
    """Run a job in a process that is killed at a moment."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.labeller.learning.killed", project.root, str(job_id), moment],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        pytest.param("training", False, marks=pytest.mark.slow),
        pytest.param("before the model's folder is renamed", False, marks=pytest.mark.slow),
        ("before the last transaction", False),
        pytest.param("inside the last transaction", False, marks=pytest.mark.slow),
        pytest.param("after the last transaction", True, marks=pytest.mark.slow),
    ],
)
def test_killed(tmp_path: Path, moment: str, counts: bool) -> None:
    project = shapes(tmp_path / "p", 45)
    label(project, range(1, 22))
    first = run(project)
    with project.store.read() as unit:
        before = unit.queue.entries()
    label(project, [before[0].item_id])
    job_id = submit(project)
    kill(project, job_id, moment)

    (reaped,) = jobs.reap(project)
    assert (reaped.id, reaped.state) == (job_id, "failed")
    assert "killed" in (reaped.error or "")
    with project.store.read() as unit:
        record = unit.rounds.by_job(job_id)
        model = unit.models.in_use()
        entries = unit.queue.entries()
    assert record is not None
    assert model is not None
    if counts:
        assert (record.state, record.model_id) == ("done", model.id)
    else:
        assert record.state == "failed"
        assert model.id == first["model"]
        assert {e.item_id for e in entries} == {e.item_id for e in before}

    result = run(project)
    assert result["queued"] == 10
    number = result["round"]
    models = {f"round-{n:04d}" for n in ({0, 1, number} if counts else {0, number})}
    vectors = {name for name in hidden(project) if not name.startswith(STAY)} - models
    kinds = ("predictions", "energies")
    assert vectors == {
        f"{kind}-round-{number:04d}.f32{end}" for kind in kinds for end in ("", ".has", ".sum")
    }
    assert models <= hidden(project)


def test_a_killed_fine_tuning_goes_on_in_the_next_round_though_labels_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FineTuneConfig", SHORT)
    made = shapes(tmp_path / "one", 45, training="fine_tune", device="cpu")
    label(made, range(1, 31))
    made.store.close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    straight, broken = (open_project(tmp_path / name) for name in ("one", "two"))
    expected = run(straight)

    kill(broken, submit(broken), "after a checkpoint")
    jobs.reap(broken)
    kept = list((broken.models / tidy.CHECKPOINTS).iterdir())
    assert [file.suffix for file in kept] == [".pt"]
    label(broken, [31, 34])  # labelling never waits
    told = Told()
    result = run(broken, progress=told)
    assert [d["epoch"] for d in told.details if "epoch" in d] == [2, 3, 4]
    weights = [
        torch.load(project.models / f"round-{made['round']:04d}" / "weights.pt", weights_only=True)
        for project, made in ((straight, expected), (broken, result))
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with straight.store.read() as unit, broken.store.read() as other:
        wanted, model = unit.models.get(expected["model"]), other.models.get(result["model"])
        record = other.rounds.latest()
        assert other.labels.set_hash() != model.label_hash
    assert (model.label_hash, model.labels) == (wanted.label_hash, wanted.labels)
    assert model.config["labels_by_class"] == wanted.config["labels_by_class"]
    assert record is not None
    assert (record.labels, record.spent) == (30, 30)
    assert "Went on with the training that was interrupted at 20" in result["message"]
    assert "; the 2 labels given since come with the next round." in result["message"]
    assert not list((broken.models / tidy.CHECKPOINTS).iterdir())


@pytest.mark.slow
def test_same_data_seed_and_device_give_the_same_model_in_two_processes(tmp_path: Path) -> None:
    made = shapes(tmp_path / "one", 60, start_workers=False)
    label(made, range(1, 41))
    rounds.first_queue(made)
    made.store.close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    projects = [open_project(tmp_path / name) for name in ("one", "two")]
    started = [rounds.start_round(project).id for project in projects]
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "labeller", "worker", project.root, "--job", str(job)]
        )
        for project, job in zip(projects, started, strict=True)
    ]
    assert [worker.wait(timeout=200) for worker in workers] == [0, 0]
    told = []
    for project, job_id in zip(projects, started, strict=True):
        assert get(project, job_id).state == "done", get(project, job_id).error
        with project.store.read() as unit:
            model = unit.models.in_use()
            queue = [(e.item_id, e.score) for e in unit.queue.entries()]
        assert model is not None
        told.append((json.dumps(dict(model.metrics)), model.label_hash, queue))
    assert told[0] == told[1]
    assert json.loads(told[0][0])["n"] == 9
