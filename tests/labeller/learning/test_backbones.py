"""Backbones: the packaged weights, their features, recipes, and what is said when they are gone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import skimage.data
import skimage.feature
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from labeller.errors import BackboneError
from labeller.learning import backbones, device, hog, lite0
from labeller.learning.extraction import extract
from labeller.services.feature_recipes import Recipe
from labeller.squares import Resize, square

CAT: Callable[[], NDArray[np.uint8]] = skimage.data.chelsea


def photo(size: int) -> torch.Tensor:
    """Return a photograph as bytes (1, size, size, 3)."""
    return torch.from_numpy(np.array(square(Image.fromarray(CAT()), Resize(size))))[None]


@pytest.fixture(scope="module")
def trunk() -> lite0.Lite0:
    return lite0.Lite0()


def test_the_packaged_network_knows_a_cat() -> None:
    network = lite0.network()
    with torch.inference_mode():
        best = network(lite0.normalised(photo(224))).softmax(1)[0].topk(5).indices.tolist()
    assert set(best) & {281, 282, 283, 284, 285}  # ImageNet's five domestic cats


@pytest.mark.parametrize("size", [64, 96, 224])
def test_folded_norms_change_nothing(trunk: lite0.Lite0, size: int) -> None:
    network = lite0.network()
    x = photo(size)
    with torch.inference_mode():
        plain = network.extract_features(lite0.normalised(x)).mean((2, 3))  # type: ignore[operator]
        folded = trunk.features(x)
    assert torch.allclose(plain, folded["final"], atol=1e-3)
    assert folded["mids"].shape == (1, lite0.WIDTHS["mids"])
    assert folded["final"].shape == (1, lite0.WIDTHS["final"])


def test_mids_are_the_pooled_ends_of_the_last_three_resolutions(trunk: lite0.Lite0) -> None:
    network, seen = lite0.network(), []
    for number in lite0.MIDS:
        network._blocks[number].register_forward_hook(  # type: ignore[index,union-attr]
            lambda _module, _given, out: seen.append(out.mean((2, 3)))
        )
    x = photo(96)
    with torch.inference_mode():
        network(lite0.normalised(x))
        assert torch.allclose(torch.cat(seen, 1), trunk.features(x)["mids"], atol=1e-3)


def test_hog_gives_the_numbers_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    grey = rng.random((6, 32, 32), dtype=np.float32)
    grey[1, :, 16:] = 0
    expected = [skimage.feature.hog(one, 8, (4, 4), (2, 2)) for one in grey]
    found = hog.hog(torch.from_numpy(grey)).numpy()
    assert found.shape == (6, hog.HOG_WIDTH)
    assert np.allclose(found, np.stack(expected), atol=1e-5)
    assert not hog.hog(torch.zeros(1, 32, 32)).any()


def drawn(side: int) -> NDArray[np.uint8]:
    """Draw pictures all of whose edges lie where two orientations meet, and faint ones."""
    down, across = np.mgrid[:side, :side]
    slopes = (down + across, down - across, down, across, np.maximum(down, across))
    far = [np.where(slope > slope.mean(), 255, 0) for slope in slopes]
    faint = [100 + slope * 3 // side for slope in slopes]
    rng = np.random.default_rng(0)
    tints = [rng.integers(0, 256, 3) * (slope[..., None] > slope.mean()) for slope in slopes]
    grey = [np.repeat(one[..., None], 3, axis=2) for one in (*far, *faint)]
    return np.stack([*grey, *tints, rng.integers(0, 256, (side, side, 3))]).astype(np.uint8)


@pytest.mark.parametrize("side", [32, 64, 96, 224])
def test_edges_where_orientations_meet_count_as_in_scikit_image(side: int) -> None:
    pixels = drawn(side)
    weighted = (pixels.astype(np.int64) * [299, 587, 114]).sum(-1)
    times = side // 32
    light = weighted.reshape(-1, 32, times, 32, times).sum((2, 4)).astype(np.float64)
    expected = [skimage.feature.hog(one, 8, (4, 4), (2, 2)) for one in light]
    found = hog.tiny_features(torch.from_numpy(pixels))["hog"].numpy()
    assert np.allclose(found, np.stack(expected), atol=1e-4)  # its 1e-5 is of other units


class Tiny(nn.Module):
    """The features of tiny images side by side."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat(list(hog.tiny_features(pixels).values()), 1)


