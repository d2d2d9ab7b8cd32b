"""Backbones of torchvision and timm: real architectures, random weights in real files."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import skimage.data
import timm
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from labeller.errors import BackboneError, WeightsError
from labeller.learning import (
    backbone_hubs,
    backbone_weights,
    backbones,
    device,
    lite0,
    training,
)
from labeller.learning.backbone_network import Network
from labeller.learning.backbone_weights import Source
from labeller.learning.calibration import probabilities
from labeller.learning.extraction import extract
from labeller.learning.features import features_of, open_features
from labeller.learning.fine_tune import fine_tune
from labeller.learning.fine_tuned import FineTuneConfig
from labeller.learning.fitting import Labelled
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project, change_settings, open_project
from labeller.services import extraction_cost
from labeller.services.backbone_names import weights_folder
from labeller.squares import Resize, square
from store.vectors import VectorFile
from tests.labeller.learning.shapes import Told, add_shapes, label, picture, run, shapes

RESNET = "torchvision/resnet18"
RESNET_FILE = "resnet18-f37072fd.pth"
LITE0 = "timm/tf_efficientnet_lite0"
CAT: Callable[[], NDArray[np.uint8]] = skimage.data.chelsea
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test caches of its own, and a network that refuses every call."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    weights_folder().mkdir(parents=True)
    return tmp_path


def put_resnet(seed: int = 0) -> nn.Module:
    """Put random weights of a resnet18 where the mend says; return the network."""
    torch.manual_seed(seed)
    network: nn.Module = torchvision.models.resnet18(weights=None).eval()
    torch.save(network.state_dict(), weights_folder() / RESNET_FILE)
    return network


def put_vit() -> Any:
    """Put random weights of timm's smallest common transformer there; return the network."""
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224").eval()
    config: Any = timm.get_pretrained_cfg("vit_tiny_patch16_224")
    file = weights_folder() / f"vit_tiny_patch16_224.{config.tag}.pth"
    torch.save(network.state_dict(), file)
    return network


def photo(size: int) -> Tensor:
    """Return a photograph as bytes (1, size, size, 3)."""
    return torch.from_numpy(np.array(square(Image.fromarray(CAT()), Resize(size))))[None]


