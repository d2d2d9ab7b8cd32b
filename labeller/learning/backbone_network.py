"""Backbones of torchvision and timm behind one face: from bytes to pooled features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

LEVELS = 3  # resolutions, counted from the last, whose pooled maps may be mid-level features


class Network(nn.Module, ABC):
    """From bytes (n, s, s, 3), or normalised images (n, 3, s, s), to pooled features.

    Parameters
    ----------
    mean, std : sequence of float, length 3
        By which the backbone's images were normalised, for values from 0 to 1.
    """

    mean: Tensor
    std: Tensor
    width: int  # of the final features

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Turn bytes (n, s, s, 3) into what the network was trained on, (n, 3, s, s)."""
        return self.scaled(pixels.permute(0, 3, 1, 2).float() / 255.0)

    def scaled(self, images: Tensor) -> Tensor:
        """Turn images (n, 3, s, s) from 0 to 1 into what the network was trained on."""
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``final`` (n, d) and, where there are levels, ``mids`` (n, m)."""
        x = self.normalised(images) if images.dtype == torch.uint8 else images
        levels, final = self.maps(x)
        found = {"final": final}
        if levels:
            found["mids"] = torch.cat([level.mean((2, 3)) for level in levels], 1)
        return found

    @abstractmethod
    def maps(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the maps of mid-level features (n, c, h, w), and the pooled final ones (n, d)."""


class TimmNetwork(Network):
    """A model of timm, without its classifier.

    Parameters
    ----------
    name : str
        As timm calls it.
    weights : Path, optional
        Its weights; random ones without.
    """

    def __init__(self, name: str, weights: Path | None = None) -> None:
        import timm

        config: Any = timm.get_pretrained_cfg(name)
        super().__init__(config.mean, config.std)
        overlay = {"file": str(weights), "custom_load": False}
        body: Any = (
            timm.create_model(name)
            if weights is None
            else timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
        )
        body.reset_classifier(0)
        self.body = body
        self.levels = self._levels()
        self.width = int(getattr(body, "head_hidden_size", body.num_features))

    def _levels(self) -> list[int]:
        """Return the numbers of the stages whose pooled maps are mid-level features."""
        if not hasattr(self.body, "forward_intermediates"):
            return []
        stages = list(self.body.feature_info)
        sizes = [stage["reduction"] for stage in stages]
        if len(set(sizes)) < LEVELS:
            return []
        chosen = [max(i for i, s in enumerate(sizes) if s == size) for size in sorted(set(sizes))]
        pooled_too = stages[chosen[-1]]["num_chs"] == self.body.num_features
        return chosen[-LEVELS:-1] if pooled_too else chosen[-LEVELS:]

    def maps(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return mid-level maps and final features."""
        if not self.levels:
            last, levels = self.body.forward_features(x), []
        else:
            last, levels = self.body.forward_intermediates(x, self.levels, output_fmt="NCHW")
        final: Tensor = self.body.forward_head(last, pre_logits=True)
        return list(levels), final.flatten(1)


class TorchvisionNetwork(Network):
    """A model of torchvision, without its classifier.

    Parameters
    ----------
    name : str
        As torchvision calls it.
    weights : Path, optional
        Its weights; random ones without.
    """

    def __init__(self, name: str, weights: Path | None = None) -> None:
        from torchvision import models
        from torchvision.models.feature_extraction import create_feature_extractor

        preset = models.get_model_weights(name).DEFAULT.transforms()
        super().__init__(preset.mean, preset.std)
        model = models.get_model(name, weights=None)
        if weights is not None:
            model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        last = [key for key, layer in model.named_modules() if isinstance(layer, nn.Linear)][-1]
        self.width = int(model.get_submodule(last).in_features)
        model.set_submodule(last, nn.Identity())
        self.levels = _stages(model, preset.crop_size[0], self.width)
        nodes = {key: f"level{number}" for number, key in enumerate(self.levels)}
        self.body = create_feature_extractor(model, nodes | {last: "final"})

    def maps(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return mid-level maps and final features."""
        found = self.body(x)
        levels = [found[f"level{number}"] for number in range(len(self.levels))]
        return levels, found["final"].flatten(1)


def _stages(model: nn.Module, size: int, width: int) -> list[str]:
    """Return the parts of a model of torchvision whose maps are mid-level features.

    They are the last at each of the last resolutions, without the one that `width` final features
    are pooled from.
    """
    inner = getattr(model, "features", None)
    parts = (
        {f"features.{key}": part for key, part in inner.named_children()}
        if isinstance(inner, nn.Sequential)
        else dict(model.named_children())
    )
    shapes: dict[str, tuple[int, ...]] = {}
    handles = [
        part.register_forward_hook(
            lambda _part, _given, out, key=key: shapes.__setitem__(key, tuple(out.shape))
        )
        for key, part in parts.items()
    ]
    device = next(model.parameters()).device
    training = model.training
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, size, size, device=device))
    model.train(training)
    for handle in handles:
        handle.remove()
    last = {
        shape[2]: key
        for key, shape in shapes.items()
        if len(shape) == 4 and shape[2] == shape[3] and 1 < shape[2] < size
    }
    if len(last) < LEVELS:
        return []
    keys = [last[side] for side in sorted(last, reverse=True)][-LEVELS:]
    return keys[:-1] if shapes[keys[-1]][1] == width else keys
