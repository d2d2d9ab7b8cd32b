"""How a training went: how long it was, and which epoch's weights were kept."""

from __future__ import annotations

from dataclasses import dataclass


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
