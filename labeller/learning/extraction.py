"""Compute the features that are missing: decode, one forward pass, store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from labeller.learning import backbones, hog
from labeller.learning.backbone_onnx import ENGINES, fastest
from labeller.learning.backbones import Trunk
from labeller.learning.device import Device
from labeller.learning.features import Features, Floats
from labeller.learning.images import Ints, Unreadable, decoded, gathered
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import extraction_cost
from labeller.services.extraction_cost import Rate
from labeller.services.feature_recipes import Recipe
from labeller.squares import Bytes

STAGE = "features"
WRITE_PIXELS = 1_024 * 64 * 64  # per write, which waits for the disk: a second or two of work
GPU_BATCH = 512
CPU_PIXELS = 1 << 19  # per forward pass: what stays in the caches of a CPU
LARGEST = 60_000.0  # what half precision holds
SHOWN = 20


@dataclass(slots=True)
class _Part:
    """Features ready to be written, and the images that gave none."""

    ids: list[Ints] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)
    bad: list[Unreadable] = field(default_factory=list)
    seen: int = 0


def compute_missing(
    project: Project, features: Features, ids: Ints, device: Device, progress: Progress
) -> list[Unreadable]:
    """Compute and store the features of those items that have none.

    Parameters
    ----------
    project : Project
    features : Features
    ids : array of int, shape (N,)
        All items that should have features.
    device : Device
    progress : Progress
        Told after each part; asked there whether to stop. What is stored by then stays.

    Returns
    -------
    list of Unreadable
        Items whose image cannot be read; their rows stay missing and are tried again next time.

    Raises
    ------
    BackboneError
        When the backbone cannot be loaded.
    JobCancelled
        When the work should stop.
    """
    features.file.drop_damaged(ids)
    missing = features.file.missing(ids)
    if not len(missing):
        if features.note:
            progress.update(STAGE, 1, 1, features.note)
        return []
    progress.update(STAGE, 0, len(missing), features.note or "Loading the backbone")
    trunk, engine = fastest(project, features.backbone, features.recipe, missing, device)
    bad: list[Unreadable] = []
    done, started = 0, time.monotonic()
    said = features.note or (engine if engine not in ENGINES else "")
    progress.update(STAGE, 0, len(missing), said, engine=engine)
    for part in _computed(project, features.recipe, trunk, missing, device, progress):
        features.file.write(np.concatenate(part.ids), np.concatenate(part.rows))
        bad += part.bad
        done += part.seen
        message = " ".join(filter(None, [features.note, _message(bad)]))
        progress.update(STAGE, done, len(missing), message, unreadable=listed(bad))
        progress.check()
    if done >= extraction_cost.LEAST:
        rate = done / max(time.monotonic() - started, 1e-6)
        kept = Rate(features.recipe.size, rate, device.text)
        extraction_cost.keep(project, features.backbone.name, kept)
    return bad


def _computed(
    project: Project,
    recipe: Recipe,
    trunk: Trunk,
    ids: Ints,
    device: Device,
    progress: Progress,
) -> Iterator[_Part]:
    """Yield features in parts worth a write."""
    batch = GPU_BATCH if device.cuda else max(16, min(64, CPU_PIXELS // recipe.size**2))
    part = _Part()
    with contextlib.closing(decoded(project, ids, recipe.resize)) as images:
        for some in gathered(images, batch):
            progress.check()
            part.ids.append(some.ids)
            part.rows.append(extract(trunk, recipe, some.pixels, device))
            part.bad += some.unreadable
            part.seen += len(some.ids) + len(some.unreadable)
            if part.seen * recipe.size**2 >= WRITE_PIXELS:
                yield part
                part = _Part()
    if part.seen:
        yield part


def extract(trunk: Trunk, recipe: Recipe, pixels: Bytes, device: Device) -> Floats:
    """Return the features of some images.

    Parameters
    ----------
    trunk : Trunk
        The recipe's backbone, on `device`.
    recipe : Recipe
    pixels : array of uint8, shape (n, size, size, 3)
    device : Device

    Returns
    -------
    ndarray of float32, shape (n, d)
    """
    if not len(pixels):
        return np.empty((0, backbones.get(recipe.backbone).width(recipe)), np.float32)
    with torch.inference_mode():
        given = torch.from_numpy(np.ascontiguousarray(pixels)).to(device.torch)
        parts: dict[str, Tensor] = {}
        with device.mixed():
            parts |= trunk.features(given)
        if {"raw", "hog"} & set(recipe.parts):
            parts |= hog.tiny_features(given)
        joined = torch.cat([parts[name].float() for name in recipe.parts], dim=1)
        return joined.clamp_(-LARGEST, LARGEST).cpu().numpy()


def listed(bad: Sequence[Unreadable]) -> list[dict[str, object]]:
    """Return the first unreadable items as JSON values."""
    return [
        {"item": one.item_id, "path": one.path, "reason": one.reason, "mend": one.mend}
        for one in bad[:SHOWN]
    ]


def _message(bad: Sequence[Unreadable]) -> str:
    if not bad:
        return ""
    return f"{len(bad):,} image{'s' if len(bad) > 1 else ''} cannot be read any more"
