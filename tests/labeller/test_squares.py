"""Images as squares: what each resize method shows of an image that is none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from labeller.config import ResizeMethod, Settings, load_settings
from labeller.errors import ConfigError
from labeller.services import feature_recipes
from labeller.services.feature_recipes import Recipe
from labeller.services.worker_pool import Pool, Request
from labeller.squares import GREY, METHODS, Resize, square, square_of
from tests.labeller.pictures import colours, encoded, write


def test_squish_shows_all_of_it() -> None:
    shown = square(colours(300, 100), Resize(50, "squish")).astype(int)
    assert shown.shape == (50, 50, 3)
    assert shown[0, :, 0] == pytest.approx(np.linspace(0, 255, 50), abs=6)
    assert shown[:, 0, 1] == pytest.approx(np.linspace(0, 255, 50), abs=6)


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (101, 100)])
def test_crop_shows_the_square_in_the_middle(size: tuple[int, int]) -> None:
    image = colours(*size)
    shown = square(image, Resize(50, "crop")).astype(int)
    short = min(size)
    steps = v2.Compose([v2.CenterCrop(short), v2.Resize((50, 50), antialias=True)])
    assert np.abs(shown - np.asarray(steps(image)).astype(int)).max() <= 4


@pytest.mark.parametrize(("size", "inner"), [((300, 100), (50, 17)), ((10, 40), (12, 50))])
def test_pad_keeps_proportions_and_fills_up_with_grey(
    size: tuple[int, int], inner: tuple[int, int]
) -> None:
    shown = square(Image.new("RGB", size, "red"), Resize(50, "pad"))
    red = (shown == (255, 0, 0)).all(axis=2)
    assert (red.any(axis=0).sum(), red.any(axis=1).sum()) == inner
    assert (shown[~red] == GREY).all()
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert abs(rows[0] - (49 - rows[-1])) <= 1
    assert abs(columns[0] - (49 - columns[-1])) <= 1


@pytest.mark.parametrize("method", METHODS)
def test_a_square_image_is_the_same_by_each(method: ResizeMethod) -> None:
    image = colours(120, 120)
    assert (square(image, Resize(60, method)) == square(image, Resize(60))).all()


@pytest.mark.parametrize("method", METHODS)
def test_slivers_have_a_pixel(method: ResizeMethod) -> None:
    assert square(Image.new("RGB", (5000, 1), "red"), Resize(64, method)).shape == (64, 64, 3)


def test_processes_that_decode_resize_as_they_are_told(tmp_path: Path) -> None:
    file = write(tmp_path / "wide.png", encoded(colours(300, 100), "PNG"))
    slots = np.memmap(tmp_path / "slots", np.uint8, "w+", shape=(1, 1, 32, 32, 3))
    for method in METHODS:
        config = {
            "file": str(tmp_path / "slots"),
            "shape": slots.shape,
            "method": method,
            "max_pixels": 10**6,
        }
        command = (sys.executable, "-m", "labeller.services.square_worker")
        with Pool(command, 1, config) as pool:
            pool.submit(Request({"paths": [str(file)], "slot": 0, "at": 0}, None))
            answers: list[Any] = []
            while not answers:
                answers = list(pool.answers(0.2))
        assert answers[0][1]["bad"] == []
        assert (slots[0, 0] == square_of(file, Resize(32, method), 10**6)).all()


def test_each_method_has_features_of_its_own() -> None:
    recipes = [Recipe("efficientnet_lite0", 64, ("mids",), method=method) for method in METHODS]
    assert len({recipe.tag for recipe in recipes}) == len({recipe.file for recipe in recipes}) == 3
    # those of before are found again
    version = feature_recipes.VERSION
    assert recipes[0].tag == f"efficientnet_lite0@64:mids v{version}"
    assert recipes[0].file == f"features-efficientnet_lite0-64-mids-v{version}.f16"
    old = {"backbone": "efficientnet_lite0", "size": 64, "parts": ["mids"]}
    assert Recipe.of(old) == recipes[0]
    with pytest.raises(ValueError, match="no recipe"):
        Recipe.of(old | {"method": "stretch"})


def test_a_method_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "project.toml", b'resize_method = "stretch"\n')
    with pytest.raises(ConfigError, match=r"'stretch' is none of squish, crop, pad"):
        load_settings(tmp_path, {})
    write(tmp_path / "project.toml", b"")
    assert load_settings(tmp_path, {"LABELLER_RESIZE_METHOD": "pad"}).resize_method == "pad"
    assert Settings().resize_method == "squish"
