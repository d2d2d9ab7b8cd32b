"""fastai on tensors: what training strives for, and progress out of the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from fastai.callback.core import Callback, CancelFitException, TrainEvalCallback
from fastai.callback.schedule import ParamScheduler  # noqa: F401 (gives Learner its schedules)
from fastai.data.core import DataLoaders
from fastai.learner import AvgSmoothLoss, Learner, Recorder
from torch import Tensor, nn
from torch.nn import functional

from labeller.learning.batch_sizes import BATCH, batch_size
from labeller.learning.batches import Augment, TensorLoader
from labeller.learning.course import Course
from labeller.learning.objective import Objective, loss_function, present_classes
from labeller.learning.optimiser import adam
from labeller.progress import Progress

STAGE = "train"
MEASURED = 512


class _Smooth(AvgSmoothLoss):  # type: ignore[misc]
    """The same average without waiting for the device after every batch."""

    val: Tensor

    def accumulate(self, learn: Learner) -> None:
        """Add a batch."""
        self.count += 1
        loss = learn.loss.mean().detach()
        self.val = torch.lerp(loss, self.val.to(loss.device), self.beta)


class Losses(Recorder):  # type: ignore[misc]
    """fastai's Recorder, less the history of every batch, which nobody reads."""

    name = "recorder"

    def __init__(self) -> None:
        super().__init__(add_time=False)
        self.smooth_loss = _Smooth()

    def after_batch(self) -> None:
        """Add a batch to the averages."""
        for metric in self._train_mets if self.training else self._valid_mets:
            metric.accumulate(self.learn)


class Report(Callback):  # type: ignore[misc]
    """Tell the job's progress after each epoch, and stop between batches when it should stop.

    Parameters
    ----------
    progress : Progress
    epochs : int
        Epochs of all fits that this callback will see.
    """

    order = 60  # after fastai's Recorder

    def __init__(self, progress: Progress, epochs: int) -> None:
        self.progress = progress
        self.epochs = epochs
        self.done = 0
        self.losses: list[float] = []

    def after_batch(self) -> None:
        """Raise when the job was cancelled."""
        self.progress.check()

    def after_epoch(self) -> None:
        """Report the epoch: smoothed training loss, validation loss and accuracy."""
        if left_out(self):
            return
        self.done += 1
        train, valid, accuracy = (_number(v) for v in self.recorder.values[-1][:3])
        self.losses.append(round(train, 4) if train is not None else float("nan"))
        self.progress.update(
            STAGE,
            self.done,
            self.epochs,
            epoch=self.done,
            epochs=self.epochs,
            loss=train,
            valid_loss=valid,
            accuracy=accuracy,
            losses=list(self.losses),
        )


class Best(Callback):  # type: ignore[misc]
    """Hold the weights of the epoch whose validation loss was the lowest, the first of equals.

    Parameters
    ----------
    patience : int
        Epochs without a lower loss after which training is to stop; 0 for never.
    """

    order = 61  # after Report

    def __init__(self, patience: int = 0) -> None:
        self.patience = patience
        self.lowest = float("inf")
        self.waited = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def exhausted(self) -> bool:
        """Whether training should stop."""
        return 0 < self.patience <= self.waited

    def after_epoch(self) -> None:
        """Copy the weights when they are the best so far."""
        if left_out(self):
            return
        if not (loss := float(self.recorder.values[-1][1])) < self.lowest:
            self.waited += 1
            return
        self.lowest, self.waited = loss, 0
        self.weights = {name: x.clone() for name, x in self.model.state_dict().items()}

    def put_back(self) -> None:
        """Give the model the weights held, if any."""
        if self.weights:
            self.model.load_state_dict(self.weights)


class Stop(Callback):  # type: ignore[misc]
    """End the training when the best epoch lies too far back.

    Parameters
    ----------
    best : Best
    """

    order = 63  # after a checkpoint was written

    def __init__(self, best: Best) -> None:
        self.best = best

    def after_epoch(self) -> None:
        """Leave the fit, quietly."""
        if self.best.exhausted:
            raise CancelFitException