def prepared(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Normalise as the papers say."""
    x = pixels.permute(0, 3, 1, 2) / 255
    return torch.stack([(x[:, i] - mean[i]) / std[i] for i in range(3)], 1)


def watched(network: nn.Module, names: list[str]) -> list[Tensor]:
    """Return a list that fills with the pooled maps of some layers."""
    seen: list[Tensor] = []
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda _layer, _given, out: seen.append(out.mean((2, 3)))
        )
    return seen


def test_torchvision_gives_pooled_stages_and_what_the_classifier_sees() -> None:
    network = put_resnet()
    backbone = backbones.get(RESNET)
    recipe = backbone.recipe(500)
    assert (recipe.size, recipe.parts) == (224, ("mids", "final"))
    assert backbone.widths == {"mids": 128 + 256, "final": 512}
    assert backbone.recipe(28).size == 64
    assert backbone.recipe(28).parts == ("mids", "final", "raw", "hog")
    pixels = photo(96)
    seen = watched(network, ["layer2", "layer3", "layer4"])
    with torch.inference_mode():
        network(prepared(pixels, MEAN, STD))
        found = backbone.load().features(pixels)
    assert torch.allclose(found["mids"], torch.cat(seen[:2], 1), atol=1e-4)
    assert torch.allclose(found["final"], seen[2], atol=1e-4)
    rows = extract(backbone.load(), recipe, photo(224).numpy(), device.choose("cpu"))
    assert rows.shape == (1, backbone.width(recipe))


def test_timm_gives_the_levels_of_its_own_description() -> None:
    torch.manual_seed(1)
    network: Any = timm.create_model("tf_efficientnet_lite0").eval()
    save_file(network.state_dict(), weights_folder() / "tf_efficientnet_lite0.in1k.safetensors")
    backbone = backbones.get(LITE0)
    assert backbone.widths == lite0.WIDTHS
    pixels = photo(96)
    seen = watched(network, ["blocks.2", "blocks.4", "blocks.6"])
    with torch.inference_mode():
        maps = network.forward_features(prepared(pixels, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
        found = backbone.load().features(pixels)
    assert torch.allclose(found["mids"], torch.cat(seen, 1), atol=1e-4)
    assert torch.allclose(found["final"], maps.mean((2, 3)), atol=1e-4)
    trainable = backbone.network()
    assert all(parameter.requires_grad for parameter in trainable.parameters())
    assert trainable.width == 1280


def test_a_transformer_has_final_features_alone_and_one_size() -> None:
    name = "timm/vit_tiny_patch16_224"
    network = put_vit()
    backbone = backbones.get(name)
    assert backbone.widths == {"final": 192}
    assert (backbone.recipe(28).size, backbone.recipe(28).parts) == (224, ("final", "raw", "hog"))
    assert backbone.recipe(3000).parts == ("final",)
    assert backbone.embedding(backbone.recipe(28)) == slice(0, 192)
    config: Any = timm.get_pretrained_cfg("vit_tiny_patch16_224")
    pixels = photo(224)
    with torch.inference_mode():
        tokens = network.forward_features(prepared(pixels, config.mean, config.std))
        assert torch.allclose(backbone.load().features(pixels)["final"], tokens[:, 0], atol=1e-4)


def test_other_weights_are_another_recipe_and_never_mixed_in(home: Path) -> None:
    project = shapes(home / "p", 6, backbone=RESNET)
    ids = np.arange(1, 7)
    put_resnet(0)
    first = open_features(project, ids)
    put_resnet(7)
    second = open_features(project, ids)
    assert first.file.path != second.file.path
    assert first.file.tag != second.file.tag
    assert second.backbone.digest[:16] in second.file.tag
    with pytest.raises(BackboneError, match="Put those back, or start a round"):
        features_of(project, first.recipe)
    assert features_of(project, second.recipe).file.path == second.file.path
    with pytest.raises(BackboneError, match="was replaced meanwhile"):
        first.backbone.load()


def test_the_packaged_backbone_keeps_its_tag_and_file() -> None:
    recipe = backbones.get(lite0.NAME).recipe(28)
    assert recipe.tag == "efficientnet_lite0@64:mids+raw+hog v4"
    assert recipe.file == "features-efficientnet_lite0-64-mids-raw-hog-v4.f16"


@pytest.mark.parametrize(
    ("name", "file", "where"),
    [
        (RESNET, RESNET_FILE, "torch/hub/checkpoints/resnet18-f37072fd.pth"),
        (LITE0, "tf_efficientnet_lite0.in1k.safetensors", "hf"),
    ],
)
def test_missing_weights_name_cache_reason_and_mend(
    home: Path, name: str, file: str, where: str
) -> None:
    with pytest.raises(WeightsError) as caught:
        backbones.get(name)
    text = str(caught.value)
    assert f"{name}: its weights are neither in {weights_folder() / file}" in text
    assert str(home / where) in text
    assert re.search(r"cannot be downloaded \([^)]+\)", text)
    assert f"curl -L -o {file} https://" in text
    assert text.endswith(f"put the file into {weights_folder()}.")


def test_the_caches_of_the_libraries_are_used(home: Path) -> None:
    network = put_resnet()
    hub = home / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (weights_folder() / RESNET_FILE).rename(hub / RESNET_FILE)
    backbone = backbones.get(RESNET)
    assert backbone.digest == backbone_weights.digest(hub / RESNET_FILE)
    assert len(backbone.digest) == 64
    loaded = backbone.network().state_dict()
    assert torch.equal(loaded["body.conv1.weight"], network.state_dict()["conv1.weight"])
    snapshots = home / "hf" / "models--timm--tf_efficientnet_lite0.in1k"
    (snapshots / "snapshots" / "abc").mkdir(parents=True)
    (snapshots / "refs").mkdir()
    (snapshots / "refs" / "main").write_text("abc")
    cached = snapshots / "snapshots" / "abc" / "model.safetensors"
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), cached)
    assert backbones.get(LITE0).digest == backbone_weights.digest(cached)


def test_a_download_goes_into_the_cache_and_is_checked_by_its_hash(home: Path) -> None:
    content = b"weights of somebody"
    start = hashlib.sha256(content).hexdigest()[:8]
    for number, stated in enumerate((start, "0" * 8)):
        there = home / "there" / str(number) / f"net-{stated}.pth"
        there.parent.mkdir(parents=True)
        there.write_bytes(content)
        source = Source("torchvision/net", there.stem, there.as_uri())
        cached = home / "torch" / "hub" / "checkpoints" / there.name
        if stated == start:
            assert backbone_weights.locate(source) == cached
            there.unlink()
            assert backbone_weights.locate(source).read_bytes() == content
        else:
            with pytest.raises(WeightsError, match="invalid hash value"):
                backbone_weights.locate(source)
            assert not cached.exists()


class Touch:
    """A pickle that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", [RESNET, LITE0])
def test_weights_are_never_unpickled(home: Path, name: str) -> None:
    file = RESNET_FILE if name == RESNET else "tf_efficientnet_lite0.in1k.pth"
    path, trace = weights_folder() / file, home / "trace"
    for write in (torch.save, lambda thing, where: where.write_bytes(pickle.dumps(thing))):
        write({"conv1.weight": Touch(trace)}, path)
        with pytest.raises(BackboneError, match=f"{file}: does not hold weights of"):
            backbones.get(name).load()
        assert not trace.exists()


def test_weights_that_do_not_fit_are_refused() -> None:
    torch.save(
        torchvision.models.resnet34(weights=None).state_dict(), weights_folder() / RESNET_FILE
    )
    with pytest.raises(BackboneError, match=r"does not hold weights of torchvision/resnet18 \("):
        backbones.get(RESNET).load()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet18", "torchvision/resnet18, .* torchvision/NAME or timm/NAME"),
        ("torchvision/resnet1", "no such classifier"),
        ("torchvision/densenet121", "try timm/densenet121"),
        ("timm/nothing_like_it", "no pretrained model of that name"),
    ],
)
def test_a_wrong_name_is_no_missing_weight(name: str, reason: str) -> None:
    with pytest.raises(BackboneError, match=reason) as caught:
        backbones.usable(name)
    assert not isinstance(caught.value, WeightsError)


