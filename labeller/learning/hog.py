"""Features of tiny images that a photo network misses: edges (HOG) and the pixels themselves.

Many images at once in torch; scikit-image's `hog` takes one at a time and holds the interpreter.

Edges of drawn pictures lie at exactly 45, 90 or 180 degrees, where one orientation ends and the
next begins. So that they count for the same one in torch, in ONNX and on a GPU, no rounding may
come before that choice: gradients are differences of sums of bytes, which floats hold exactly, and
orientations are told apart by one multiplication and one comparison each, not by an angle.
"""

from __future__ import annotations

import math

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
# ITU-R BT.601, as JPEG uses it; brightness in thousandths
_LUMA = (299.0, 587.0, 114.0)
_BLUE = (-0.168736, -0.331264, 0.5)
_RED = (0.5, -0.418688, -0.081312)
# Cotangents of 22.5, 45, ... 157.5 degrees; those of 45, 90 and 135 are whole numbers.
_STEEP = 1 + math.sqrt(2)
_ENDS = (_STEEP, 1.0, 1 / _STEEP, 0.0, -1 / _STEEP, -1.0, -_STEEP)


def tiny_features(pixels: Tensor) -> dict[str, Tensor]:
    """Return the features of images as bytes.

    Parameters
    ----------
    pixels : Tensor of uint8, shape (n, s, s, 3)
        Red, green and blue.

    Returns
    -------
    dict of str to Tensor of float
        ``raw`` (n, 384) and ``hog`` (n, 1568).
    """
    sums, most = _shrink(pixels)
    red, green, blue = sums.unbind(1)
    light = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return {"raw": raw(sums / most), "hog": hog(light, sum(_LUMA) * most)}


def _shrink(pixels: Tensor) -> tuple[Tensor, float]:
    """Return sums of bytes (n, 3, 32, 32) over parts of the images, and the most there can be."""
    side = pixels.shape[1]
    # Cut as adaptive_avg_pool2d does it, which gives means: rounded, and not the same in ONNX.
    ends = [(place * side // SIDE, -(-(place + 1) * side // SIDE)) for place in range(SIDE)]
    rows = [[float(first <= row < end) for row in range(side)] for first, end in ends]
    part = torch.tensor(rows, device=pixels.device)
    sums = torch.matmul(torch.matmul(part, pixels.permute(0, 3, 1, 2).float()), part.T)
    if side % SIDE:  # the parts are not of one size
        sizes = torch.tensor([float(end - first) for first, end in ends], device=pixels.device)
        return sums / torch.outer(sizes, sizes), 255.0
    return sums, 255.0 * (side // SIDE) ** 2


def raw(shrunk: Tensor) -> Tensor:
    """Return brightness at 16 × 16 and two colour differences at 8 × 8.

    Parameters
    ----------
    shrunk : Tensor of float, shape (n, 3, 32, 32)
        Red, green and blue from 0 to 1.

    Returns
    -------
    Tensor of float, shape (n, 384)
    """
    luma = [part / sum(_LUMA) for part in _LUMA]
    weights = torch.tensor([luma, _BLUE, _RED], device=shrunk.device)
    planes = torch.matmul(weights, shrunk.flatten(2)).reshape(-1, 3, SIDE, SIDE)
    light = functional.avg_pool2d(planes[:, :1], SIDE // 16)
    colour = functional.avg_pool2d(planes[:, 1:], SIDE // 8)
    return torch.cat([light.flatten(1), colour.flatten(1)], dim=1)


def hog(light: Tensor, white: float = 1.0) -> Tensor:
    """Return histograms of oriented gradients.

    Cells of 4 × 4 pixels, 8 orientations, blocks of 2 × 2 cells normalised by L2-Hys: the same
    numbers as ``skimage.feature.hog(light / white, 8, (4, 4), (2, 2))``.

    Parameters
    ----------
    light : Tensor of float, shape (n, 32, 32)
        Brightness from 0 to `white`.
    white : float

    Returns
    -------
    Tensor of float, shape (n, 1568)

    References
    ----------
    Dalal, N. and Triggs, B. Histograms of Oriented Gradients for Human Detection. CVPR 2005.
    """
    down, across = torch.zeros_like(light), torch.zeros_like(light)
    down[:, 1:-1] = light[:, 2:] - light[:, :-2]
    across[:, :, 1:-1] = light[:, :, 2:] - light[:, :, :-2]
    strength = torch.sqrt(across * across + down * down)  # hypot has no name in ONNX
    votes = strength[:, None] * _orientations(down, across)
    cells = functional.avg_pool2d(votes, CELL).permute(0, 2, 3, 1)
    blocks = cells.unfold(1, BLOCK, 1).unfold(2, BLOCK, 1).permute(0, 1, 2, 4, 5, 3)
    flat = blocks.reshape(light.shape[0], -1, BLOCK * BLOCK * ORIENTATIONS)
    flat = torch.clamp(_unit(flat, _EPS * white), max=_CLIP)
    return _unit(flat, _EPS).flatten(1)


def _orientations(down: Tensor, across: Tensor) -> Tensor:
    """Return 1 for the orientation of each gradient and 0 for the others, (n, 8, 32, 32)."""
    # Opposite directions are one orientation: turned so that `down` is not negative.
    across = torch.where(down == 0, across.abs(), torch.where(down < 0, -across, across))
    ends = torch.tensor(_ENDS, device=down.device)[:, None, None]
    # An orientation is reached at its first angle, as in scikit-image.
    reached = (across[:, None] <= down.abs()[:, None] * ends).float()
    whole = torch.ones_like(reached[:, :1])
    return torch.cat([whole, reached], 1) - torch.cat([reached, whole - 1], 1)


def _unit(blocks: Tensor, eps: float) -> Tensor:
    """Divide by the length of the last axis, kept away from zero.

    In units of `eps`, so that what is added is 1: ONNX's exporter drops a number as small as its
    square.
    """
    scaled = blocks / eps
    return scaled / torch.sqrt((scaled * scaled).sum(-1, keepdim=True) + 1)
