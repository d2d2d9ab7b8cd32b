"""A backbone with a new last layer, trained as a whole: the network, and how it is trained.

It knows nothing of fastai, whose import is half of the start of a process that only predicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self, cast

import torch
from torch import Tensor, nn

from labeller.learning import lite0, unfreezing
from labeller.learning.backbone_network import Network
from labeller.learning.course import Course

NORM_MOMENTUM = 0.1  # of ImageNet's 0.01 too little would reach our images in a short training


@dataclass(frozen=True, slots=True)
class FineTuneConfig:
    """How a backbone is fine-tuned.

    `examples` is how many images training looks at in all, which keeps its length the same as
    labels grow; `least` and `most` bound the epochs. One more epoch comes first, for the new layer
    alone. `rate` is the learning rate of that layer, the first blocks get a hundredth of it.
    `gradual` trains the last blocks before the first ones too, in as many epochs. `mirror` shows
    half of the images mirrored.
    """

    examples: int = 20_000
    least: int = 4
    most: int = 30
    rate: float = 5e-3
    decay: float = 0.01
    dropout: float = 0.3
    gradual: bool = False
    mirror: bool = False

    def epochs(self, n: int) -> int:
        """Return how many epochs `n` examples are trained for after the first one."""
        return min(self.most, max(self.least, math.ceil(self.examples / n)))

    def lasting(self, examples: int, n: int) -> Self:
        """Return what trains for about so many examples: passes over `n`, the first one included.

        There are two at least: one for the new layer alone, one for all.
        """
        epochs = max(1, round(examples / n) - 1)
        return replace(self, least=epochs, most=epochs)

    def phases(self, n: int) -> tuple[unfreezing.Phase, ...]:
        """Return what is trained when."""
        made = unfreezing.in_steps if self.gradual else unfreezing.at_once
        return made(self.epochs(n), self.rate)


class FineTuned(nn.Module):
    """From bytes (n, s, s, 3) or normalised images (n, 3, s, s) to logits (n, C).

    Parameters
    ----------
    trunk : nn.Module
        EfficientNet-Lite0, or a network of torchvision or timm.
    classes : int
        C
    dropout : float
        Before the last layer.
    """

    absent: Tensor
    course: Course | None = None  # of its training; unknown of one that was loaded

    def __init__(self, trunk: nn.Module, classes: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("absent", torch.zeros(classes))
        if not isinstance(trunk, Network):
            trunk._fc = nn.Identity()
        for norm in (layer for layer in trunk.modules() if isinstance(layer, nn.BatchNorm2d)):
            norm.momentum = NORM_MOMENTUM
        self.trunk = trunk
        width = trunk.width if isinstance(trunk, Network) else lite0.WIDTHS["final"]
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))

    def normalised(self, images: Tensor) -> Tensor:
        """Turn images (n, 3, s, s) from 0 to 1 into what the trunk was trained on."""
        if isinstance(self.trunk, Network):
            return self.trunk.scaled(images)
        return lite0.scaled(images)

    def pooled(self, images: Tensor) -> Tensor:
        """Return what the last layer sees, (n, d)."""
        if isinstance(self.trunk, Network):
            found: Tensor = self.trunk(images)["final"]
            return found
        x = lite0.normalised(images) if images.dtype == torch.uint8 else images
        x = lite0.stem(self.trunk, x.contiguous(memory_format=torch.channels_last))
        for block in cast(nn.ModuleList, self.trunk._blocks):
            x = block(x)
        return lite0.top(self.trunk, x).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.pooled(images)) + self.absent
        return logits
