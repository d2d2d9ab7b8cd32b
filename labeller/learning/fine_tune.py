"""Fine-tuning: train the whole backbone on the images, for a GPU or thousands of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from fastai.torch_core import L, TensorImage
from torch import Tensor, nn

from labeller.learning import backbones, lite0, unfreezing
from labeller.learning.backbone_network import Network
from labeller.learning.checkpoints import SUFFIX, Checkpoint, digest
from labeller.learning.device import Device, reproducible
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.fitting import (
    Labelled,
    Report,
    Stop,
    absent_classes,
    best_of,
    course_of,
    learner,
)
from labeller.learning.objective import Objective
from labeller.learning.random_crop import crop_randomly
from labeller.learning.stopwatch import versions
from labeller.progress import Progress
from labeller.services.feature_recipes import Recipe


def split(model: FineTuned) -> L:
    """Return the parameters in three groups: first blocks, last blocks, new layer."""
    if isinstance(model.trunk, Network):
        own = list(model.trunk.parameters())
        return L([L(own[: len(own) // 2]), L(own[len(own) // 2 :]), L(model.head.parameters())])
    blocks = list(cast(nn.ModuleList, model.trunk._blocks))
    half = len(blocks) // 2
    early = [model.trunk._conv_stem, model.trunk._bn0, *blocks[:half]]
    late = [*blocks[half:], model.trunk._conv_head, model.trunk._bn1]
    groups = (early, late, [model.head])
    return L([L([p for m in g for p in cast(nn.Module, m).parameters()]) for g in groups])


def fine_tune(
    train: Labelled,
    valid: Labelled | None,
    classes: int,
    recipe: Recipe,
    *,
    seed: int,
    device: Device,
    progress: Progress,
    config: FineTuneConfig | None = None,
    objective: Objective | None = None,
    checkpoints: Path | None = None,
    about: Mapping[str, Any] | None = None,
) -> FineTuned:
    """Train the new layer, then the whole network, with discriminative rates and augmentation.

    Parameters
    ----------
    train : Labelled
        Images as bytes (n, s, s, 3) and their columns; n is at least 2. With the resize method
        ``"crop"`` they may be larger than s.
    valid : Labelled, optional
        What progress reports; training depends on it only where the best epoch is to be kept.
    classes : int
        C; classes without an example are never predicted.
    recipe : Recipe
        Names the backbone and the size s of the images.
    seed : int
        The same seed, examples and device give the same network.
    device : Device
        On a GPU training uses mixed precision.
    progress : Progress
        Told after each epoch, asked after each batch whether to stop.
    config : FineTuneConfig, optional
    objective : Objective, optional
    checkpoints : Path, optional
        Folder of checkpoints: a training that was killed goes on from its last one there.
    about : mapping, optional
        What checkpoints tell besides, of what the training is for.

    Returns
    -------
    FineTuned
        In evaluation mode, on `device`.

    Raises
    ------
    BackboneError
        When the weights are missing.
    JobCancelled
        When the work should stop.
    RoundError
        When a checkpoint cannot be written.

    References
    ----------
    Howard, J. and Ruder, S. Universal Language Model Fine-tuning. ACL 2018 (discriminative rates).
    """
    from fastai.callback.fp16 import MixedPrecision  # half of fastai: only when it is needed

    config, objective = config or FineTuneConfig(), objective or Objective()
    phases = config.phases(len(train))
    report = Report(progress, sum(phase.epochs for phase in phases))
    best = best_of(objective, train, valid)
    stop = Stop(best) if best is not None else None
    with reproducible(seed):
        network = backbones.get(recipe.backbone).network()
        model = FineTuned(network, classes, config.dropout)
        model.absent.copy_(absent_classes(train.y, classes))
        checkpoint = None
        if checkpoints is not None:
            given = [asdict(one) for one in (config, objective, recipe)]
            name = _identity(model, train, valid, [*given, seed, device.kind, device.amp])
            checkpoint = Checkpoint(checkpoints / (name + SUFFIX), report, best, about)
        model.to(device.torch).to(memory_format=torch.channels_last)
        mixed = [MixedPrecision(device.amp)] if device.amp else []
        learn = learner(
            model,
            train,
            valid,
            torch.zeros_like(model.absent),
            device.torch,
            objective=objective,
            augment=_augmentation(recipe, model.normalised, mirror=config.mirror),
            callbacks=[cb for cb in (report, best, stop, checkpoint, *mixed) if cb is not None],
            splitter=split,
            wd=config.decay,
        )
        unfreezing.train(learn, phases, checkpoint, best)
        model.course = course_of(learn, len(train), report, best)
        if best is not None:
            best.put_back()
    return model.eval()


def _identity(
    model: FineTuned, train: Labelled, valid: Labelled | None, about: Sequence[object]
) -> str:
    """Return the digest of a training that has not begun."""
    examples = [train, *([valid] if valid is not None else [])]
    tensors = [tensor for part in examples for tensor in (part.x, part.y)]
    return digest(
        {"about": list(about), "versions": versions()}, [*tensors, *model.state_dict().values()]
    )


def _augmentation(
    recipe: Recipe, normalised: Callable[[Tensor], Tensor] = lite0.scaled, *, mirror: bool = False
) -> Callable[[Tensor], Tensor]:
    """Return what makes bytes (n, t, t, 3) into altered, normalised images (n, 3, s, s)."""
    from fastai.data.core import Pipeline
    from fastai.vision.augment import aug_transforms

    altered = aug_transforms(do_flip=mirror, size=recipe.size, max_rotate=10.0, max_warp=0.1)
    alter = Pipeline(altered, split_idx=0)

    def augment(pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2).float() / 255.0
        if recipe.method == "crop":
            images = crop_randomly(images, recipe.size)
        return normalised(alter(TensorImage(images)).as_subclass(Tensor))

    return augment
