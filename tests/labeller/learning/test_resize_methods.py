"""The setting `resize_method` from the features to the prediction of other images."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from labeller.cli import cli
from labeller.config import ResizeMethod
from labeller.learning import fine_tuned, heads, training
from labeller.learning.calibration import probabilities
from labeller.learning.fine_tune import _augmentation
from labeller.learning.lite0 import NAME
from labeller.learning.predictors import FineTunedPredictor
from labeller.learning.random_crop import crop_randomly
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project, change_settings
from labeller.services.feature_recipes import Recipe, begun
from labeller.squares import Resize, square_of
from tests.labeller.learning.shapes import label, picture, run, shapes


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=18))
    made = shapes(tmp_path / "p", 40)
    label(made, range(1, 31))
    return made


def wide_photos(folder: Path) -> list[Path]:
    folder.mkdir()
    files = []
    for number in range(4):
        sides = [picture((number + i) % 3, 700 + number + i) for i in range(3)]
        files.append(folder / f"{number}.png")
        Image.fromarray(np.hstack(sides)).save(files[-1])
    return files


@pytest.mark.slow
def test_other_images_are_resized_as_those_of_the_training(
    project: Project, tmp_path: Path
) -> None:
    files = wide_photos(tmp_path / "wide")
    said = {}
    run(project)
    for method in ("squish", "pad", "crop"):
        project = change_settings(project, resize_method=method)
        assert (begun(project, NAME) is None) == (method != "squish")
        run(project)
        recipe = begun(project, NAME)
        assert recipe is not None
        assert recipe.method == method
        with project.store.read() as unit:
            record = max(unit.models.all(), key=lambda model: model.id)
        assert record.config["recipe"] == asdict(recipe) | {"parts": list(recipe.parts)}
        model = load_model(project, record)
        pixels = np.stack([square_of(file, Resize(recipe.size, method), 10**6) for file in files])
        wanted = probabilities(model.predictor.on_pixels(pixels), model.temperature)
        out = tmp_path / f"{method}.jsonl"
        given = ["predict", str(project.root), str(tmp_path / "wide"), "--out", str(out)]
        done = CliRunner().invoke(cli, given)
        assert done.exit_code == 0, done.output
        rows = sorted(map(json.loads, out.read_text("utf-8").splitlines()), key=lambda r: r["key"])
        said[method] = np.array([list(row["probabilities"].values()) for row in rows])
        np.testing.assert_allclose(said[method], wanted, atol=1e-5)
    features = [path.name for path in project.vectors.glob("features-*.f16")]
    assert len(features) == 3


def test_fine_tuning_sees_random_parts_and_predicts_the_middle(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        training, "FineTuneConfig", partial(fine_tuned.FineTuneConfig, examples=1, least=1, most=1)
    )
    project = change_settings(project, resize_method="crop", training="fine_tune")
    run(project)
    with project.store.read() as unit:
        (record,) = unit.models.all()
    model = load_model(project, record)
    assert isinstance(model.predictor, FineTunedPredictor)
    assert model.predictor.resize.method == "crop"
    ids = np.arange(1, 5)
    ((_, probs),) = model.probs(ids, Silent())
    assert probs.shape == (4, 3)


def test_random_parts_lie_within_the_image_and_differ() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 73)
    images = torch.stack([ramp.expand(73, 73), ramp[:, None].expand(73, 73), torch.ones(73, 73)])
    parts = crop_randomly(images.expand(200, 3, 73, 73), 64)
    assert parts.shape == (200, 3, 64, 64)
    assert parts[:, 2].min() > 0.999
    widths = (parts[:, 0, 0, -1] - parts[:, 0, 0, 0]) * 64 / 63
    heights = (parts[:, 1, -1, 0] - parts[:, 1, 0, 0]) * 64 / 63
    areas, ratios = widths * heights, widths / heights
    assert 0.3 < float(areas.min()) < 0.45
    assert 0.85 < float(areas.max()) <= 1.05
    assert 0.7 < float(ratios.min()) < 0.8
    assert 1.25 < float(ratios.max()) < 1.4
    assert float(parts[:, 0].min()) < 0.05
    assert float(parts[:, 0].max()) > 0.95


@pytest.mark.parametrize("method", ["squish", "crop"])
def test_augmentation_gives_the_side_that_the_network_takes(method: ResizeMethod) -> None:
    pixels = torch.randint(0, 256, (4, 73, 73, 3), dtype=torch.uint8)
    augment = _augmentation(Recipe(NAME, 64, ("mids",), method=method))
    assert augment(pixels).shape == (4, 3, 64, 64)
