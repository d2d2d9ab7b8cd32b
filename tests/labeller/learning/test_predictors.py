"""Trained models asked about items: what they need of memory, and images gone meanwhile."""

from __future__ import annotations

import tracemalloc
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.learning import predictors, selection, training
from labeller.learning.calibration import probabilities
from labeller.learning.features import Floats, open_features
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.learning.heads import Head, HeadConfig
from labeller.learning.images import Ints
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.learning.saved import load_model
from labeller.learning.selection import Known, build_pool
from labeller.learning.snapshot import take
from labeller.progress import Progress, Silent
from labeller.project import Project
from store.vectors import VectorFile
from strategies.base import Needs
from tests.labeller.learning.shapes import label, run, shapes

EVERYTHING = Needs.PROBS | Needs.LOGITS | Needs.MC_PROBS | Needs.EMBEDDINGS | Needs.LABELLED


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose rounds fine-tune for a moment; 24 of its 30 images are labelled."""
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=1))
    project = shapes(tmp_path / "p", 30, training="fine_tune")
    label(project, range(1, 25))
    return project


def in_use(project: Project) -> tuple[TrainedModel, VectorFile]:
    """Load the model in use and open its predictions."""
    with project.store.read() as unit:
        record = unit.models.in_use()
        assert record is not None
        kept = unit.predictions.get(record.id)
    assert kept is not None
    file = project.file(kept.file)
    return load_model(project, record), VectorFile.open(file, 3, "float32", VectorFile.tag_of(file))


def known_of(project: Project) -> Known:
    """Return what a round knows when it selects."""
    model, file = in_use(project)
    features, snapshot = open_features(project, np.arange(1, 31)), take(project)
    scaling = features.scaling(features.having(snapshot.pool_ids))
    return Known(features, scaling, snapshot.part("train"), model, file, 3)


def test_a_round_that_finds_nothing_free_asks_a_fine_tuned_model_nothing(tuned: Project) -> None:
    label(tuned, range(25, 31))
    result = run(tuned, "bald")
    assert result["queued"] == 0
    assert "No unlabelled image is left to ask for." in result["message"]


def test_images_that_vanish_after_the_prediction_are_in_no_pool(tuned: Project) -> None:
    run(tuned)
    known = known_of(tuned)
    free = selection.candidates(tuned, known).free
    (tuned.root / "images" / f"{free[1] - 1:04}.png").unlink()
    rest = np.delete(free, 1)
    for needs in (EVERYTHING, Needs.MC_PROBS | Needs.PROBS, Needs.LOGITS | Needs.EMBEDDINGS):
        pool = build_pool(needs, free, free[:0], known, np.random.default_rng(0), Silent())
        assert pool.given == needs
        assert pool.ids.tolist() == rest.tolist()
        if pool.probs is not None:
            assert known.predictions is not None
            assert np.array_equal(pool.probs, known.predictions.read(rest))


def test_an_image_that_vanishes_between_two_questions_leaves_every_array(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tuned)
    known = known_of(tuned)
    free = selection.candidates(tuned, known).free
    real, model = TrainedModel.mc_probs, known.model
    assert model is not None
    expected = model.logits(free, Silent())[1][1:] / model.temperature

    def late(own: TrainedModel, ids: Ints, *given: Any) -> Any:
        (tuned.root / "images" / f"{ids[0] - 1:04}.png").unlink()
        return real(own, ids, *given)

    monkeypatch.setattr(TrainedModel, "mc_probs", late)
    pool = build_pool(EVERYTHING, free, free[:0], known, np.random.default_rng(0), Silent())
    assert pool.ids.tolist() == free[1:].tolist()
    assert pool.logits is not None
    np.testing.assert_allclose(pool.logits, expected, atol=1e-4)


def test_a_label_without_features_does_not_stop_a_round_that_fine_tunes(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = (tuned.root / "images" / "0003.png", tuned.root / "hidden.png")
    late[0].rename(late[1])
    real = training.train

    def back(*given: Any) -> Any:
        late[1].rename(late[0])  # it could not be read for a moment only
        return real(*given)

    monkeypatch.setattr("labeller.learning.round_model.train", back)
    result = run(tuned, "k_center")
    assert result["unreadable"] == 1
    assert in_use(tuned)[1].has(np.array([4])).all()
    assert result["queued"] > 0


@pytest.mark.usefixtures("quick")
def test_opinions_are_made_in_parts_whose_size_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    run(project)
    model, _ = in_use(project)
    ids = np.arange(1, 61)
    monkeypatch.setattr(predictors, "PART_NUMBERS", 20 * 3 * 7)
    parts = list(model.predictor.samples(ids, 20, 5, Silent()))
    assert [len(part) for part, _ in parts] == [7] * 8 + [4]
    logits = np.concatenate([found for _, found in parts], axis=1)
    readable, probs = model.mc_probs(ids, 20, 5, Silent())
    assert readable.tolist() == ids.tolist()
    assert np.array_equal(probs, probabilities(logits, model.temperature))


class _Wide(HeadPredictor):
    """A head of many classes whose opinions cost no time."""

    def __init__(self) -> None:
        self.members = [Head(4, 500, HeadConfig())] * 2

    def samples(
        self, ids: Ints, count: int, seed: int, progress: Progress
    ) -> Generator[tuple[Ints, Floats]]:
        """Yield nothing but zeros."""
        for part in np.array_split(ids, 40):
            yield part, np.zeros((2, len(part), 500), np.float32)


def test_opinions_take_little_more_memory_than_they_fill() -> None:
    model = TrainedModel(_Wide(), tuple(range(500)), 1.0)
    tracemalloc.start()
    _, probs = model.mc_probs(np.arange(4_000), 20, 0, Silent())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * probs.nbytes
