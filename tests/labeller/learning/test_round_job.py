"""The round as a whole, on real images and a real database."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.errors import ConfigError, JobCancelled, JobLost, RoundError
from labeller.learning import lite0, saved
from labeller.learning.features import features_of
from labeller.learning.picker import COLD_START
from labeller.learning.round_job import run_round_job
from labeller.learning.saved import load_audit, load_model
from labeller.progress import Silent
from labeller.project import Project, create_project
from labeller.services import audit_files, feature_files, feature_recipes, rounds
from store.records import QueueEntry
from store.vectors import VectorFile
from tests.labeller.learning.shapes import Told, add_shapes, job, label, run, shapes

STAGES = ["features", "train", "calibrate", "evaluate", "predict", "select", "queue"]


def queue(project: Project) -> list[QueueEntry]:
    with project.store.read() as unit:
        return unit.queue.entries(1000)


def test_a_round_trains_evaluates_predicts_and_queues(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 120)
    label(project, range(1, 61))
    told = Told()
    result = run(project, batch=20, progress=told)

    assert list(dict.fromkeys(told.stages)) == STAGES
    epochs = [d for s, d in zip(told.stages, told.details, strict=True) if "epoch" in d]
    assert [d["epoch"] for d in epochs] == list(range(1, epochs[0]["epochs"] + 1))
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert epochs[-1]["accuracy"] > 0.8
    assert any(d.get("device", "").startswith(("CPU", "NVIDIA")) for d in told.details)

    with project.store.read() as unit:
        model = unit.models.in_use()
        record = unit.rounds.latest()
        prediction = unit.predictions.get(result["model"])
        label_hash = unit.labels.set_hash()
    assert model is not None
    assert record is not None
    assert prediction is not None
    assert (model.id, record.model_id, record.state) == (result["model"], model.id, "done")
    assert model.label_hash == label_hash
    assert model.labels == 60
    assert set(record.timings) == {"start", *STAGES} - {"queue"}
    assert model.metrics["n"] == 12
    assert model.metrics["accuracy"] > 0.8
    low, high = model.metrics["interval"]
    assert low < model.metrics["accuracy"] <= high
    assert model.metrics["train_n"] == 36
    assert model.metrics["valid_n"] == 12
    assert np.sum(model.metrics["confusion"]) == 12
    numbers = {split: sum(counts) for split, counts in model.config["labels_by_class"].items()}
    assert numbers == {"train": 36, "valid": 12, "audit": 12}
    assert model.config["backbone_hash"] == lite0.SHA256
    kept = json.loads((project.file(model.path) / saved.DESCRIPTION).read_text("utf-8"))
    assert kept["about"]["backbone_hash"] == lite0.SHA256

    entries = queue(project)
    assert result["queued"] == len(entries) == record.queued == 20
    with project.store.read() as unit:
        items = unit.items.many([entry.item_id for entry in entries])
    blind = [entry for entry in entries if entry.blind]
    assert len(blind) == 2
    for entry in entries:
        item = items[entry.item_id]
        assert item.state == "unlabelled"
        assert entry.round_id == record.id
        assert entry.blind == (item.split == "audit")
        assert (entry.suggestion_class_id is None) == entry.blind
        assert entry.strategy == ("audit" if entry.blind else "margin")
    scores = [entry.score or 0.0 for entry in entries if not entry.blind]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0

    probs = VectorFile.open(project.file(prediction.file), 3, "float32", "round-0000").read(
        range(1, 121)
    )
    assert prediction.items == 120
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert (probs.argmax(axis=1) == np.arange(120) % 3).mean() > 0.8
    suggested = next(entry for entry in entries if not entry.blind)
    best = probs[suggested.item_id - 1]
    assert suggested.suggestion_class_id == model.class_ids[int(best.argmax())]
    assert suggested.suggestion_confidence == pytest.approx(float(best.max()))


@pytest.mark.usefixtures("quick")
def test_a_saved_model_predicts_the_same_again(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    result = run(project)
    with project.store.read() as unit:
        record = unit.models.get(result["model"])
        prediction = unit.predictions.get(record.id)
    assert prediction is not None
    file = VectorFile.open(project.file(prediction.file), 3, "float32", "round-0000")
    ids = np.arange(1, 61)
    (part, probs), *more = load_model(project, record).probs(ids, Silent())
    assert not more
    assert part.tolist() == ids.tolist()
    assert np.allclose(probs, file.read(ids), atol=1e-6)  # sums depend on the size of batches
    items, truth, kept = load_audit(project, record)
    assert np.allclose(kept, file.read(items), atol=1e-6)
    assert (kept.argmax(axis=1) == np.searchsorted(record.class_ids, truth)).mean() == (
        record.metrics["accuracy"]
    )
    with project.store.read() as unit:
        audit = unit.items.ids(split="audit")
    whole = audit_files.read(project, record)
    assert whole.item_ids.tolist() == audit.tolist(), "labelled or not"
    assert len(audit) > len(items)
    assert np.allclose(whole.probs, file.read(audit))
    assert (whole.then_ids.tolist(), whole.then_classes.tolist()) == (
        items.tolist(),
        truth.tolist(),
    )


@pytest.mark.usefixtures("quick")
def test_damaged_model_is_told_in_words(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 30)
    label(project, range(1, 31))
    result = run(project)
    with project.store.read() as unit:
        record = unit.models.get(result["model"])
    file = project.file(record.path) / "weights.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(RoundError, match=r"cannot be loaded \(weights\.pt was damaged"):
        load_model(project, record)
    file.write_bytes(b"half")
    with pytest.raises(RoundError, match=r"cannot be loaded .*Start a round"):
        load_model(project, record)
    shutil.rmtree(project.file(record.path))
    with pytest.raises(RoundError, match="No such file"):
        load_model(project, record)


@pytest.mark.parametrize(
    ("labelled", "kinds", "said"),
    [
        ([], [], "Nothing is labelled yet."),
        ([4, 5, 6], None, "None of the labels so far (3) belongs to the training set"),
        ([1, 10, 13], [1, 1, 1], "All training labels so far (3) are “disc”"),
    ],
)
def test_what_is_missing_for_a_model_is_said_and_the_queue_covers_the_pool(
    tmp_path: Path, labelled: list[int], kinds: list[int] | None, said: str
) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, labelled, kinds)
    result = run(project)
    assert result["model"] is None
    assert said in result["message"]
    assert f"picked by {COLD_START} instead of by margin" in result["message"]
    entries = queue(project)
    assert len(entries) == result["queued"] == 10
    assert {entry.strategy for entry in entries} == {COLD_START, "audit"}
    assert all(entry.suggestion_class_id is None for entry in entries)
    with project.store.read() as unit:
        record = unit.rounds.latest()
        assert unit.models.all() == []
    assert record is not None
    assert (record.strategy, record.state, record.model_id) == (COLD_START, "done", None)


def test_random_needs_no_model_and_is_kept_in_a_cold_start(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 30)
    result = run(project, "random")
    assert "picked by random." in result["message"]
    assert {entry.strategy for entry in queue(project)} == {"random", "audit"}


def test_two_items_of_two_classes_make_a_model(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 2, ["train"])
    label(project, [1, 2])
    result = run(project)
    with project.store.read() as unit:
        model = unit.models.get(result["model"])
    assert model.metrics["accuracy"] is None
    assert model.metrics["why"] == "No item of the audit set is labelled yet."
    assert model.metrics["calibrated_on"] == "nothing"
    assert model.metrics["temperature"] == 1.0
    assert result["queued"] == 0
    assert "No unlabelled image is left" in result["message"]
    assert "No training example yet of “noise”" in result["message"]


def test_a_class_without_examples_is_never_predicted_and_counts_as_wrong(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 90)
    of_class = {kind: [i for i in range(1, 91) if (i - 1) % 3 == kind] for kind in range(3)}
    with project.store.read() as unit:
        splits = {i: item.split for i, item in unit.items.many(range(1, 91)).items()}
    unseen = [i for i in of_class[2] if splits[i] != "train"]
    label(project, [*of_class[0][:20], *of_class[1][:20], *unseen])
    result = run(project)
    with project.store.read() as unit:
        model = unit.models.get(result["model"])
        noise = unit.classes.by_name("noise")
        prediction = unit.predictions.get(model.id)
    assert noise is not None
    assert prediction is not None
    assert model.metrics["missing_classes"] == [noise.id]
    assert "“noise”" in result["message"]
    file = VectorFile.open(project.file(prediction.file), 3, "float32", "round-0000")
    assert (file.read(range(1, 91))[:, 2] == 0).all()
    recall = {row["class_id"]: row["recall"] for row in model.metrics["per_class"]}
    assert recall[noise.id] == 0
    # what validation cannot know of the unseen class must not destroy the temperature
    assert 0.2 < model.metrics["temperature"] < 5


@pytest.mark.usefixtures("quick")
def test_an_image_that_became_unreadable_stops_nothing(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    (project.root / "images" / "0001.png").write_bytes(b"no image at all")
    (project.root / "images" / "0044.png").unlink()
    told = Told()
    result = run(project, "random", 60, told)
    assert result["unreadable"] == 2
    assert "1 image was left out, because its file has changed since" in result["message"]
    assert "images/0001.png" in result["message"]
    assert "1 image cannot be read" in result["message"]
    listed = next(d["unreadable"] for d in reversed(told.details) if "unreadable" in d)
    assert [(one["item"], one["path"]) for one in listed] == [
        (2, "images/0001.png"),
        (45, "images/0044.png"),
    ]
    assert "no such file" in listed[1]["reason"]
    assert 45 not in {entry.item_id for entry in queue(project)}
    assert len(queue(project)) == 29
    with project.store.read() as unit:
        prediction = unit.predictions.get(result["model"])
    assert prediction is not None
    assert prediction.items == 58


@pytest.mark.usefixtures("quick")
def test_features_are_computed_once(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 30)
    label(project, range(1, 16))
    run(project)
    (file,) = project.vectors.glob("features-*.f16")
    assert "-64-mids-raw-hog-" in file.name
    before = file.stat().st_mtime_ns
    told = Told()
    run(project, progress=told)
    assert file.stat().st_mtime_ns == before
    assert told.totals("features") == {None}
    new = add_shapes(project, range(30, 33))
    told = Told()
    run(project, progress=told)
    assert told.totals("features") == {None, len(new)}


@pytest.mark.usefixtures("quick")
def test_labels_given_while_the_round_runs_are_not_asked_for_again(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    late = list(range(31, 61, 2))

    class Labelling(Told):
        def update(
            self, stage: str, done: int, total: int | None, message: str = "", **d: object
        ) -> None:
            if stage == "select" and "select" not in self.stages:
                label(project, late)
            super().update(stage, done, total, message, **d)

    result = run(project, "margin", 60, Labelling())
    asked = {entry.item_id for entry in queue(project)}
    assert asked == set(range(31, 61)) - set(late)
    with project.store.read() as unit:
        assert unit.models.get(result["model"]).labels == 30
    assert rounds.behind(project) == len(late)


@pytest.mark.usefixtures("quick")
def test_items_being_labelled_stay_with_their_page(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    run(project, batch=10)
    with project.store.write() as unit:
        held = {e.item_id for e in unit.queue.claim("anna", "page", 3, 120, 1.0)}
    for _ in range(2):  # once from this queue, once from the one before it
        result = run(project, batch=10)
        asked = {entry.item_id for entry in queue(project)}
        assert result["queued"] == len(asked) == 10
        assert not held & asked
    with project.store.write() as unit:
        unit.queue.release("page")
    run(project, batch=30)
    assert held <= {entry.item_id for entry in queue(project)}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stage", ["features", "train", "predict", "queue"])
def test_cancelling_at_any_stage_changes_nothing_that_is_shown(tmp_path: Path, stage: str) -> None:
    project = shapes(tmp_path / "p", 40)
    label(project, range(1, 21))
    assert rounds.first_queue(project) == 20
    before = queue(project)
    with pytest.raises(JobCancelled):
        run(project, progress=Told(stage, JobCancelled("enough")))
    assert queue(project) == before
    with project.store.read() as unit:
        assert unit.models.all() == []
    assert not list(project.models.glob(".*"))
    assert run(project)["model"] is not None
    assert [folder.name for folder in project.models.iterdir()] == ["round-0002"]


@pytest.mark.usefixtures("quick")
def test_a_job_that_was_taken_away_writes_nothing(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 40)
    label(project, range(1, 21))
    lost = job(project)

    class Reaped(Told):
        def update(
            self, stage: str, done: int, total: int | None, message: str = "", **d: object
        ) -> None:
            if stage == "queue":
                with project.store.write() as unit:
                    unit.jobs.finish(lost.id, "failed", error="silent")

    with pytest.raises(JobLost):
        run_round_job(project, lost, Reaped())
    assert queue(project) == []
    with project.store.read() as unit:
        assert unit.models.all() == []


@pytest.mark.usefixtures("quick")
def test_files_of_superseded_models_go_and_audit_predictions_stay(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    first = run(project)
    label(project, range(31, 41))
    second = run(project)
    names = sorted(path.name for path in project.vectors.glob("predictions-*"))
    assert names == [f"predictions-round-0001.f32{end}" for end in ("", ".has", ".sum")]
    with project.store.read() as unit:
        assert unit.predictions.get(first["model"]) is None
        assert unit.predictions.get(second["model"]) is not None
        old, new = unit.models.all()
    assert (old.in_use, new.in_use) == (False, True)
    assert len(load_audit(project, old)[0]) == 6
    features = features_of(project, load_model(project, old).predictor.features.recipe)  # type: ignore[attr-defined]
    assert len(features.having(np.arange(1, 61))) == 60


@pytest.mark.usefixtures("quick")
def test_larger_images_do_not_make_a_round_read_all_again_unless_asked(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 30)
    label(project, range(1, 28))
    assert "Images are read at" not in run(project)["message"]
    add_shapes(project, range(100, 132), side=200)
    told = Told()
    message = run(project, progress=told)["message"]
    assert told.totals("features") == {None, 32}
    assert "Images are read at 64 pixels, as since the first round; 224 pixels would" in message
    feature_recipes.forget(project, project.settings.backbone)
    told = Told()
    assert "Images are read at" not in run(project, progress=told)["message"]
    assert told.totals("features") == {None, 62}
    sizes = sorted(one.size for one in feature_files.listed(project))
    assert sizes == [64, 224]  # the first models were made with 64 pixels


@pytest.mark.usefixtures("quick")
def test_every_pool_strategy_of_this_issue_picks(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    for strategy in ("random", "least_confidence", "margin", "entropy", "typiclust"):
        result = run(project, strategy)
        assert result["strategy"] == strategy
        assert result["queued"] == 10


@pytest.mark.usefixtures("quick")
def test_a_model_that_cannot_be_written_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    project = shapes(tmp_path / "p", 20)
    label(project, range(1, 21))
    with pytest.raises(RoundError, match=r"cannot be written \(No space left .*Make room"):
        run(project)


def test_a_wrong_setting_is_said_before_anything_is_done(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 3, training="magic")
    with pytest.raises(ConfigError, match="'magic' is unknown"):
        run(project)
    with project.store.read() as unit:
        assert unit.rounds.all() == []


def test_no_image_is_said(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "b"])
    with pytest.raises(RoundError, match="no images yet"):
        run(project)


def test_nothing_readable_is_said(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 3)
    for path in (project.root / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(RoundError, match=r"No image can be read. 3 images .* changed"):
        run(project)


def test_start_counts_from_the_press_of_the_button(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 12)
    entered = job(project)
    time.sleep(0.3)
    result = run_round_job(project, entered, Silent())
    assert 0.3 <= result["timings"]["start"] < 5
