"""Several networks that were trained alike but for the seed: their opinions, and their vote."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from labeller.config import Settings
from labeller.progress import Progress

SEED_STEP = 1_000_003  # between the seeds of two members: no project's seeds are that far apart

Member = TypeVar("Member", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class CommitteeConfig:
    """How many networks are trained, and whether predictions are their vote (else the first's)."""

    members: int = 1
    soft_voting: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what a project's settings ask for."""
        return cls(settings.committee, settings.soft_voting and settings.committee > 1)


class Committee(nn.Module):
    """Networks from the same input to logits (n, C).

    Parameters
    ----------
    members : sequence of nn.Module
        At least two.
    soft_voting : bool
        Whether predictions are the mean of the members' probabilities; else the first predicts.
    """

    def __init__(self, members: Sequence[nn.Module], soft_voting: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.soft_voting = soft_voting

    @property
    def voters(self) -> list[nn.Module]:
        """The members whose predictions count."""
        return list(self.members) if self.soft_voting else [self.members[0]]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, C) of the vote."""
        return vote(torch.stack([voter(x) for voter in self.voters]))


def members_of(network: nn.Module, kind: type[Member]) -> list[Member]:
    """Return the members of a committee, or the network alone.

    Raises
    ------
    TypeError
        When one is of another kind.
    """
    found = list(network.members) if isinstance(network, Committee) else [network]
    if not all(isinstance(one, kind) for one in found):
        raise TypeError(f"a committee of {kind.__name__} has other members")
    return cast(list[Member], found)


def opinions_of(members: Sequence[nn.Module], count: int) -> int:
    """Return how many opinions there are: one a member, or `count` dropout passes of one alone."""
    return len(members) if len(members) > 1 else count


def described(network: nn.Module) -> dict[str, Any]:
    """Return, as JSON values, what makes the same committee again; nothing for one network."""
    if not isinstance(network, Committee):
        return {}
    return {"committee": len(network.members), "soft_voting": network.soft_voting}


def built(settings: Mapping[str, Any], build: Callable[[], Member]) -> Member | Committee:
    """Return a network without weights, or a committee of them, as `described` told."""
    number = settings.get("committee", 1)
    if number == 1:
        return build()
    return Committee([build() for _ in range(number)], settings["soft_voting"])


def vote(logits: Tensor) -> Tensor:
    """Return logits whose softmax is the mean of the voters' probabilities.

    Their log-sum-exp is the mean of the voters', so that the free energy is a mean too: normalised
    probabilities alone would have lost it.

    Parameters
    ----------
    logits : Tensor, shape (K, n, C)

    Returns
    -------
    Tensor, shape (n, C)
        For one voter its own logits.

    References
    ----------
    Lakshminarayanan, B., Pritzel, A. and Blundell, C. Simple and Scalable Predictive Uncertainty
    Estimation using Deep Ensembles. NeurIPS 2017.
    """
    if len(logits) == 1:
        return logits[0]
    levels = torch.logsumexp(logits, dim=2, keepdim=True)
    mean = torch.logsumexp(logits - levels, dim=0) - math.log(len(logits))
    return mean + levels.mean(dim=0)


def trained(
    config: CommitteeConfig,
    seed: int,
    progress: Progress,
    fit: Callable[[int, Progress], Member],
) -> Member | Committee:
    """Train one network or a committee of them.

    Parameters
    ----------
    config : CommitteeConfig
    seed : int
        Of the first member, which is the network that would be trained alone.
    progress : Progress
    fit : callable
        Trains a network with a seed.

    References
    ----------
    Seung, H. S., Opper, M. and Sompolinsky, H. Query by Committee. COLT 1992; members differ by
    their seeds alone, as in deep ensembles, which bagging makes worse.
    """
    members = [
        fit(seed + number * SEED_STEP, _told(progress, number, config.members))
        for number in range(config.members)
    ]
    return members[0] if len(members) == 1 else Committee(members, config.soft_voting)


def _told(progress: Progress, number: int, members: int) -> Progress:
    return progress if members == 1 else _OneOf(progress, number, members)


class _OneOf:
    """The progress of one member as a part of that of all."""

    def __init__(self, progress: Progress, number: int, members: int) -> None:
        self._progress, self._number, self._members = progress, number, members
        self.check = progress.check

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Pass it on with the member's number."""
        if total is not None:
            done, total = done + self._number * total, total * self._members
        which = f"Model {self._number + 1} of {self._members}"
        self._progress.update(stage, done, total, f"{which} {message}".rstrip(), **detail)
