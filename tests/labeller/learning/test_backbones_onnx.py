"""ONNX Runtime takes torch's place where it is faster and gives the same, and nowhere else."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from labeller.learning import backbone_onnx, backbones, device
from labeller.learning.backbone_onnx import OnnxTrunk, export, fastest, path_of
from labeller.learning.backbones import Backbone, Trunk
from labeller.learning.extraction import compute_missing
from labeller.learning.features import open_features
from labeller.project import Project
from labeller.services import extraction_cost
from labeller.services.backbone_names import weights_folder
from tests.labeller.learning.shapes import Told, shapes

NAME = "timm/test_resnet"  # timm's smallest: 0.5 M parameters
IDS = np.arange(1, 67)
CPU = device.choose("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the weights and the exported file of all tests: exporting takes seconds."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(backbone_onnx, "WORTH_EXPORT", 1)
    monkeypatch.setattr(backbone_onnx, "WORTH_LOADING", len(IDS))
    config: Any = timm.get_pretrained_cfg("test_resnet")
    file = weights_folder() / f"test_resnet.{config.tag}.safetensors"
    if not file.is_file():
        file.parent.mkdir(parents=True)
        torch.manual_seed(0)
        save_file(timm.create_model("test_resnet").state_dict(), file)
    return shapes(tmp_path / "p", len(IDS), backbone=NAME)


class Slow:
    """A trunk that takes its time."""

    def __init__(self, trunk: Trunk) -> None:
        self.trunk, self.module = trunk, trunk.module

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        if not torch.compiler.is_compiling():
            time.sleep(0.3)
        return self.trunk.features(pixels)


def slow(backbone: Backbone) -> Backbone:
    return replace(backbone, load=lambda: Slow(backbone.load()))


def test_features_are_those_of_torch_and_the_file_is_made_once(
    project: Project, tmp_path: Path
) -> None:
    features = open_features(project, IDS)
    recipe, told = features.recipe, Told()
    compute_missing(project, replace(features, backbone=slow(features.backbone)), IDS, CPU, told)
    assert "ONNX Runtime" in [detail.get("engine") for detail in told.details]
    file = path_of(features.backbone, recipe)
    made = file.stat().st_mtime_ns
    assert [each.name for each in file.parent.iterdir()] == [file.name]

    trunk, engine = fastest(project, slow(features.backbone), recipe, IDS, CPU)
    assert (type(trunk), engine) == (OnnxTrunk, "ONNX Runtime")
    assert file.stat().st_mtime_ns == made

    plain = shapes(tmp_path / "plain", len(IDS), backbone=NAME)
    few = open_features(plain, IDS)
    for part in np.array_split(IDS, 2):
        compute_missing(plain, few, part, CPU, Told())  # too few for ONNX Runtime
    kept, expected = features.read(IDS), few.read(IDS)
    assert np.allclose(kept, expected, rtol=2e-3, atol=2e-3)
    assert np.std(kept, axis=0).max() > 0.01
    rate = extraction_cost.rates(project)[NAME]
    assert (rate.size, rate.rate > 0) == (64, True)


@pytest.mark.parametrize(
    "damage", [b"no graph", *(pytest.param(one, marks=pytest.mark.slow) for one in (b"", None))]
)
def test_a_damaged_file_is_made_again_the_next_time(project: Project, damage: bytes | None) -> None:
    features = open_features(project, IDS)
    backbone, recipe = slow(features.backbone), features.recipe
    assert fastest(project, backbone, recipe, IDS, CPU)[1] == "ONNX Runtime"
    file = path_of(features.backbone, recipe)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    trunk, engine = fastest(project, backbone, recipe, IDS, CPU)
    assert (type(trunk), engine[:30]) == (Slow, "torch, not ONNX Runtime: it fa")
    assert not file.exists()
    assert fastest(project, backbone, recipe, IDS, CPU)[1] == "ONNX Runtime"


def test_few_images_are_left_to_torch(project: Project) -> None:
    features = open_features(project, IDS)
    trunk, engine = fastest(project, slow(features.backbone), features.recipe, IDS[:-1], CPU)
    assert (type(trunk), engine) == (Slow, "torch")


def test_it_gives_way_with_a_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    features = open_features(project, IDS)
    backbone, recipe = features.backbone, features.recipe
    file = path_of(backbone, recipe)
    if not file.is_file():
        export(backbone.load(), backbone.widths, recipe.size, file)
    right = file.read_bytes()

    monkeypatch.setattr(OnnxTrunk, "features", Slow(backbone.load()).features)
    assert fastest(project, backbone, recipe, IDS, CPU)[1].endswith("it is not faster here")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file.parents[2]))
    monkeypatch.setattr(backbone_onnx, "WORTH_LOADING", len(IDS))

    other = Slow(backbone.load())
    with torch.no_grad():
        next(other.module.parameters()).mul_(3)
    trunk, engine = fastest(project, replace(backbone, load=lambda: other), recipe, IDS, CPU)
    assert trunk is other
    assert engine.startswith("torch, not ONNX Runtime: its features differ by up to ")

    try:
        file.write_bytes(right[:1000])
        assert "it failed with " in fastest(project, slow(backbone), recipe, IDS, CPU)[1]
    finally:
        file.write_bytes(right)


def test_another_size_or_other_weights_have_a_file_of_their_own(project: Project) -> None:
    backbone = backbones.get(NAME)
    here = path_of(backbone, backbone.recipe(28))
    assert path_of(backbone, backbone.recipe(500)) != here
    assert path_of(replace(backbone, digest="0" * 64), backbone.recipe(28)) != here