def left_out(callback: Callback) -> bool:
    """Say whether the epoch that just ended was skipped, because it was done before."""
    return not callback.recorder.values[-1]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Inputs `x` (n, ...) with their classes `y`: columns (n,), or shares of all (n, C)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        """Return n."""
        return len(self.y)

    def first(self, n: int) -> Labelled:
        """Return at most `n` of them."""
        return Labelled(self.x[:n], self.y[:n])


def joined(own: Labelled, x: Tensor, shares: Tensor) -> Labelled:
    """Return examples with others behind; classes become shares where any of those are mixed.

    Parameters
    ----------
    own : Labelled
        With columns (n,).
    x : Tensor, shape (m, ...)
    shares : Tensor of float32, shape (m, C)
        Rows sum to one.
    """
    inputs = torch.cat([own.x, x])
    if bool((shares.amax(1) == 1).all()):
        return Labelled(inputs, torch.cat([own.y, shares.argmax(1)]))
    columns = functional.one_hot(own.y, shares.shape[1]).to(shares.dtype)
    return Labelled(inputs, torch.cat([columns, shares]))


def learner(
    module: nn.Module,
    train: Labelled,
    valid: Labelled | None,
    absent: Tensor,
    device: torch.device,
    *,
    objective: Objective,
    repeats: int = 1,
    augment: Augment | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Learner:
    """Return a fastai learner on tensors.

    Parameters
    ----------
    module : nn.Module
        From x to logits (n, C), on `device`.
    train : Labelled
        At least two.
    valid : Labelled, optional
        What loss and accuracy are measured on; some training examples when there are none.
    absent : Tensor, shape (C,)
        Added to the logits: very negative for classes without an example, so that these take no
        part in training.
    device : torch.device
    objective : Objective
        Whether the loss is weighted and smoothed.
    repeats : int
        Passes over the training examples in an epoch.
    augment : callable, optional
        For training batches.
    callbacks : sequence of Callback
        Besides the recorder.
    **options
        For :class:`fastai.learner.Learner`.

    Returns
    -------
    Learner
        Silent, and without files of its own.
    """

    def accuracy(logits: Tensor, y: Tensor) -> Tensor:
        truth = y if y.ndim == 1 else y.argmax(1)
        return ((logits.float() + absent).argmax(1) == truth).float().mean()

    size = batch_size(len(train))
    measured = valid if valid is not None and len(valid) else train.first(MEASURED)
    loaders = DataLoaders(
        TensorLoader(
            train.x, train.y, size, train=True, device=device, repeats=repeats, augment=augment
        ),
        TensorLoader(measured.x, measured.y, 8 * BATCH, train=False, device=device),
        device=device,
    )
    made = Learner(
        loaders,
        module,
        loss_func=loss_function(objective, train.y, absent, module),
        metrics=[accuracy],
        opt_func=adam,
        cbs=[TrainEvalCallback(), Losses(), *callbacks],
        default_cbs=False,
        **options,
    )
    made.logger = _silent
    return made


def absent_classes(y: Tensor, classes: int) -> Tensor:
    """Return what is added to the logits (C,): a large negative number where no example is."""
    return torch.where(present_classes(y, classes), 0.0, -1e4)


def best_of(objective: Objective, train: Labelled, valid: Labelled | None) -> Best | None:
    """Return what holds the best weights, if they are wanted and the validation labels can tell."""
    if not objective.keeps_best or valid is None:
        return None
    known = torch.isin(valid.y, train.y if train.y.ndim == 1 else (train.y > 0).any(0).nonzero())
    return Best(objective.patience) if bool(known.any()) else None


def course_of(learn: Learner, examples: int, report: Report, best: Best | None) -> Course:
    """Return how the training of a learner on so many examples went."""
    known = best is not None and bool(best.weights)
    return Course(
        examples_seen=report.done * len(learn.dls.train) * batch_size(examples),
        epochs=report.done,
        epochs_planned=report.epochs,
        epoch_kept=report.done - best.waited if best is not None and known else report.done,
        best_known=known,
    )


def _silent(*_values: object) -> None:
    """Print nothing."""


def _number(value: object) -> float | None:
    return None if value is None else float(cast(float, value))
