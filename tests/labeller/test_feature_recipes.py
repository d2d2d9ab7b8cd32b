"""The recipe that a project began with: kept by backbone, forgotten when asked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from labeller.project import Project, create_project
from labeller.services import feature_recipes
from labeller.services.backbone_names import PACKAGED
from labeller.services.feature_recipes import Recipe
from tests.labeller.learning.shapes import add_shapes, shapes

SMALL = Recipe(PACKAGED, 64, ("mids", "raw", "hog"))


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A project without images."""
    return create_project(tmp_path / "p", ["a", "b"])


def test_what_a_project_began_with_stays_until_it_is_forgotten(empty: Project) -> None:
    other = Recipe("timm/some", 224, ("final",), "0123")
    assert feature_recipes.begun(empty, PACKAGED) is None
    feature_recipes.begin(empty, SMALL)
    feature_recipes.begin(empty, other)
    assert feature_recipes.begun(empty, PACKAGED) == SMALL
    assert feature_recipes.begun(empty, "timm/some") == other
    feature_recipes.forget(empty, PACKAGED)
    assert feature_recipes.begun(empty, PACKAGED) is None
    assert feature_recipes.begun(empty, "timm/some") == other
    (empty.vectors / feature_recipes.FILE).write_text("[damaged")
    assert feature_recipes.begun(empty, "timm/some") is None
    feature_recipes.begin(empty, SMALL)
    assert feature_recipes.begun(empty, PACKAGED) == SMALL


@pytest.mark.parametrize(
    "wrong",
    [
        {"backbone": "../etc"},
        {"size": 0},
        {"size": 10**6},
        {"size": "wide"},
        {"parts": []},
        {"parts": ["mids", "tail"]},
        {"parts": 3},
    ],
)
def test_what_is_no_recipe_is_refused(wrong: dict[str, object]) -> None:
    assert Recipe.of(asdict(SMALL)) == SMALL
    with pytest.raises((ValueError, TypeError)):
        Recipe.of(asdict(SMALL) | wrong)


def test_the_size_that_fits_follows_the_median_side(tmp_path: Path, empty: Project) -> None:
    assert feature_recipes.median_side(empty) == 224
    project = shapes(tmp_path / "q", 3, side=20)
    assert feature_recipes.fitting_size(project, PACKAGED) == 64
    add_shapes(project, range(3, 9), side=60)
    assert feature_recipes.median_side(project) == 60
    assert feature_recipes.median_side(project, np.arange(1, 4)) == 20
    assert feature_recipes.fitting_size(project, PACKAGED) == 96
    assert feature_recipes.fitting_size(project, "torchvision/vit_b_16") == 224
    assert feature_recipes.fitting_size(project, "timm/unheard_of") == 96
