"""Committees: the vote is a mean of probabilities and of energies; rounds that train one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import logsumexp, softmax

from labeller.config import Settings
from labeller.learning import selection, training
from labeller.learning.committee import (
    SEED_STEP,
    Committee,
    CommitteeConfig,
    described,
    members_of,
    trained,
    vote,
)
from labeller.learning.exported import Whole, onnx_probabilities, probabilities, write_onnx
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.heads import Head, HeadConfig
from labeller.learning.predictors import HeadPredictor, TrainedModel
from labeller.learning.saved import load_model
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.squares import square_of
from store.records import ModelRecord
from strategies import base
from tests.labeller.learning.shapes import Told, label, run, shapes


def test_the_vote_is_the_mean_of_probabilities_and_of_energies() -> None:
    logits = np.random.default_rng(0).normal(0, 4, (5, 7, 3)).astype(np.float32)
    found = vote(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(softmax(found, 1), softmax(logits, 2).mean(0), atol=1e-6)
    np.testing.assert_allclose(logsumexp(found, 1), logsumexp(logits, 2).mean(0), atol=1e-5)
    # two voters by hand: (0.9, 0.1) and (0.5, 0.5) make (0.7, 0.3)
    pair = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]).log()
    np.testing.assert_allclose(vote(pair).softmax(1).numpy(), [[0.7, 0.3]], atol=1e-6)


def test_one_voter_is_left_alone() -> None:
    logits = torch.randn(1, 4, 3)
    assert torch.equal(vote(logits), logits[0])


def test_classes_without_examples_stay_unpredicted() -> None:
    logits = torch.randn(3, 4, 3)
    logits[:, :, 2] -= 1e4
    found = vote(logits)
    assert torch.isfinite(found).all()
    assert (found.softmax(1)[:, 2] == 0).all()


def test_members_differ_by_their_seeds_and_the_first_is_the_one_alone() -> None:
    seeds: list[int] = []

    def fit(seed: int, progress: Progress) -> Head:
        seeds.append(seed)
        progress.update("train", 1, 2, "", epoch=1)
        return Head(3, 2, HeadConfig())

    told = Told()
    made = trained(CommitteeConfig(3, True), 7, told, fit)
    assert isinstance(made, Committee)
    assert seeds == [7, 7 + SEED_STEP, 7 + 2 * SEED_STEP]
    assert [(d["done"], d["total"]) for d in told.details] == [(1, 6), (3, 6), (5, 6)]
    assert told.messages == ["Model 1 of 3", "Model 2 of 3", "Model 3 of 3"]
    assert described(made) == {"committee": 3, "soft_voting": True}

    alone = trained(CommitteeConfig(), 7, told, fit)
    assert isinstance(alone, Head)
    assert seeds[-1] == 7
    assert described(alone) == {}
    with pytest.raises(TypeError, match="committee of FineTuned"):
        members_of(made, FineTuned)


def test_settings() -> None:
    assert CommitteeConfig.of(Settings()) == CommitteeConfig(1, False)
    assert CommitteeConfig.of(Settings(soft_voting=True)) == CommitteeConfig(1, False)
    assert CommitteeConfig.of(Settings(committee=4)) == CommitteeConfig(4, False)


def in_use(project: Project) -> ModelRecord:
    with project.store.read() as unit:
        found = unit.models.in_use()
    assert found is not None
    return found


def model_of(root: Path, **settings: Any) -> tuple[Project, TrainedModel]:
    project = shapes(root, 60, **settings)
    label(project, range(1, 37))
    run(project)
    return project, load_model(project, in_use(project))


def opinions_on(model: TrainedModel, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    parts = list(model.predictor.samples(ids, 20, 0, Silent()))
    assert np.concatenate([known for known, _ in parts]).tolist() == ids.tolist()
    return np.concatenate([logits for _, logits in parts], axis=1)


@pytest.mark.usefixtures("quick")
def test_a_committee_gives_opinions_and_its_first_member_predicts(tmp_path: Path) -> None:
    _, alone = model_of(tmp_path / "alone")
    project, model = model_of(tmp_path / "three", committee=3)
    ids = np.arange(1, 61)
    expected, found = alone.logits(ids, Silent())[1], model.logits(ids, Silent())[1]
    np.testing.assert_array_equal(found, expected)
    opinions = opinions_on(model, ids)
    assert opinions.shape == (3, 60, 3)
    np.testing.assert_array_equal(opinions[0], expected)
    assert np.abs(opinions[1:] - opinions[0]).max() > 0.01
    assert opinions_on(alone, ids).shape == (20, 60, 3)
    assert in_use(project).config["committee"] == 3
    assert "committee" not in alone.predictor.settings()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_soft_voting_predicts_by_the_mean(tmp_path: Path) -> None:
    project, model = model_of(tmp_path / "p", committee=3, soft_voting=True)
    ids = np.arange(1, 61)
    logits = model.logits(ids, Silent())[1]
    opinions = opinions_on(model, ids)
    np.testing.assert_allclose(
        softmax(logits.astype(float), 1), softmax(opinions.astype(float), 2).mean(0), atol=1e-6
    )
    with project.store.read() as unit:
        paths = [project.file(unit.items.many([i])[i].path) for i in (1, 2, 3)]
    pixels = np.stack([square_of(path, model.predictor.resize, 10**6) for path in paths])
    np.testing.assert_allclose(model.predictor.on_pixels(pixels), logits[:3], atol=0.05)

    # what is exported votes too
    whole = Whole(model)
    write_onnx(whole, tmp_path / "vote.onnx")
    np.testing.assert_allclose(
        onnx_probabilities(tmp_path / "vote.onnx", pixels), probabilities(whole, pixels), atol=1e-4
    )


@pytest.mark.usefixtures("quick")
def test_strategies_get_the_members_opinions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    real = base.Pool

    def spy(ids: object, **arrays: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> object:
        if "mc_probs" in arrays:
            seen.append(arrays["mc_probs"].shape)
        return real(ids, **arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(selection, "Pool", spy)
    project = shapes(tmp_path / "p", 60, committee=4)
    label(project, range(1, 31))
    run(project, "vote_entropy")
    assert [shape[0] for shape in seen] == [4]


@pytest.mark.slow
def test_a_fine_tuned_committee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=1))
    project = shapes(tmp_path / "p", 24, training="fine_tune", committee=2, soft_voting=True)
    label(project, range(1, 19))
    run(project)
    model = load_model(project, in_use(project))
    assert not isinstance(model.predictor, HeadPredictor)
    ids = np.arange(1, 25)
    logits = model.logits(ids, Silent())[1]
    opinions = opinions_on(model, ids)
    assert opinions.shape == (2, 24, 3)
    np.testing.assert_allclose(
        softmax(logits.astype(float), 1), softmax(opinions.astype(float), 2).mean(0), atol=1e-6
    )
    record = in_use(project)
    assert record.config["examples_seen"] == 2 * record.metrics["train_n"]
