"""The stream as a job: cancelled, killed, followed; new items predicted by the model of the run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from labeller.errors import JobCancelled
from labeller.learning import snapshot, tidy
from labeller.learning import training as training_module
from labeller.learning.saved import load_model
from labeller.learning.snapshot import Labels
from labeller.learning.stream_job import run_stream_job
from labeller.progress import Silent
from labeller.project import change_settings
from labeller.services import energies, streams, streams_run
from labeller.services.streams_pool import source_of
from store.vectors import VectorFile
from tests.labeller.learning.shapes import Told, add_shapes, label, run, shapes
from tests.labeller.streaming import add_model, do_jobs, fixed, pool, probabilities


def test_cancelled_and_gone_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = pool(tmp_path / "p", [0.99] * 40, [0] * 40, budget=5)
    started = streams.start(project, fixed())
    real = streams_run.advance
    monkeypatch.setattr(streams_run, "advance", partial(real, size=10))
    with project.store.write() as unit:
        job = unit.jobs.claim("here", 1)
        assert job is not None
    with pytest.raises(JobCancelled):
        run_stream_job(project, job, Told("stream", JobCancelled("stop")))
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "cancelled")
    (view,) = streams.runs(project)
    assert (view.run.state, view.run.reason) == ("paused", streams_run.STOPPED)
    assert view.run.accepted == 10
    assert view.unreached == 30
    monkeypatch.setattr(streams_run, "advance", real)
    streams.go_on(project, started.id)
    assert do_jobs(project).state == "done"
    assert streams.runs(project)[0].run.accepted == 40


def test_a_later_round_leaves_the_predictions_of_a_stream_alone(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.99] * 40, [0] * 40, budget=5)
    started = streams.start(project, fixed(follow=True))
    newer = add_model(project, [1], probabilities([0.5], [0]))
    with project.store.write() as unit:
        assert tidy.supersede(unit, newer) == []
    do_jobs(project)
    (view,) = streams.runs(project)
    assert (view.outdated, view.run.accepted, view.run.reason) == (True, 40, streams_run.WAITS)
    streams.finish(project, started.id)
    with project.store.write() as unit:
        assert tidy.supersede(unit, newer) == ["vectors/predictions-round-0000.f32"]


@pytest.mark.usefixtures("quick")
def test_new_items_are_predicted_by_the_model_of_the_run(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60, start_workers=False)
    label(project, range(1, 31))
    run(project, batch=5)
    with project.store.write() as unit:
        unit.queue.replace([])
        model = unit.models.in_use()
    assert model is not None
    early = add_shapes(project, range(60, 75), ["train"])
    add_shapes(project, [75], ["train"])
    (project.root / "images" / "0075.png").write_bytes(b"no picture")
    plan = fixed(follow=True, error=0.5, options={"threshold": 0.2}, ask_at_most=5)
    assert streams.outlook(project, plan).new_items == 16
    started = streams.start(project, plan)
    done = do_jobs(project)
    assert done.error is None
    assert done.result is not None
    assert done.result["unpredicted"] == 1
    (view,) = streams.runs(project)
    assert (view.run.state, view.run.reason) == ("paused", streams_run.WAITS)
    with project.store.read() as unit:
        log = unit.generated_labels.decisions(started.id, limit=1_000)
        source = source_of(project, unit, model.id)
        pool_ids = unit.items.ids(state="unlabelled", split=("train", "valid"))
    assert [one.item_id for one in log] == pool_ids.tolist()[:-1]  # all but the one that is none
    again = load_model(project, model)
    (_, probs), *_ = again.probs(np.array(early), Silent())
    np.testing.assert_allclose(source.file.read(early), probs)
    kept = energies.path_of(source.file.path)
    assert VectorFile.open(kept, 1, "float32", source.file.tag).has(early).all()
    by_item = {one.item_id: one for one in log}
    assert by_item[early[0]].confidence == pytest.approx(probs[0].max())

    assert streams.follow_arrivals(project) is None  # nothing came
    late = add_shapes(project, range(80, 84), ["train", "valid", "audit"])
    job = streams.follow_arrivals(project)
    assert job is not None
    do_jobs(project)
    with project.store.read() as unit:
        log = unit.generated_labels.decisions(started.id, after=late[0] - 1)
        audit = set(unit.items.ids(split="audit").tolist())
    assert [one.item_id for one in log] == [item for item in late if item not in audit]
    streams.finish(project, started.id)
    add_shapes(project, [90], ["train"])
    assert streams.follow_arrivals(project) is None


@pytest.mark.usefixtures("quick")
def test_rounds_do_not_pick_what_has_a_generated_label(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60, start_workers=False)
    label(project, range(1, 31))
    run(project, batch=5)
    with project.store.write() as unit:
        unit.queue.replace([])
    plan = fixed(error=0.5, options={"threshold": 0.0}, audit_share=0.2, ask_at_most=1)
    started = streams.start(project, plan)
    done = do_jobs(project)
    assert done.result is not None
    assert done.result["accepted"] > 10
    with project.store.read() as unit:
        generated = set(unit.generated_labels.ids().tolist())
        audits = set(unit.generated_labels.audit_open(started.id).tolist())
    assert len(audits) == done.result["audits"] > 0
    run(project, batch=50)
    with project.store.read() as unit:
        entries = unit.queue.entries(100)
        items = unit.items.many([one.item_id for one in entries])
    again = {one.item_id for one in entries if one.strategy == "stream_audit"}
    assert again == audits
    picked = {one.item_id for one in entries} - again
    assert not picked & generated
    assert all(one.blind for one in entries if one.item_id in again)
    assert {items[i].split for i in picked} >= {"audit"}


@pytest.mark.usefixtures("quick")
def test_accepted_generated_labels_are_trained_on_only_when_wished(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60, start_workers=False)
    label(project, range(1, 31))
    run(project, batch=5)
    with project.store.write() as unit:
        unit.queue.replace([])
        label_hash = unit.labels.set_hash()
    plan = fixed(error=0.5, options={"threshold": 0.0}, ask_at_most=1)
    started = streams.start(project, plan)
    do_jobs(project)
    wishing = change_settings(project, train_on_generated=True)

    def trained() -> dict[str, object]:
        run(wishing, batch=5)
        with project.store.read() as unit:
            model = unit.models.in_use()
        assert model is not None
        assert model.label_hash == label_hash
        assert model.metrics["train_n"] == 18
        return dict(model.config)

    assert "generated" not in trained()  # nobody has accepted them
    streams.decide(project, started.id, "accepted", "ann")
    with project.store.read() as unit:
        generated = unit.generated_labels.ids()
        training = np.intersect1d(generated, unit.items.ids(split="train"))
        ids, class_ids = unit.generated_labels.arrays("train")
        labels = unit.generated_labels.of(ids.tolist())
    assert 0 < len(training) < len(generated)  # the rest is of the validation split
    assert ids.tolist() == training.tolist()
    assert [labels[i].class_id for i in ids.tolist()] == class_ids.tolist()
    seen: list[int] = []
    real = training_module._heads

    def spy(setup: object, labels: Labels, *rest: object) -> object:
        seen.append(len(labels))
        return real(setup, labels, *rest)  # type: ignore[arg-type]

    with mock.patch.object(training_module, "_heads", spy):
        config = trained()
    assert config["generated"] == len(training)
    assert seen[0] == 18 + len(training)
    assert all(n <= 18 for n in seen[1:])  # calibration folds know people's labels only
    assert snapshot.take(wishing).generated.ids.tolist() == training.tolist()
    assert len(snapshot.take(project).generated) == 0
    streams.decide(project, started.id, "rolled_back", "ann")
    assert "generated" not in trained()
