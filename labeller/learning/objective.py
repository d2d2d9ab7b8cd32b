"""What training strives for: the loss with its class weights, and which epoch's weights to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from labeller.config import Settings
from labeller.errors import ConfigError

Loss = Callable[[Tensor, Tensor], Tensor]
CHOICES = {"class_weights": ("none", "balanced"), "keep": ("last", "best")}


@dataclass(frozen=True, slots=True)
class Objective:
    """The settings of the same names; with `patience` the best weights are kept.

    Raises
    ------
    ConfigError
        When a value is none of its choices.
    """

    class_weights: str = "none"
    label_smoothing: float = 0.0
    keep: str = "last"
    patience: int = 0

    def __post_init__(self) -> None:
        """Refuse what is unknown."""
        for name, values in CHOICES.items():
            value = getattr(self, name)
            if value not in values:
                raise ConfigError(
                    f"{name} = {value!r} is unknown. Set it to {' or '.join(values)}."
                )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what a project's settings ask for."""
        return cls(
            settings.class_weights, settings.label_smoothing, settings.keep, settings.patience
        )

    @property
    def keeps_best(self) -> bool:
        """Whether the weights of the best epoch are kept, not those of the last."""
        return self.keep == "best" or self.patience > 0


def present_classes(y: Tensor, classes: int) -> Tensor:
    """Return which classes have an example: bool (C,), for columns (n,) or shares (n, C)."""
    return counts(y, classes) > 0


def counts(y: Tensor, classes: int) -> Tensor:
    """Return the examples per class (C,), for columns (n,) or shares (n, C)."""
    if y.ndim == 1:
        return torch.bincount(y, minlength=classes).float()
    return y.float().sum(0)


def class_weights(y: Tensor, classes: int) -> Tensor:
    """Return weights that make every class count the same.

    Parameters
    ----------
    y : Tensor of int64, shape (n,), or of float32, shape (n, C)
        Classes of the training examples, or their shares.
    classes : int
        C

    Returns
    -------
    Tensor, shape (C,)
        n / (classes present · examples of the class): 1 on average over the examples; 0 for a
        class without one.
    """
    found = counts(y, classes)
    return torch.where(found > 0, len(y) / ((found > 0).sum() * found), 0.0)


def loss_function(objective: Objective, y: Tensor, absent: Tensor, module: nn.Module) -> Loss:
    """Return the loss of logits (n, C) against columns (n,) or shares (n, C).

    While `module` trains, examples are weighted and labels smoothed over the classes present, as
    the objective says. While it does not, the loss is the plain cross-entropy, so that it can be
    compared between settings; labels of classes without a training example, which nothing can
    predict, have no part in it.

    Parameters
    ----------
    objective : Objective
    y : Tensor
        Of the training examples.
    absent : Tensor, shape (C,)
        Added to the logits.
    module : nn.Module

    Returns
    -------
    callable

    References
    ----------
    King, G. and Zeng, L. Logistic Regression in Rare Events Data. Political Analysis 2001
    (balanced weights). Szegedy, C. et al. Rethinking the Inception Architecture. CVPR 2016
    (label smoothing).
    """
    classes = len(absent)
    present = present_classes(y, classes).to(absent.device)
    balanced = objective.class_weights == "balanced"
    weights = class_weights(y, classes).to(absent.device) if balanced else None
    smoothing = objective.label_smoothing
    spread = present.float() / present.sum()

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        logits = logits.float() + absent
        if not module.training:
            return _plain(logits, target, present)
        if weights is None and not smoothing:
            return functional.cross_entropy(logits, target)
        shares = target if target.ndim == 2 else functional.one_hot(target, classes).float()
        each = 1.0 if weights is None else shares @ weights
        smooth = (1 - smoothing) * shares + smoothing * spread
        return (each * functional.cross_entropy(logits, smooth, reduction="none")).mean()

    return loss


def _plain(logits: Tensor, target: Tensor, present: Tensor) -> Tensor:
    """Return the mean cross-entropy of the rows whose classes are present."""
    known = present[target] if target.ndim == 1 else (target[:, ~present] == 0).all(1)
    each = functional.cross_entropy(logits, target, reduction="none")
    return torch.where(known, each, 0.0).sum() / known.sum().clamp(min=1)