def test_shapes_of_architectures_that_look_at_their_numbers() -> None:
    assert dict(backbone_hubs.shape("torchvision/regnet_y_400mf").widths)["final"] == 440


@pytest.mark.usefixtures("quick")
def test_a_round_goes_on_with_the_packaged_backbone_and_says_so(home: Path) -> None:
    project = shapes(home / "p", 45, backbone=RESNET)
    label(project, range(1, 31))
    told = Told()
    result = run(project, progress=told)
    assert result["message"].startswith(f"NOT the backbone of the settings: {lite0.NAME} took")
    assert f"put the file into {weights_folder()}" in result["message"]
    assert any("NOT the backbone" in message for message in told.messages)
    with project.store.read() as unit:
        assert unit.models.get(result["model"]).backbone == lite0.NAME


@pytest.mark.usefixtures("quick")
def test_features_survive_while_their_weights_are_missing(home: Path) -> None:
    put_resnet()
    project = shapes(home / "p", 45, backbone=RESNET)
    label(project, range(1, 31))
    run(project)
    (weights_folder() / RESNET_FILE).rename(home / "aside.pth")
    assert "NOT the backbone" in run(project)["message"]
    (home / "aside.pth").rename(weights_folder() / RESNET_FILE)
    assert open_features(project, np.arange(1, 46)).file.count == 45
    told = Told()
    assert "NOT the backbone" not in run(project, progress=told)["message"]
    assert 45 not in told.totals("features")
    stays = {RESNET.replace("/", "-"), lite0.NAME}  # the stand-in's too: a model was made of them
    files = [path.name for path in project.vectors.glob("features-*.f16")]
    assert len(files) == 2
    assert all(any(name in file for file in files) for name in stays)


