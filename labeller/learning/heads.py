"""The head: a small network with dropout on cached features, trained in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labeller.learning.batch_sizes import batch_size
from labeller.learning.course import Course

CLAMP = 10.0  # scaled features beyond this are outliers


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """What a head is and how it is trained.

    `epochs` passes over the examples, or more of them in each epoch while they are so few that the
    optimiser would take fewer than `steps` steps in all. With `examples` the length is about so
    many examples instead, in whole passes, one at least.
    """

    hidden: int = 256
    dropout_in: float = 0.2
    dropout: float = 0.5
    rate: float = 3e-3
    decay: float = 0.05
    epochs: int = 12
    steps: int = 100
    examples: int = 0

    def passes(self, n: int) -> tuple[int, int]:
        """Return how many epochs there are for `n` examples, and how often each passes over them.

        What does not fill a batch is left out of a pass, so that a few examples fewer are seen.
        """
        if not self.examples:
            return self.epochs, math.ceil(self.steps / (self.epochs * (n // batch_size(n))))
        passes = max(1, round(self.examples / n))
        repeats = max(1, round(passes / self.epochs))
        return max(1, round(passes / repeats)), repeats


class Head(nn.Module):
    """From features (n, d) to logits (n, C); scales the features itself.

    Parameters
    ----------
    width : int
        d
    classes : int
        C
    config : HeadConfig
    """

    mean: Tensor
    spread: Tensor
    absent: Tensor
    course: Course | None = None  # of its training; unknown of one that was loaded

    def __init__(self, width: int, classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("absent", torch.zeros(classes))
        self.layers = nn.Sequential(
            nn.Dropout(config.dropout_in),
            nn.Linear(width, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, classes),
        )

    def scaled(self, features: Tensor) -> Tensor:
        """Return features in the units that the layers work in."""
        return ((features - self.mean) / self.spread).clamp(-CLAMP, CLAMP)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(self.scaled(features)) + self.absent
        return logits

    def opinions(self, features: Tensor, count: int) -> Tensor:
        """Return logits (S, n, C) of `count` dropout passes."""
        scaled = self.scaled(features)
        with dropping(self):
            return torch.stack([self.layers(scaled) + self.absent for _ in range(count)])


@contextmanager
def dropping(module: nn.Module) -> Iterator[None]:
    """Let the dropout layers of a module drop while everything else stays as in evaluation."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Dropout)]
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
