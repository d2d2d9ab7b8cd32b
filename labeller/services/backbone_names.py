"""What backbones there are, in words and figures that need no torch: for pages and estimates.

Backbones are ``efficientnet_lite0``, which is packaged, ``torchvision/NAME`` and ``timm/NAME``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

PACKAGED = "efficientnet_lite0"
TORCHVISION, TIMM = "torchvision/", "timm/"
FINEST = 224  # side in pixels at which a backbone without a size of its own sees photos
_STEPS = ((48, 64), (112, 96), (176, 128))  # up to this side of the images, this input


@dataclass(frozen=True, slots=True)
class Known:
    """A backbone that is suggested; any other of torchvision or timm can be named too.

    `cost` is the time of an image at `size` pixels relative to the packaged backbone at 224
    (``benchmarks/features.py`` measures it); `fixed` says that it takes no other size.
    """

    name: str
    summary: str
    cost: float
    size: int = FINEST
    fixed: bool = False


KNOWN: dict[str, Known] = {
    one.name: one
    for one in (
        Known(PACKAGED, "packaged, works offline, 4.7 M parameters", 1.0),
        Known("torchvision/resnet18", "11.7 M parameters, 45 MB", 1.4),
        Known("torchvision/resnet50", "25.6 M parameters, 98 MB", 4.1),
        Known("torchvision/convnext_tiny", "28.6 M parameters, 109 MB", 7.0),
        Known("torchvision/vit_b_16", "86.6 M parameters, 330 MB", 28.0, fixed=True),
        Known("timm/tf_efficientnet_lite0", "4.7 M parameters, 19 MB", 1.3),
        Known("timm/convnext_tiny", "28.6 M parameters, 114 MB", 10.0),
        Known("timm/vit_small_patch14_dinov2", "22 M parameters, 88 MB", 110.0, 518, True),
    )
}


def input_size(side: float, own: int = FINEST, fixed: bool = False) -> int:
    """Return the side in pixels at which images are fed to a backbone.

    Parameters
    ----------
    side : float
        Median longest side of the images in pixels.
    own : int
        What the backbone was trained with.
    fixed : bool
        Whether it takes nothing else.
    """
    if fixed:
        return own
    return next((size for limit, size in _STEPS if side <= limit), own)


def possible(name: str) -> bool:
    """Whether `name` may be a backbone: a known one, or any of torchvision's or timm's."""
    start = next((start for start in (TORCHVISION, TIMM) if name.startswith(start)), None)
    return name in KNOWN or (start is not None and name != start)


def cache_folder() -> Path:
    """Return the folder of what this program keeps for this user and can make or fetch again."""
    return platformdirs.user_cache_path("labeller")


def weights_folder() -> Path:
    """Return the folder where weights can be put by hand; it comes before any download."""
    return cache_folder() / "weights"
