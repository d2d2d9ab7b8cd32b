"""How a training went: how long it was, and which epoch's weights were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fastai.learner import Learner

from labeller.learning.batches import batch_size
from labeller.learning.fitting import Best, Report


@dataclass(frozen=True, slots=True)
class Course:
    """What a model keeps of its training.

    `epochs` of `epochs_planned` were trained, until `examples_seen`. The weights are those of epoch
    `epoch_kept`, counted from 1: the best one where `best_known` by validation labels, else the
    last.
    """

    examples_seen: int
    epochs: int
    epochs_planned: int
    epoch_kept: int
    best_known: bool

    @classmethod
    def of(cls, learn: Learner, examples: int, report: Report, best: Best | None) -> Self:
        """Return how the training of a learner on so many examples went."""
        known = best is not None and bool(best.weights)
        return cls(
            examples_seen=report.done * len(learn.dls.train) * batch_size(examples),
            epochs=report.done,
            epochs_planned=report.epochs,
            epoch_kept=report.done - best.waited if best is not None and known else report.done,
            best_known=known,
        )
