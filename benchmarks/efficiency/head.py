"""The product's head, trained by a plain loop: the same layers, optimiser and schedule, sooner.

A label efficiency run trains thousands of heads on at most a few hundred examples each, where most
of the time of `labeller.learning.heads.fit_head` goes into what fastai does around each step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from labeller.learning.batch_sizes import batch_size
from labeller.learning.device import Device, reproducible
from labeller.learning.features import Scaling
from labeller.learning.fitting import Labelled, absent_classes
from labeller.learning.heads import Head, HeadConfig
from labeller.progress import Progress

SQUARES, EPSILON = 0.99, 1e-5  # as in fastai's Adam
MOMENTA = (0.85, 0.95)
RISE, START, END = 0.25, 25.0, 1e5  # of fastai's one-cycle schedule


def fit_plain(
    train: Labelled,
    _valid: Labelled | None,
    classes: int,
    scaling: Scaling,
    *,
    seed: int,
    device: Device,
    progress: Progress,
    config: HeadConfig | None = None,
) -> Head:
    """Train a head as :func:`labeller.learning.heads.fit_head` does, without fastai's loop.

    Parameters
    ----------
    train : Labelled
        Features (n, d) and their columns; n is at least 2.
    classes : int
        C
    scaling : Scaling
        Of the pool.
    seed : int
    device : Device
    progress : Progress
        Asked after each fit whether to stop.
    config : HeadConfig, optional

    Returns
    -------
    Head
        In evaluation mode.
    """
    config = config or HeadConfig()
    with reproducible(seed):
        head = Head(train.x.shape[1], classes, config)
        head.mean.copy_(torch.from_numpy(scaling.mean))
        head.spread.copy_(torch.from_numpy(scaling.spread))
        head.absent.copy_(absent_classes(train.y, classes))
        head.to(device.torch)
        x, y = head.scaled(train.x.to(device.torch)), train.y.to(device.torch)
        batches = _batches(len(y), config)
        optimiser, schedule = _optimiser(head.layers, config, len(batches))
        for rows in batches:
            loss = functional.cross_entropy(head.layers(x[rows]) + head.absent, y[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    progress.check()
    return head.eval()


def _batches(n: int, config: HeadConfig) -> list[Tensor]:
    """Return the rows of every step: each pass over the examples in an order of its own."""
    size, (epochs, repeats) = batch_size(n), config.passes(n)
    found: list[Tensor] = []
    for _ in range(epochs):
        rows = torch.cat([torch.randperm(n) for _ in range(repeats)])
        found += torch.split(rows[: len(rows) // size * size], size)
    return found


def _optimiser(
    layers: nn.Module, config: HeadConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW, which leaves biases and batch norm undecayed, under a one-cycle schedule."""
    decayed = [parameter for parameter in layers.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in layers.parameters() if parameter.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": config.decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        groups, lr=config.rate, betas=(MOMENTA[1], SQUARES), eps=EPSILON, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        config.rate,
        total_steps=steps + 1,
        pct_start=RISE,
        div_factor=START,
        final_div_factor=END / START,
        base_momentum=MOMENTA[0],
        max_momentum=MOMENTA[1],
    )
    return optimiser, schedule
