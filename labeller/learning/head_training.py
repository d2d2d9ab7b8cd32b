"""Training of a head on cached features, in seconds."""

from __future__ import annotations

import torch

from labeller.learning import heads
from labeller.learning.device import Device, reproducible
from labeller.learning.features import Scaling
from labeller.learning.fitting import (
    Labelled,
    Report,
    Stop,
    absent_classes,
    best_of,
    course_of,
    learner,
)
from labeller.learning.heads import Head, HeadConfig
from labeller.learning.objective import Objective
from labeller.progress import Progress


def fit_head(
    train: Labelled,
    valid: Labelled | None,
    classes: int,
    scaling: Scaling,
    *,
    seed: int,
    device: Device,
    progress: Progress,
    config: HeadConfig | None = None,
    objective: Objective | None = None,
) -> Head:
    """Train a head with one-cycle scheduling.

    Parameters
    ----------
    train : Labelled
        Features (n, d) and their columns, or shares of the classes; n is at least 2.
    valid : Labelled, optional
        What progress reports; training depends on it only where the best epoch is to be kept.
    classes : int
        C; classes without an example are never predicted.
    scaling : Scaling
        Of the pool.
    seed : int
        The same seed, examples and device give the same head.
    device : Device
    progress : Progress
        Told after each epoch, asked after each batch whether to stop.
    config : HeadConfig, optional
    objective : Objective, optional

    Returns
    -------
    Head
        In evaluation mode, on `device`.

    Raises
    ------
    JobCancelled
        When the work should stop.

    References
    ----------
    Smith, L. N. A Disciplined Approach to Neural Network Hyper-Parameters. arXiv:1803.09820.
    """
    config, objective = config or heads.HeadConfig(), objective or Objective()
    best = best_of(objective, train, valid)
    where = device.torch
    with reproducible(seed):
        head = Head(train.x.shape[1], classes, config)
        head.mean.copy_(torch.from_numpy(scaling.mean))
        head.spread.copy_(torch.from_numpy(scaling.spread))
        head.absent.copy_(absent_classes(train.y, classes))
        head.to(where)
        epochs, repeats = config.passes(len(train))
        report = Report(progress, epochs)
        learn = learner(
            head.layers,
            _scaled(head, train, where),
            _scaled(head, valid, where) if valid is not None else None,
            head.absent,
            where,
            objective=objective,
            repeats=repeats,
            wd=config.decay,
            callbacks=[report, *([best, Stop(best)] if best else [])],
        )
        learn.fit_one_cycle(epochs, config.rate)
        head.course = course_of(learn, len(train), report, best)
        if best is not None:
            best.put_back()
    return head.eval()


def _scaled(head: Head, examples: Labelled, device: torch.device) -> Labelled:
    """Scale once what training looks at many times."""
    return Labelled(head.scaled(examples.x.to(device)), examples.y.to(device))
