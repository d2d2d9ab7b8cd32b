"""Fine-tuning: train the whole backbone on the images, for a GPU or thousands of labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from fastai.torch_core import L, TensorImage
from torch import Tensor, nn

from labeller.learning import backbones, lite0
from labeller.learning.backbones import Recipe
from labeller.learning.device import Device, reproducible
from labeller.learning.fitting import Labelled, Report, absent_classes, learner
from labeller.learning.images import Ints, decoded
from labeller.progress import Progress
from labeller.project import Project

NORM_MOMENTUM = 0.1  # of ImageNet's 0.01 too little would reach our images in a short training


@dataclass(frozen=True, slots=True)
class FineTuneConfig:
    """How a backbone is fine-tuned.

    `examples` is how many images training looks at in all, which keeps its length the same as
    labels grow; `least` and `most` bound the epochs. One more epoch comes first, for the new layer
    alone. `rate` is the learning rate of that layer, the first blocks get a hundredth of it.
    """

    examples: int = 20_000
    least: int = 4
    most: int = 30
    rate: float = 5e-3
    decay: float = 0.01
    dropout: float = 0.3

    def epochs(self, n: int) -> int:
        """Return how many epochs `n` examples are trained for after the first one."""
        return min(self.most, max(self.least, math.ceil(self.examples / n)))


class FineTuned(nn.Module):
    """From bytes (n, s, s, 3) or normalised images (n, 3, s, s) to logits (n, C).

    Parameters
    ----------
    trunk : nn.Module
        EfficientNet-Lite0.
    classes : int
        C
    dropout : float
        Before the last layer.
    """

    absent: Tensor

    def __init__(self, trunk: nn.Module, classes: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("absent", torch.zeros(classes))
        trunk._fc = nn.Identity()
        for norm in (layer for layer in trunk.modules() if isinstance(layer, nn.BatchNorm2d)):
            norm.momentum = NORM_MOMENTUM
        self.trunk = trunk
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(lite0.WIDTHS["final"], classes))

    def pooled(self, images: Tensor) -> Tensor:
        """Return what the last layer sees, (n, 1280)."""
        x = lite0.normalised(images) if images.dtype == torch.uint8 else images
        x = lite0.stem(self.trunk, x.contiguous(memory_format=torch.channels_last))
        for block in cast(nn.ModuleList, self.trunk._blocks):
            x = block(x)
        return lite0.top(self.trunk, x).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.pooled(images)) + self.absent
        return logits


def split(model: FineTuned) -> L:
    """Return the parameters in three groups: first blocks, last blocks, new layer."""
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
) -> FineTuned:
    """Train the new layer, then the whole network, with discriminative rates and augmentation.

    Parameters
    ----------
    train : Labelled
        Images as bytes (n, s, s, 3) and their columns; n is at least 2.
    valid : Labelled, optional
        What progress reports.
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

    References
    ----------
    Howard, J. and Ruder, S. Universal Language Model Fine-tuning. ACL 2018 (discriminative rates).
    """
    from fastai.callback.fp16 import MixedPrecision  # half of fastai: only when it is needed

    config = config or FineTuneConfig()
    with reproducible(seed):
        network = backbones.get(recipe.backbone).network()
        model = FineTuned(network, classes, config.dropout)
        model.absent.copy_(absent_classes(train.y, classes))
        model.to(device.torch).to(memory_format=torch.channels_last)
        epochs = config.epochs(len(train))
        learn = learner(
            model,
            train,
            valid,
            torch.zeros_like(model.absent),
            device.torch,
            augment=_augmentation(recipe.size),
            callbacks=[Report(progress, epochs + 1), *([MixedPrecision()] if device.cuda else [])],
            splitter=split,
            wd=config.decay,
        )
        learn.fine_tune(epochs, base_lr=config.rate, freeze_epochs=1)
    return model.eval()


def _augmentation(size: int) -> Callable[[Tensor], Tensor]:
    """Return what makes bytes (n, s, s, 3) into altered, normalised images (n, 3, s, s)."""
    from fastai.data.core import Pipeline
    from fastai.vision.augment import aug_transforms

    alter = Pipeline(aug_transforms(size=size, max_rotate=10.0, max_warp=0.1), split_idx=0)

    def augment(pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2).float() / 255.0
        altered: Tensor = alter(TensorImage(images)).as_subclass(Tensor)
        return (altered * 255.0 - 127.0) / 128.0

    return augment


def load_images(
    project: Project, ids: Ints, columns: Ints, size: int, file: Path, progress: Progress
) -> Labelled:
    """Decode images once into a file that training reads from.

    Parameters
    ----------
    project : Project
    ids, columns : array of int, shape (n,)
        Items and their classes.
    size : int
        Side of the images in pixels.
    file : Path
        Where the pixels are kept, memory-mapped, n · size · size · 3 bytes.
    progress : Progress

    Returns
    -------
    Labelled
        Images as bytes (m, size, size, 3), m ≤ n: unreadable ones are left out.
    """
    column = dict(zip(ids.tolist(), columns.tolist(), strict=True))
    pixels = np.lib.format.open_memmap(
        file, mode="w+", dtype=np.uint8, shape=(len(ids), size, size, 3)
    )
    kept: list[int] = []
    with closing(decoded(project, ids, size)) as parts:
        for part in parts:
            progress.check()
            pixels[len(kept) : len(kept) + len(part.ids)] = part.pixels
            kept += [column[i] for i in part.ids.tolist()]
    return Labelled(torch.from_numpy(pixels[: len(kept)]), torch.tensor(kept, dtype=torch.int64))
