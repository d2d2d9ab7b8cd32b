"""Features on the disk: those that are in use, those of other models, and those of nobody."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from labeller.cli import cli
from labeller.errors import JobError
from labeller.project import Project, create_project
from labeller.services import feature_files, feature_recipes, model_shelf
from labeller.services.backbone_names import PACKAGED
from labeller.services.feature_recipes import Recipe
from store.records import NewModel
from store.vectors import VectorFile

OLD, NOW = (Recipe(PACKAGED, size, ("mids", "final")) for size in (64, 224))
OTHER = Recipe("timm/some", 224, ("final",), "0123")


def add_model(project: Project, recipe: Recipe, said: dict[str, object] | None = None) -> int:
    """Register a model made with a recipe, with features of 100 images."""
    with project.store.write() as unit:
        started = unit.rounds.start("margin", 5, None, 0, 0)
        model = unit.models.add(
            NewModel(
                path=f"models/round-{started.number:04d}",
                label_hash="0" * 64,
                labels=0,
                seed=0,
                backbone=recipe.backbone,
                device="CPU",
                class_ids=(1, 2),
                config={"recipe": asdict(recipe) if said is None else said},
                metrics={},
                timings={},
                versions={},
            ),
            started.id,
        )
        unit.rounds.finish(started.id, "done", model_id=model.id)
    project.file(model.path).mkdir()
    add_features(project, recipe)
    return model.id


def add_features(project: Project, recipe: Recipe) -> Path:
    file = VectorFile.open(project.vectors / recipe.file, 500, "float16", f"{recipe.tag} abc")
    file.write(range(100), np.zeros((100, 500), np.float32))
    return file.path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose model in use and next round read `NOW`; older models read the others."""
    made = create_project(tmp_path / "p", ["a", "b"], start_workers=False)
    add_model(made, OLD)
    add_model(made, OTHER)
    add_model(made, NOW)
    feature_recipes.begin(made, NOW)
    return made


def names(project: Project) -> set[str]:
    return {path.name for path in project.vectors.glob("features-*")}


def with_bits(*recipes: Recipe) -> set[str]:
    return {f"{recipe.file}{end}" for recipe in recipes for end in ("", ".has", ".sum")}


def test_what_lies_there_and_for_what(project: Project) -> None:
    found = feature_files.listed(project)
    assert [(one.backbone, one.size, one.models, one.in_use) for one in found] == [
        (PACKAGED, 224, (3,), True),
        (PACKAGED, 64, (1,), False),
        ("timm/some-0123", 224, (2,), False),
    ]
    assert {one.images for one in found} == {100}
    assert all(one.bytes >= 100 * 500 * 2 for one in found)
    assert all(one.bytes < 4096 * 500 * 2 for one in found), "rows never written take nothing"


def test_only_what_no_model_was_made_with_is_superseded(project: Project) -> None:
    add_features(project, replace(OLD, size=96))
    feature_files.delete_superseded(project)
    assert names(project) == with_bits(OLD, OTHER, NOW)
    model_shelf.delete(project, 1)
    feature_files.delete_superseded(project)
    assert names(project) == with_bits(OTHER, NOW)


def test_a_model_that_does_not_say_its_recipe_keeps_nothing(project: Project) -> None:
    unsaid = replace(OLD, size=96)
    model = add_model(project, unsaid, {"size": 96})
    assert model not in [number for one in feature_files.listed(project) for number in one.models]
    feature_files.delete_superseded(project)
    assert names(project) == with_bits(OLD, OTHER, NOW)


def test_a_backbone_without_a_model_keeps_what_the_next_round_reads(project: Project) -> None:
    waiting = replace(OLD, size=128)
    add_features(project, waiting)
    feature_recipes.begin(project, waiting)
    feature_files.delete_superseded(project)
    assert names(project) == with_bits(OLD, OTHER, NOW, waiting)


def test_what_is_not_in_use_is_deleted_when_asked(project: Project) -> None:
    model_shelf.use(project, 2)
    freed = sum(one.bytes for one in feature_files.listed(project) if not one.in_use)
    assert feature_files.delete_unused(project) == freed > 0
    assert names(project) == with_bits(OTHER, NOW)
    assert feature_files.delete_unused(project) == 0


def test_nothing_is_deleted_under_a_round(project: Project) -> None:
    with project.store.write() as unit:
        unit.jobs.add("round", {}, exclusive=True)
    with pytest.raises(JobError, match="A round is on"):
        feature_files.delete_unused(project)
    assert names(project) == with_bits(OLD, OTHER, NOW)


def test_the_command_deletes_and_chooses_the_size_anew(project: Project) -> None:
    def call(*words: str) -> str:
        found = CliRunner().invoke(cli, ["models", str(project.root), *words])
        assert found.exit_code == 0, found.output
        return found.output

    assert "Freed" in call("--delete-features")
    assert names(project) == with_bits(NOW)
    assert "reads all images anew" in call("--new-size")
    assert feature_recipes.begun(project, PACKAGED) is None
    both = CliRunner().invoke(cli, ["models", str(project.root), "--new-size", "--use", "1"])
    assert "Give one of" in both.output
