"""The features that lie on the disk: for what, how large, and deleting those that nothing needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labeller.errors import JobError
from labeller.project import Project
from labeller.services import feature_recipes
from labeller.services.feature_recipes import PREFIX
from store.records import ModelRecord
from store.vectors import VectorFile, count_rows, delete_vectors

BLOCK = 512  # bytes in which POSIX counts what a file takes: rows never written take nothing


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """The features of one recipe.

    Attributes
    ----------
    path : Path
    backbone : str
        With its weights, where it has more than one.
    size : int
        Side in pixels at which it saw the images.
    images : int
        How many have features.
    bytes : int
        What they take on the disk.
    models : tuple of int
        The models, not deleted ones, that were made with them.
    in_use : bool
        Whether the model in use or the next round reads them.
    """

    path: Path
    backbone: str
    size: int
    images: int
    bytes: int
    models: tuple[int, ...]
    in_use: bool


def listed(project: Project) -> list[FeatureFile]:
    """Return the features on the disk, those in use first."""
    models = _models(project)
    by_file = _by_file(models)
    used = _used(project, models)
    found = []
    for path in project.vectors.glob(f"{PREFIX}*.f16"):
        name, _, size = VectorFile.tag_of(path).partition(":")[0].rpartition("@")
        if size.isdecimal():
            found.append(
                FeatureFile(
                    path,
                    name,
                    int(size),
                    count_rows(path),
                    path.stat().st_blocks * BLOCK,
                    by_file.get(path.name, ()),
                    path.name in used,
                )
            )
    return sorted(found, key=lambda one: (not one.in_use, one.path.name))


def delete_superseded(project: Project) -> None:
    """Delete features that neither a model nor the next round reads, as of an earlier version."""
    models = _models(project)
    needed = {*_by_file(models), *_used(project, models)}
    for path in project.vectors.glob(f"{PREFIX}*.f16"):
        if path.name not in needed:
            delete_vectors(path)


def delete_unused(project: Project) -> int:
    """Delete features that neither the model in use nor the next round reads.

    An older model that is put in use again has them computed once more.

    Returns
    -------
    int
        Bytes that were freed.

    Raises
    ------
    JobError
        While a round is on, which may be reading them.
    """
    with project.store.read() as unit:
        if unit.jobs.active("round"):
            raise JobError("A round is on and reads features. Delete them when it has ended.")
    freed = 0
    for one in listed(project):
        if not one.in_use:
            delete_vectors(one.path)
            freed += one.bytes
    return freed


def outgrown(project: Project) -> tuple[int, int] | None:
    """Return at which size images are read, and which would fit them now, where these differ."""
    name = project.settings.backbone
    recipe = feature_recipes.begun(project, name)
    if recipe is None:
        return None
    fitting = feature_recipes.fitting_size(project, name)
    return None if fitting == recipe.size else (recipe.size, fitting)


def _models(project: Project) -> list[ModelRecord]:
    with project.store.read() as unit:
        return [model for model in unit.models.all() if model.deleted_at is None]


def _by_file(models: list[ModelRecord]) -> dict[str, tuple[int, ...]]:
    """Return for each file of features the models that were made with it."""
    found: dict[str, tuple[int, ...]] = {}
    for model in models:
        if (recipe := feature_recipes.of_model(model)) is not None:
            found[recipe.file] = (*found.get(recipe.file, ()), model.id)
    return found


def _used(project: Project, models: list[ModelRecord]) -> set[str]:
    """Return the files that the model in use and the next round read."""
    recipes = [feature_recipes.of_model(model) for model in models if model.in_use]
    recipes.append(feature_recipes.begun(project, project.settings.backbone))
    return {recipe.file for recipe in recipes if recipe is not None}
