"""Another backbone is saved only after its cost was said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from labeller.config import load_settings
from labeller.errors import ConfigError
from labeller.project import Project
from labeller.services import extraction_cost, feature_recipes
from labeller.services.backbone_names import KNOWN, PACKAGED
from labeller.services.extraction_cost import Rate
from labeller.services.feature_recipes import Recipe
from labeller.ui import backbone_change
from store.vectors import VectorFile

Run = Callable[..., AppTest]
RESNET = "torchvision/resnet18"


def choose(app: AppTest, name: str) -> AppTest:
    app.selectbox(key="setting_backbone").set_value(name)
    app.number_input(key="setting_batch").set_value(33)
    app = next(b for b in app.button if b.form_id == "settings_Rounds").click().run()
    assert not app.exception
    return app


def test_it_says_the_cost_first(open_app: Run, project: Project) -> None:
    app = choose(open_app(project, "settings"), RESNET)
    text = app.warning[0].value.replace("\\", "")
    assert text.startswith(f"{RESNET}: 12 images will be read anew, about ")
    assert "weights are downloaded when the next round starts" in text
    assert load_settings(project.root, {}).batch == 6

    app = app.button(key="backbone_no").click().run()
    assert not app.warning
    assert app.selectbox(key="setting_backbone").value == PACKAGED
    assert load_settings(project.root, {}).backbone == PACKAGED

    app = choose(app, RESNET)
    app = app.button(key="backbone_yes").click().run()
    assert not app.exception
    assert not app.warning
    stored = load_settings(project.root, {})
    assert (stored.backbone, stored.batch) == (RESNET, 33)


def test_what_is_no_backbone_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"'resnet' is unknown.*torchvision/NAME"):
        backbone_change.held(project, {"backbone": "resnet"})
    assert not backbone_change.held(project, {"batch": 3})


def test_the_cost_comes_from_what_was_measured(project: Project) -> None:
    name = "timm/anything"
    unknown = extraction_cost.cost(project, name)
    assert (unknown.images, unknown.seconds) == (12, None)
    assert "not known before the first" in unknown.text
    extraction_cost.keep(project, name, Rate(64, 0.1, "CPU"))
    measured = extraction_cost.cost(project, name)
    assert (measured.images, measured.seconds, measured.measured) == (12, 120.0, True)
    assert measured.text == "12 images will be read anew, about 2 minutes."
    recipe = Recipe(name, 64, ("final",))
    feature_recipes.begin(project, recipe)
    VectorFile.open(project.vectors / recipe.file, 1).write([1, 2, 3], [[0.0]] * 3)
    assert extraction_cost.cost(project, name).images == 9
    larger = extraction_cost.cost_at(project, name, 128)  # four times the pixels of all images
    assert larger.images == 12
    assert larger.seconds == pytest.approx(480.0)


def test_an_estimate_follows_what_another_backbone_took(project: Project) -> None:
    extraction_cost.keep(project, PACKAGED, Rate(224, 2.0, "CPU"))
    known = KNOWN["torchvision/vit_b_16"]  # always 224 pixels
    found = extraction_cost.cost(project, known.name)
    assert found.seconds == pytest.approx(12 * known.cost / 2.0)
    assert found.text.endswith("an estimate from other backbones.")
    small = extraction_cost.cost(project, RESNET)  # images of 24 pixels are seen at 64
    assert small.seconds == pytest.approx(12 * KNOWN[RESNET].cost / 2.0 * (64 / 224) ** 2)
    (project.vectors / extraction_cost.FILE).write_text("[damaged")
    assert extraction_cost.rates(project) == {}
