"""Trained models on the disk: weights, a description in JSON, and what was predicted in the audit.

A model is written into a hidden folder, flushed, and renamed: a folder without a dot is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labeller.errors import RoundError
from labeller.learning import backbones, device
from labeller.learning.committee import built
from labeller.learning.features import Floats, features_of
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.heads import Head, HeadConfig
from labeller.learning.images import Ints
from labeller.learning.predictors import (
    FineTunedPredictor,
    HeadPredictor,
    Predictor,
    TrainedModel,
)
from labeller.project import Project
from labeller.services.feature_recipes import Recipe
from store.checksums import find_damaged, write_sums
from store.durable import move_whole, sync_tree
from store.records import ModelRecord

FORMAT = 1
DESCRIPTION = "model.json"
WEIGHTS = "weights.pt"
AUDIT = "audit.npz"


def save(folder: Path, model: TrainedModel, about: Mapping[str, Any]) -> None:
    """Write a model into an existing folder.

    Parameters
    ----------
    folder : Path
        Hidden until it is renamed.
    model : TrainedModel
    about : mapping
        JSON values that people may want to know: the label set, metrics, versions.

    Raises
    ------
    RoundError
        When it cannot be written.
    """
    predictor = model.predictor
    weights = {name: value.detach().cpu() for name, value in predictor.state().items()}
    description = {
        "format": FORMAT,
        "kind": predictor.kind,
        "class_ids": list(model.class_ids),
        "temperature": model.temperature,
        "settings": predictor.settings(),
        "about": dict(about),
    }
    text = json.dumps(description, indent=2, ensure_ascii=False)
    with _unwritable(folder):
        torch.save(weights, folder / WEIGHTS)
        (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def save_audit(folder: Path, ids: Ints, class_ids: Ints, probs: Floats) -> None:
    """Keep what was predicted for the labelled audit items, to compare models item by item.

    Parameters
    ----------
    folder : Path
    ids, class_ids : array of int, shape (n,)
        Items and their true classes.
    probs : array of float, shape (n, C)
        Calibrated probabilities.
    """
    with _unwritable(folder):
        np.savez(folder / AUDIT, item_ids=ids, class_ids=class_ids, probs=probs)


def load_audit(project: Project, record: ModelRecord) -> tuple[Ints, Ints, Floats]:
    """Return items (n,), true classes (n,) and probabilities (n, C) that `save_audit` kept."""
    with np.load(project.own_file(record.path, project.models) / AUDIT, allow_pickle=False) as kept:
        return kept["item_ids"], kept["class_ids"], kept["probs"]


def publish(folder: Path, final: Path) -> None:
    """Flush a folder's files with their hashes to the disk, then give it its final name."""
    with _unwritable(final):
        write_sums(folder)
        sync_tree(folder)
        move_whole(folder, final)


def load_model(project: Project, record: ModelRecord) -> TrainedModel:
    """Load a registered model onto the project's device.

    Parameters
    ----------
    project : Project
    record : ModelRecord

    Returns
    -------
    TrainedModel
        Gives the same predictions as when it was registered, on the same device.

    Raises
    ------
    RoundError
        When its files are missing or damaged.
    BackboneError
        When the backbone is not there that gives a head its features, or its code is missing.
    """
    folder = project.own_file(record.path, project.models)
    _refuse_damaged(folder)
    with _damage(folder):
        text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        description = json.loads(text)
        weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
        settings = description["settings"]
        recipe = Recipe.of(settings["recipe"])
        build = _head if description["kind"] == "features" else _fine_tuned
        predictor = build(project, recipe, settings, weights)
        return TrainedModel(
            predictor, tuple(description["class_ids"]), float(description["temperature"])
        )


def _refuse_damaged(folder: Path) -> None:
    """Refuse a model of which a file changed since it was trained: it would predict wrongly."""
    damaged = find_damaged(folder)
    if damaged:
        raise RoundError(
            f"{folder}: the model cannot be loaded ({', '.join(damaged)} was damaged or changed "
            f"since it was trained). Put another model in use. Start a round to train another."
        )


def _head(
    project: Project, recipe: Recipe, settings: dict[str, Any], weights: dict[str, torch.Tensor]
) -> Predictor:
    where = device.choose(project.settings.device)
    config = HeadConfig(**settings["head"])
    network = built(settings, lambda: Head(settings["width"], settings["classes"], config))
    network.load_state_dict(weights)
    return HeadPredictor(features_of(project, recipe), network.to(where.torch).eval(), where)


def _fine_tuned(
    project: Project, recipe: Recipe, settings: dict[str, Any], weights: dict[str, torch.Tensor]
) -> Predictor:
    where = device.choose(project.settings.device)
    config = FineTuneConfig(**settings["fine_tune"])
    network = built(
        settings,
        lambda: FineTuned(backbones.blank(recipe.backbone), settings["classes"], config.dropout),
    )
    network.load_state_dict(weights)
    network.to(where.torch).to(memory_format=torch.channels_last).eval()
    return FineTunedPredictor(project, recipe, network, where, config)


@contextmanager
def _damage(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with a model's files into words."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise RoundError(
            f"{folder}: the model cannot be loaded ({reason}). Start a round to train another."
        ) from error


@contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    """Say in words why a model cannot be written (torch raises RuntimeError on a full disk)."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RoundError(
            f"{folder}: the model cannot be written ({reason}). "
            f"Make room on the disk or mend its permissions, then start a round."
        ) from error
