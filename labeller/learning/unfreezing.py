"""Which layers of a backbone train when: the new one first, then all, at once or in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastai.learner import Learner

    from labeller.learning.checkpoints import Checkpoint
    from labeller.learning.fitting import Best

SPREAD = 100  # between the rates of the new layer and of the first blocks


@dataclass(frozen=True, slots=True)
class Phase:
    """Some epochs of one cycle, in which the last `groups` of three parameter groups train.

    `rate` is the highest learning rate of the last group; `warm` the share of the phase until it
    is reached, from `rate / division`.
    """

    groups: int
    epochs: int
    rate: float
    warm: float = 0.3
    division: float = 5.0

    @property
    def rates(self) -> slice:
        """Rates of the groups as fastai takes them: falling towards the first blocks."""
        return slice(self.rate) if self.groups == 1 else slice(self.rate / SPREAD, self.rate)


def at_once(epochs: int, rate: float) -> tuple[Phase, ...]:
    """Return fastai's ``fine_tune``: an epoch for the new layer, then `epochs` for everything."""
    return Phase(1, 1, rate, warm=0.99, division=25.0), Phase(3, epochs, rate / 2)


def in_steps(epochs: int, rate: float) -> tuple[Phase, ...]:
    """Return gradual unfreezing of the same length: new layer, last blocks, everything.

    References
    ----------
    Howard, J. and Ruder, S. Universal Language Model Fine-tuning. ACL 2018.
    """
    first, all_at_once = at_once(epochs, rate)
    if epochs < 2:
        return first, all_at_once
    late = max(1, epochs // 3)
    rest = epochs - late
    return first, Phase(2, late, rate / 2), Phase(3, rest, rate / 4)


def train(
    learn: Learner, phases: tuple[Phase, ...], checkpoint: Checkpoint | None, best: Best | None
) -> None:
    """Run the phases, or what is left of them after a checkpoint.

    Parameters
    ----------
    learn : Learner
        With three parameter groups, new.
    phases : tuple of Phase
    checkpoint : Checkpoint, optional
        One of the learner's callbacks.
    best : Best, optional
        Another: when it is exhausted, no further phase begins.
    """
    done = 0 if checkpoint is None else checkpoint.resume()
    for phase in phases:
        start, done = min(done, phase.epochs), max(0, done - phase.epochs)
        if start == phase.epochs or (best is not None and best.exhausted):
            continue
        learn.freeze_to(-phase.groups)
        learn.fit_one_cycle(
            phase.epochs,
            phase.rates,
            pct_start=phase.warm,
            div=phase.division,
            start_epoch=start,
        )
