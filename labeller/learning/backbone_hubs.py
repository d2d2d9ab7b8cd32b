"""The backbones of torchvision and timm: what they are made for, their weights, their trunks."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labeller.errors import BackboneError
from labeller.learning import backbone_weights
from labeller.learning.backbone_network import Network, TimmNetwork, TorchvisionNetwork
from labeller.learning.backbone_weights import Source
from labeller.services.backbone_names import TIMM, TORCHVISION

# torchvision rewrites the weights of these while it downloads them, or adds branches
_REWRITTEN = re.compile("densenet|googlenet|inception|squeezenet")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a backbone takes and gives: its input's side in pixels, the lengths of its parts."""

    size: int
    fixed: bool
    widths: tuple[tuple[str, int], ...]


class Pooled:
    """A frozen backbone of torchvision or timm.

    Parameters
    ----------
    name : str
        As the setting ``backbone`` has it.
    digest : str
        SHA-256 that its weights must have.
    """

    def __init__(self, name: str, digest: str) -> None:
        self.module: nn.Module = network(name, digest)

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return ``final`` and, where the architecture gives them, ``mids``.

        Parameters
        ----------
        pixels : Tensor of uint8, shape (n, s, s, 3)
        """
        found: dict[str, Tensor] = self.module(pixels)
        return found


@functools.lru_cache(maxsize=16)
def shape(name: str) -> Shape:
    """Return what a backbone takes and gives; needs no weights.

    Raises
    ------
    BackboneError
        When torchvision or timm do not know it.
    """
    _source(name)  # says in words when there is no such backbone
    size, fixed = _input(name)
    try:
        with torch.device("meta"):
            parts = _looked(name, size)
    except NotImplementedError:  # some architectures look at their own numbers
        parts = _looked(name, size)
    return Shape(size, fixed, tuple((part, int(x.shape[1])) for part, x in sorted(parts.items())))


def blank(name: str) -> Network:
    """Return a backbone with random weights, in evaluation mode.

    Raises
    ------
    BackboneError
        When torchvision or timm do not know it.
    """
    return _make(_source(name).backbone)(None).eval()


def _looked(name: str, size: int) -> dict[str, Tensor]:
    """Return the parts that a backbone gives for one image."""
    with torch.inference_mode():
        found: dict[str, Tensor] = blank(name)(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    return found


def digest(name: str) -> str:
    """Return the SHA-256 of a backbone's weights, fetching them when they are not here.

    Raises
    ------
    WeightsError
        When they are nowhere.
    """
    return backbone_weights.digest(backbone_weights.locate(_source(name)))


def network(name: str, digest: str) -> Network:
    """Return a backbone with its weights, in evaluation mode, channels-last.

    Raises
    ------
    BackboneError
        When the weights are missing, other ones than `digest` says, or do not fit.
    """
    path = backbone_weights.locate(_source(name))
    if backbone_weights.digest(path) != digest:
        raise BackboneError(f"{path}: was replaced meanwhile. Start again.")
    try:
        made = _make(name)(path)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise BackboneError(
            f"{path}: does not hold weights of {name} ({_first_line(error)}). "
            "Delete it to have it fetched again, or put the right file there."
        ) from error
    return made.eval().to(memory_format=torch.channels_last)


def _make(name: str) -> Callable[[Path | None], Network]:
    if name.startswith(TIMM):
        return functools.partial(TimmNetwork, name.removeprefix(TIMM))
    return functools.partial(TorchvisionNetwork, name.removeprefix(TORCHVISION))


def _source(name: str) -> Source:
    """Return where a backbone's weights come from."""
    if name.startswith(TIMM):
        return _timm_source(name, name.removeprefix(TIMM))
    from torchvision import models

    bare = name.removeprefix(TORCHVISION)
    if bare not in models.list_models(module=models) or _REWRITTEN.match(bare):
        raise BackboneError(
            f"backbone = {name!r}: torchvision has no such classifier, or one whose weights do "
            f"not fit it as they are. Set it to another, such as torchvision/resnet18, or "
            f"try {TIMM}{bare}."
        )
    url = models.get_model_weights(bare).DEFAULT.url
    return Source(name, Path(url).stem, url)


def _timm_source(name: str, bare: str) -> Source:
    import timm

    config = timm.get_pretrained_cfg(bare) if timm.is_model(bare) else None
    if config is None or not config.hf_hub_id:
        raise BackboneError(
            f"backbone = {name!r}: timm has no pretrained model of that name. Its names: "
            f"python -c \"import timm; print(timm.list_pretrained('*{bare[:6]}*'))\""
        )
    hub = config.hf_hub_id.split("@")[0]
    url = f"https://huggingface.co/{hub}/resolve/main/{backbone_weights.HUB_FILES[0]}"
    return Source(name, hub.rpartition("/")[2], url, hub)


def _input(name: str) -> tuple[int, bool]:
    """Return the side in pixels that a backbone was trained for, and whether it takes no other."""
    if name.startswith(TIMM):
        import timm

        config: Any = timm.get_pretrained_cfg(name.removeprefix(TIMM))
        return int(config.input_size[-1]), bool(config.fixed_input_size)
    from torchvision import models

    best = models.get_model_weights(name.removeprefix(TORCHVISION)).DEFAULT
    least = best.meta.get("min_size", (1, 1))[0]
    size = int(best.transforms().crop_size[0])
    return size, least >= size


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
