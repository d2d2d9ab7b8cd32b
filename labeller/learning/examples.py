"""What a model learns from and is checked by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labeller.learning.fitting import Labelled
from labeller.learning.snapshot import Labels
from labeller.learning.synthetic import Synthetic


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Decoded images: of training, synthetic ones behind the labelled ones, and of validation.

    `about` is what checkpoints of a training on them tell of their labels.
    """

    train: Labelled
    valid: Labelled
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """All that a training reads.

    `labels` are those of training by people, `generated` are none, `valid` those of validation.
    `images` are there where the images themselves are trained on, then of just these items.
    """

    labels: Labels
    generated: Labels
    valid: Labels
    synthetic: Synthetic | None = None
    images: Images | None = None

    @property
    def train(self) -> Labels:
        """Labels by people, and generated ones behind them."""
        return self.labels.plus(self.generated)

    def without_synthetic(self) -> Examples:
        """Return the same without synthetic items."""
        images = self.images
        if images is not None:
            images = replace(images, train=images.train.first(len(self.train)))
        return replace(self, synthetic=None, images=images)
