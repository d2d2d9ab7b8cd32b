"""Fine-tuning on a CPU: few images, few steps, the same interface as a head."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labeller.errors import ConfigError
from labeller.learning import fine_tune, training
from labeller.learning.backbones import get
from labeller.learning.device import Device, choose
from labeller.learning.fine_tune import split
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.fitting import Labelled
from labeller.learning.lite0 import NAME, network
from labeller.learning.saved import load_model
from labeller.learning.training import training_mode
from labeller.progress import Silent
from labeller.services.feature_recipes import Recipe
from tests.labeller.learning.shapes import Told, label, picture, run, shapes

GPU = Device("cuda", "a GPU, mixed precision")
CPU = choose("cpu")


@pytest.mark.parametrize(
    ("setting", "device", "examples", "mode"),
    [
        ("auto", CPU, 50_000, "features"),
        ("auto", GPU, 999, "features"),
        ("auto", GPU, 1_000, "fine_tune"),
        ("fine_tune", CPU, 2, "fine_tune"),
        ("features", GPU, 50_000, "features"),
        ("progressive", CPU, 2, "progressive"),
    ],
)
def test_auto_fine_tunes_on_a_gpu_with_many_labels(
    setting: str, device: Device, examples: int, mode: str
) -> None:
    chosen, why = training_mode(setting, device, examples)
    assert chosen == mode
    assert why


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="features, fine_tune or progressive"):
        training_mode("magic", CPU, 10)


def test_three_groups_hold_every_parameter_once() -> None:
    model = FineTuned(network(), 3, 0.1)
    groups = [{id(p) for p in group} for group in split(model)]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert set.union(*groups) == {id(p) for p in model.parameters()}
    assert len(groups[2]) == 2


def test_length_is_counted_in_examples() -> None:
    config = FineTuneConfig(examples=1000, least=2, most=30)
    assert [config.epochs(n) for n in (2, 100, 333, 5000)] == [30, 10, 4, 2]


def test_a_round_that_fine_tunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = partial(FineTuneConfig, examples=1, least=14)
    monkeypatch.setattr(training, "FineTuneConfig", config)
    project = shapes(tmp_path / "p", 48, training="fine_tune")
    label(project, range(1, 31))
    (project.root / "images" / "0033.png").write_bytes(b"gone bad")
    told = Told()
    before = network().state_dict()
    result = run(project, "margin", 5, told)
    assert result["queued"] == 5
    epochs = [d["epoch"] for d in told.details if "epoch" in d]
    assert epochs == list(range(1, 16))
    with project.store.read() as unit:
        record = unit.models.get(result["model"])
        prediction = unit.predictions.get(record.id)
    assert record.config["training"] == "fine_tune"
    assert prediction is not None
    assert prediction.items == 47
    model = load_model(project, record)
    assert model.predictor.kind == "fine_tune"
    weights = model.predictor.state()
    moved = (weights["trunk._conv_stem.weight"] - before["_conv_stem.weight"]).abs().max()
    late = (weights["trunk._conv_head.weight"] - before["_conv_head.weight"]).abs().max()
    assert 0 < moved < late
    ids = np.arange(1, 49)
    items, logits = model.logits(ids, Silent())
    assert items.tolist() == [i for i in range(1, 49) if i != 34]
    assert (logits.argmax(1) == (items - 1) % 3).mean() > 0.5
    some = items[:6]
    known, samples = model.mc_probs(some, 4, 0, Silent())
    assert known.tolist() == some.tolist()
    assert samples.shape == (4, 6, 3)
    assert np.allclose(samples.sum(-1), 1, atol=1e-6)
    assert np.array_equal(samples, model.mc_probs(some, 4, 0, Silent())[1])
    assert samples.std(axis=0).max() > 0


def test_both_ways_are_equally_long_and_unfreeze_from_the_end() -> None:
    for epochs in (4, 7, 30):
        at_once, in_steps = (
            FineTuneConfig(examples=1, least=epochs, gradual=gradual).phases(10)
            for gradual in (False, True)
        )
        assert [phase.groups for phase in at_once] == [1, 3]
        assert [phase.groups for phase in in_steps] == [1, 2, 3]
        assert sum(p.epochs for p in at_once) == sum(p.epochs for p in in_steps) == epochs + 1


def test_in_steps_the_first_blocks_move_last(monkeypatch: pytest.MonkeyPatch) -> None:
    told = MovedAt(monkeypatch)
    images = torch.from_numpy(np.stack([picture(i % 3, i, 32) for i in range(12)]))
    fine_tune.fine_tune(
        Labelled(images, torch.arange(12) % 3),
        None,
        3,
        replace(get(NAME).recipe(28), size=32),
        seed=0,
        device=CPU,
        progress=told,
        config=FineTuneConfig(examples=1, least=4, gradual=True),
    )
    assert told.moved == [(False, False), (False, True), (True, True), (True, True), (True, True)]


class MovedAt(Told):
    """A progress that notes after each epoch whether the first and the last layers have moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.moved: list[tuple[bool, bool]] = []
        self.before = network().state_dict()
        real = FineTuned

        def made(*given: Any) -> FineTuned:
            self.model = real(*given)
            return self.model

        monkeypatch.setattr(fine_tune, "FineTuned", made)

    def update(self, *_given: Any, **_detail: Any) -> None:
        """Compare with the weights before training."""
        now = self.model.trunk.state_dict()
        first, late = (
            not torch.equal(now[name], self.before[name])
            for name in ("_conv_stem.weight", "_conv_head.weight")
        )
        self.moved.append((first, late))


def test_augmentation_alters_and_normalises() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8))
    augment = fine_tune._augmentation(Recipe(NAME, 64, ("mids",)))
    first, second = augment(pixels), augment(pixels)
    assert first.shape == (4, 3, 64, 64)
    assert not torch.equal(first, second)
    assert -1.1 < float(first.min()) < float(first.max()) < 1.1


@pytest.mark.parametrize("mirror", [False, True])
def test_images_are_mirrored_only_when_asked(mirror: bool) -> None:
    pixels = torch.zeros(64, 64, 64, 3, dtype=torch.uint8)
    pixels[:, :, :32] = 255  # bright on the left
    torch.manual_seed(0)
    altered = fine_tune._augmentation(Recipe(NAME, 64, ("mids",)), mirror=mirror)(pixels)
    turned = altered[..., 40:].mean((1, 2, 3)) > altered[..., :24].mean((1, 2, 3))
    assert float(turned.float().mean()) == pytest.approx(0.5 if mirror else 0.0, abs=0.2 * mirror)


def test_the_setting_reaches_the_training_and_the_models_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = fine_tune._augmentation

    def spy(*given: Any, mirror: bool) -> Any:
        asked.append(mirror)
        return real(*given, mirror=mirror)

    monkeypatch.setattr(fine_tune, "_augmentation", spy)
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=1))
    project = shapes(tmp_path / "p", 24, training="fine_tune", mirror=True)
    label(project, range(1, 19))
    result = run(project)
    with project.store.read() as unit:
        record = unit.models.get(result["model"])
    assert asked == [True]
    assert record.config["fine_tune"]["mirror"] is True
