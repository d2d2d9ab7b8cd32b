"""What every trained model can do, however it was trained: give logits for items."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from labeller.learning.backbones import Trunk
from labeller.learning.calibration import probabilities
from labeller.learning.committee import Committee, described, members_of, opinions_of, vote
from labeller.learning.device import Device, reproducible
from labeller.learning.extraction import extract
from labeller.learning.features import Features, Floats
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.heads import Head, dropping
from labeller.learning.images import Decoded, Ints, decoded, gathered
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.feature_recipes import Recipe
from labeller.squares import Bytes, Resize

STEP = 8_192
PART_NUMBERS = 1 << 24  # that opinions are computed in at once; each takes 24 bytes for a moment
GPU_BATCH = 256
CPU_BATCH = 32


class Predictor(Protocol):
    """A trained network with the way from an item to its input."""

    kind: str
    device: Device

    @property
    def members(self) -> Sequence[Head | FineTuned]:
        """The network, or all of a committee; the first is the one that would be trained alone."""

    @property
    def resize(self) -> Resize:
        """How images become the squares that :meth:`on_pixels` takes."""

    def on_pixels(self, pixels: Bytes) -> Floats:
        """Return logits (n, C) of images (n, side, side, 3) that are no items."""

    def logits(self, ids: Ints, progress: Progress) -> Iterator[tuple[Ints, Floats]]:
        """Yield ids (n,) and logits (n, C) in parts; items that cannot be read are left out."""

    def samples(
        self, ids: Ints, count: int, seed: int, progress: Progress
    ) -> Generator[tuple[Ints, Floats]]:
        """Yield ids (n,) and logits (S, n, C) in parts: of a committee's members, or of dropout.

        Items that cannot be read are left out.
        """

    def state(self) -> Mapping[str, Tensor]:
        """Return the weights to save."""

    def settings(self) -> dict[str, Any]:
        """Return, as JSON values, what makes the same network again for the weights."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A predictor with its classes and its temperature.

    `class_ids` (C,) name the columns of everything it returns.
    """

    predictor: Predictor
    class_ids: tuple[int, ...]
    temperature: float

    def logits(self, ids: Ints, progress: Progress) -> tuple[Ints, Floats]:
        """Return the readable items among `ids` and their logits (n, C), not yet calibrated."""
        parts = list(self.predictor.logits(ids, progress))
        if not parts:
            return np.empty(0, np.int64), np.empty((0, len(self.class_ids)), np.float32)
        return np.concatenate([i for i, _ in parts]), np.concatenate([x for _, x in parts])

    def probs(self, ids: Ints, progress: Progress) -> Iterator[tuple[Ints, Floats]]:
        """Yield readable items and their calibrated probabilities (n, C) in parts."""
        for part, logits in self.predictor.logits(ids, progress):
            yield part, probabilities(logits, self.temperature)

    def opinions(self, count: int) -> int:
        """Return how many opinions S there are of an item: the members, or `count` passes."""
        return opinions_of(self.predictor.members, count)

    def mc_probs(self, ids: Ints, count: int, seed: int, progress: Progress) -> tuple[Ints, Floats]:
        """Return calibrated opinions of items.

        Parameters
        ----------
        ids : array of int, shape (N,)
        count : int
            How many dropout passes; a committee has its members instead.
        seed : int
            Of the dropout.
        progress : Progress

        Returns
        -------
        ids : ndarray of int64, shape (n,)
            Those of the items that can be read, in their order.
        probs : ndarray of float32, shape (S, n, C)
        """
        shape = (self.opinions(count), len(ids), len(self.class_ids))
        probs, known, end = np.empty(shape, np.float32), [ids[:0]], 0
        with closing(self.predictor.samples(ids, count, seed, progress)) as parts:
            for part, logits in parts:
                probs[:, end : end + len(part)] = probabilities(logits, self.temperature)
                known.append(part)
                end += len(part)
        return np.concatenate(known), probs[:, :end]


class HeadPredictor:
    """A head on cached features.

    Parameters
    ----------
    features : Features
        Those it was trained on.
    network : Head or Committee of them
        In evaluation mode, on `device`.
    device : Device
    """

    kind = "features"

    def __init__(self, features: Features, network: Head | Committee, device: Device) -> None:
        self.features = features
        self.network = network
        self.members = members_of(network, Head)
        self.device = device
        self._trunk: Trunk | None = None

    @property
    def resize(self) -> Resize:
        """How images become what the backbone sees."""
        return self.features.recipe.resize

    def on_pixels(self, pixels: Bytes) -> Floats:
        """Return logits (n, C) of images; the backbone is loaded for the first of them."""
        if self._trunk is None:
            self._trunk = self.features.backbone.load()
            self._trunk.module.to(self.device.torch)
        rows = extract(self._trunk, self.features.recipe, pixels, self.device)
        kept = torch.from_numpy(rows.astype(np.float16).astype(np.float32))  # as those of items
        with torch.inference_mode():
            logits: Floats = self.network(kept.to(self.device.torch)).cpu().numpy()
        return logits

    def logits(self, ids: Ints, progress: Progress) -> Iterator[tuple[Ints, Floats]]:
        """Yield ids and logits in parts; items without features are left out."""
        readable = self.features.having(ids)
        for start in range(0, len(readable), STEP):
            progress.check()
            part = readable[start : start + STEP]
            with torch.inference_mode():
                yield part, self.network(self._rows(part)).cpu().numpy()

    def samples(
        self, ids: Ints, count: int, seed: int, progress: Progress
    ) -> Generator[tuple[Ints, Floats]]:
        """Yield ids and logits of the members, or of dropout passes; no items without features."""
        readable = self.features.having(ids)
        numbers = opinions_of(self.members, count) * len(self.members[0].absent)
        step = min(STEP, max(1, PART_NUMBERS // numbers))
        with torch.inference_mode(), reproducible(seed):
            for start in range(0, len(readable), step):
                progress.check()
                part = readable[start : start + step]
                yield part, self._opinions(self._rows(part), count).cpu().numpy()

    def _opinions(self, rows: Tensor, count: int) -> Tensor:
        if len(self.members) > 1:
            return torch.stack([member(rows) for member in self.members])
        return self.members[0].opinions(rows, count)

    def _rows(self, ids: Ints) -> Tensor:
        return torch.from_numpy(self.features.read(ids)).to(self.device.torch)

    def state(self) -> Mapping[str, Tensor]:
        """Return the weights of the head, or of all heads."""
        state: Mapping[str, Tensor] = self.network.state_dict()
        return state

    def settings(self) -> dict[str, Any]:
        """Return recipe and shape of the head."""
        return {
            "recipe": asdict(self.features.recipe),
            "width": self.features.width,
            "classes": len(self.members[0].absent),
            "head": asdict(self.members[0].config),
            **described(self.network),
        }


class FineTunedPredictor:
    """A fine-tuned network on images.

    Parameters
    ----------
    project : Project
    recipe : Recipe
        Names the backbone and the size of the images.
    network : FineTuned or Committee of them
        In evaluation mode, on `device`.
    device : Device
    config : FineTuneConfig
    """

    kind = "fine_tune"

    def __init__(
        self,
        project: Project,
        recipe: Recipe,
        network: FineTuned | Committee,
        device: Device,
        config: FineTuneConfig,
    ) -> None:
        self.project = project
        self.recipe = recipe
        self.network = network
        self.members = members_of(network, FineTuned)
        self.device = device
        self.config = config

    @property
    def resize(self) -> Resize:
        """How images become what the network sees."""
        return self.recipe.resize

    def on_pixels(self, pixels: Bytes) -> Floats:
        """Return logits (n, C) of images."""
        with torch.inference_mode():
            found: Floats = vote(self._said(pixels, self._voters())).cpu().numpy()
        return found

    def logits(self, ids: Ints, progress: Progress) -> Iterator[tuple[Ints, Floats]]:
        """Yield ids and logits in parts; items whose image cannot be read are left out."""
        for part in self._batches(ids, progress):
            yield part.ids, self.on_pixels(part.pixels)

    def samples(
        self, ids: Ints, count: int, seed: int, progress: Progress
    ) -> Generator[tuple[Ints, Floats]]:
        """Yield ids and logits of the members, or of dropout passes through the last layer.

        Items whose image cannot be read any more are left out.
        """
        with torch.inference_mode(), reproducible(seed):
            for part in self._batches(ids, progress):
                yield part.ids, self._opinions(part.pixels, count).cpu().numpy()

    def _opinions(self, pixels: Bytes, count: int) -> Tensor:
        if len(self.members) > 1:
            return self._said(pixels, self.members)
        (only,) = self.members
        pooled = self._pool(only, pixels)
        with dropping(only):
            return torch.stack([only.head(pooled) + only.absent for _ in range(count)])

    def _voters(self) -> Sequence[FineTuned]:
        everyone = isinstance(self.network, Committee) and self.network.soft_voting
        return self.members if everyone else self.members[:1]

    def _said(self, pixels: Bytes, members: Sequence[FineTuned]) -> Tensor:
        """Return the logits (K, n, C) of some members."""
        return torch.stack([one.head(self._pool(one, pixels)) + one.absent for one in members])

    def _pool(self, member: FineTuned, pixels: Bytes) -> Tensor:
        """Return what a member's last layer sees, which is kept out of half precision."""
        given = torch.from_numpy(pixels).to(self.device.torch)
        with self.device.mixed():
            pooled = member.pooled(given).float()
        if self.device.cuda and not torch.isfinite(pooled).all():
            return member.pooled(given)  # it was trained in a precision that holds larger numbers
        return pooled

    def _batches(self, ids: Ints, progress: Progress) -> Iterator[Decoded]:
        batch = GPU_BATCH if self.device.cuda else CPU_BATCH
        with closing(decoded(self.project, ids, self.recipe.resize)) as parts:
            for part in gathered(parts, batch):
                progress.check()
                if len(part.ids):
                    yield part

    def state(self) -> Mapping[str, Tensor]:
        """Return all weights."""
        state: Mapping[str, Tensor] = self.network.state_dict()
        return state

    def settings(self) -> dict[str, Any]:
        """Return recipe and shape."""
        return {
            "recipe": asdict(self.recipe),
            "classes": len(self.members[0].absent),
            "fine_tune": asdict(self.config),
            **described(self.network),
        }
