"""Features of tiny images that a photo network misses: edges (HOG) and the pixels themselves.

Many images at once in torch; scikit-image's `hog` takes one at a time and holds the interpreter.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 32
ORIENTATIONS = 8
CELL = 4
BLOCK = 2
HOG_WIDTH = (SIDE // CELL - BLOCK + 1) ** 2 * BLOCK**2 * ORIENTATIONS
RAW_WIDTH = 16 * 16 + 2 * 8 * 8

_EPS = 1e-5
_CLIP = 0.2
# Degrees. Edges of drawn pictures lie at exactly 45, 90 or 180: where two orientations meet, the
# last digit would decide, and that differs between torch, ONNX and a GPU.
_NUDGE = 1e-3
# ITU-R BT.601, as JPEG uses it
_LUMA = (0.299, 0.587, 0.114)
_BLUE = (-0.168736, -0.331264, 0.5)
_RED = (0.5, -0.418688, -0.081312)


def planes(rgb: Tensor) -> Tensor:
    """Return brightness and two colour differences of images shrunk to 32 × 32.

    Parameters
    ----------
    rgb : Tensor of float, shape (n, 3, s, s)
        Red, green and blue from 0 to 1; s a multiple of 32.

    Returns
    -------
    Tensor of float, shape (n, 3, 32, 32)
    """
    small = functional.adaptive_avg_pool2d(rgb.float(), SIDE).flatten(2)
    weights = torch.tensor([_LUMA, _BLUE, _RED], device=rgb.device)
    return torch.matmul(weights, small).reshape(-1, 3, SIDE, SIDE)


def raw(shrunk: Tensor) -> Tensor:
    """Return brightness at 16 × 16 and the colour differences at 8 × 8.

    Parameters
    ----------
    shrunk : Tensor of float, shape (n, 3, 32, 32)
        From :func:`planes`.

    Returns
    -------
    Tensor of float, shape (n, 384)
    """
    light = functional.avg_pool2d(shrunk[:, :1], SIDE // 16)
    colour = functional.avg_pool2d(shrunk[:, 1:], SIDE // 8)
    return torch.cat([light.flatten(1), colour.flatten(1)], dim=1)


def hog(grey: Tensor) -> Tensor:
    """Return histograms of oriented gradients.

    Cells of 4 × 4 pixels, 8 orientations, blocks of 2 × 2 cells normalised by L2-Hys: the same
    numbers as ``skimage.feature.hog(grey, 8, (4, 4), (2, 2))``.

    Parameters
    ----------
    grey : Tensor of float, shape (n, 32, 32)
        Brightness from 0 to 1.

    Returns
    -------
    Tensor of float, shape (n, 1568)

    References
    ----------
    Dalal, N. and Triggs, B. Histograms of Oriented Gradients for Human Detection. CVPR 2005.
    """
    down, across = torch.zeros_like(grey), torch.zeros_like(grey)
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    strength = torch.sqrt(across * across + down * down)  # hypot has no name in ONNX
    # Where nothing changes the angle is 0; ONNX, which divides, would find none.
    level = torch.where(strength == 0, 1.0, across)
    angle = torch.remainder(torch.rad2deg(torch.atan2(down, level)) + _NUDGE, 180.0)
    which = torch.clamp((angle * (ORIENTATIONS / 180.0)).long(), max=ORIENTATIONS - 1)
    votes = torch.zeros(grey.shape[0], ORIENTATIONS, SIDE, SIDE, device=grey.device)
    votes.scatter_(1, which[:, None], strength[:, None])
    cells = functional.avg_pool2d(votes, CELL).permute(0, 2, 3, 1)
    blocks = cells.unfold(1, BLOCK, 1).unfold(2, BLOCK, 1).permute(0, 1, 2, 4, 5, 3)
    flat = blocks.reshape(grey.shape[0], -1, BLOCK * BLOCK * ORIENTATIONS)
    flat = torch.clamp(_unit(flat), max=_CLIP)
    return _unit(flat).flatten(1)


def _unit(blocks: Tensor) -> Tensor:
    """Divide by the length of the last axis, kept away from zero.

    In units of `_EPS`, so that what is added is 1: ONNX's exporter drops a number as small as its
    square.
    """
    scaled = blocks / _EPS
    return scaled / torch.sqrt((scaled * scaled).sum(-1, keepdim=True) + 1)