@pytest.mark.parametrize("side", [64, 70])
@pytest.mark.filterwarnings("ignore")
def test_onnx_gives_the_same_edges(side: int, tmp_path: Path) -> None:
    given = torch.from_numpy(drawn(side))
    file = str(tmp_path / "tiny.onnx")
    torch.onnx.export(Tiny().eval(), (given,), file, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(file)
    (found,) = session.run(None, {session.get_inputs()[0].name: given.numpy()})
    assert np.abs(found - Tiny()(given).numpy()).max() < 1e-6


def test_raw_separates_brightness_from_colour() -> None:
    grey = hog.raw(torch.full((1, 3, 32, 32), 0.25))
    assert grey.shape == (1, hog.RAW_WIDTH)
    assert torch.allclose(grey[:, :256], torch.tensor(0.25))
    assert torch.allclose(grey[:, 256:], torch.tensor(0.0), atol=1e-5)
    red = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    red[..., 0] = 255
    assert torch.allclose(hog.tiny_features(red)["raw"][:, -64:], torch.tensor(0.5), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "size", "parts"),
    [
        (8, 64, ("mids", "raw", "hog")),
        (28, 64, ("mids", "raw", "hog")),
        (48, 64, ("mids", "raw", "hog")),
        (64, 96, ("mids", "final")),
        (160, 128, ("mids", "final")),
        (3000, 224, ("mids", "final")),
    ],
)
def test_the_recipe_follows_the_size_of_the_images(
    side: float, size: int, parts: tuple[str, ...]
) -> None:
    backbone = backbones.get(lite0.NAME)
    recipe = backbone.recipe(side)
    assert (recipe.size, recipe.parts) == (size, parts)
    assert len({backbone.recipe(s).tag for s in (28, 64, 160, 500)}) == 4
    pixels = np.zeros((2, size, size, 3), np.uint8)
    rows = extract(lite0.Lite0(), recipe, pixels, device.choose("cpu"))
    assert rows.shape == (2, backbone.width(recipe))
    own = backbone.embedding(recipe)
    assert own.stop - own.start == lite0.WIDTHS["final" if "final" in parts else "mids"]


def test_parts_lie_where_the_recipe_says(trunk: lite0.Lite0) -> None:
    recipe = Recipe(lite0.NAME, 64, ("hog", "mids"))
    columns = backbones.get(lite0.NAME).columns(recipe)
    x = photo(64)
    row = torch.from_numpy(extract(trunk, recipe, x.numpy(), device.choose("cpu")))
    assert torch.allclose(row[:, columns["mids"]], trunk.features(x)["mids"], atol=1e-5)
    assert columns["hog"] == slice(0, hog.HOG_WIDTH)


def test_an_unknown_backbone_lists_the_known() -> None:
    with pytest.raises(BackboneError, match=r"'resnet' is unknown\. .*efficientnet_lite0"):
        backbones.get("resnet")


def test_missing_weights_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(BackboneError, match=r"weights are missing .* pip install"):
        lite0.Lite0()


def test_damaged_weights_are_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    weights = tmp_path / "models" / "efficientnet-lite0-57934424.pth"
    spec = ModuleSpec("weights", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    with pytest.raises(BackboneError, match=r"cannot be read \(No such file"):
        lite0.weights_file()
    weights.write_bytes(b"something else")
    with pytest.raises(BackboneError, match=r"damaged or another version .* pip install"):
        lite0.weights_file()