@pytest.mark.usefixtures("quick")
def test_going_back_to_a_backbone_reads_no_image_again(home: Path) -> None:
    put_resnet()
    project = shapes(home / "p", 45, backbone=RESNET)
    label(project, range(1, 31))
    run(project)
    change_settings(project, backbone=lite0.NAME)
    project = reopened(project)
    run(project)
    add_shapes(project, range(100, 150), side=100)  # the median grows too
    change_settings(project, backbone=RESNET)
    project = reopened(project)
    assert extraction_cost.cost(project, RESNET).images == 50
    told = Told()
    run(project, progress=told)
    assert told.totals("features") == {None, 50}
    old = project.vectors / "features-resnet-64-mids-v1.f16"  # of an earlier version
    VectorFile.open(old, 4)
    run(project)
    assert not old.exists()
    assert len(list(project.vectors.glob("features-*.f16"))) == 2


@pytest.mark.usefixtures("quick")
def test_a_round_reads_each_image_once_per_backbone(home: Path) -> None:
    put_resnet()
    project = shapes(home / "p", 66, backbone=RESNET)
    label(project, range(1, 31))
    first, second = Told(), Told()
    result = run(project, progress=first)
    assert 66 in first.totals("features")
    run(project, progress=second)
    assert 66 not in second.totals("features")
    with project.store.read() as unit:
        assert unit.models.get(result["model"]).backbone == RESNET
    features = open_features(project, np.arange(1, 67))
    assert features.file.dtype == np.float16
    assert extraction_cost.cost(project, RESNET).images == 0
    change_settings(project, backbone=lite0.NAME)
    other = open_features(reopened(project), np.arange(1, 67))
    assert other.file.count == 0
    cost = extraction_cost.cost(project, lite0.NAME)
    assert (cost.images, cost.measured) == (66, False)
    assert cost.seconds is not None
    assert cost.text.startswith("66 images will be read anew, about ")


@pytest.mark.parametrize(
    "name", [RESNET, pytest.param("timm/vit_tiny_patch16_224", marks=pytest.mark.slow)]
)
def test_fine_tuning_learns_with_other_backbones(name: str) -> None:
    put_resnet()
    put_vit()
    recipe = backbones.get(name).recipe(28)
    x = np.stack([picture(n % 2 * 2, n, recipe.size) for n in range(8)])
    given = Labelled(torch.from_numpy(x), torch.arange(8) % 2)
    config = FineTuneConfig(examples=8, least=1, most=1)
    told = Told()
    model = fine_tune(
        given, None, 2, recipe, seed=0, device=device.choose("cpu"), progress=told, config=config
    )
    with torch.inference_mode():
        assert model(given.x).shape == (8, 2)
        before = backbones.get(name).network()
        after = model.trunk.state_dict()
    moved = [key for key, old in before.state_dict().items() if not torch.equal(old, after[key])]
    assert len(moved) > len(after) / 2, "the whole trunk learns"
    shifted = model.normalised(torch.full((1, 3, 1, 1), 0.5))
    assert isinstance(before, Network)
    assert torch.allclose(shifted, (0.5 - before.mean) / before.std)


@pytest.mark.parametrize("name", [RESNET, lite0.NAME])
def test_a_fine_tuned_model_is_loaded_without_the_weights_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put_resnet()
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=1))
    project = shapes(tmp_path / "p", 24, training="fine_tune", backbone=name)
    label(project, range(1, 19))
    result = run(project)
    with project.store.read() as unit:
        record = unit.models.get(result["model"])
    ids = np.arange(1, 25)
    predicted = VectorFile.open(
        project.vectors / f"predictions-round-{result['round']:04d}.f32", 3, "float32", "round-0000"
    )
    (weights_folder() / RESNET_FILE).unlink()
    monkeypatch.setattr(lite0, "SHA256", "replaced since")
    model = load_model(project, record)
    items, logits = model.logits(ids, Silent())
    assert items.tolist() == ids.tolist()
    found = probabilities(logits, model.temperature)
    assert np.allclose(found, predicted.read(ids), atol=1e-5)


def reopened(project: Project) -> Project:
    """Return the project with the settings that its file holds now."""
    return open_project(project.root)
