"""Random parts of images, another one of each image every time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LEAST = 0.35  # of the image's area, as fastai has it; 0.08 of Inception needs far longer training
RATIO = 4 / 3  # width to height, and height to width, at most


def crop_randomly(images: Tensor, size: int) -> Tensor:
    """Return a random part of each image, resized to a square.

    Parameters
    ----------
    images : Tensor of float, shape (n, 3, t, t)
    size : int
        Side of the result in pixels.

    Returns
    -------
    Tensor of float, shape (n, 3, size, size)
        Parts of 35 to 100 % of the area, up to a third wider or higher than high or wide.

    References
    ----------
    Szegedy, C. et al. Going Deeper with Convolutions. CVPR 2015.
    """
    n = len(images)
    area = LEAST + (1 - LEAST) * images.new_empty(n).uniform_()
    ratio = torch.exp((2 * images.new_empty(n).uniform_() - 1) * math.log(RATIO))
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp_(max=1.0)
    centres = (2 * images.new_empty(n, 2).uniform_() - 1) * (1 - sides)
    boxes = images.new_zeros(n, 2, 3)
    boxes[:, 0, 0], boxes[:, 1, 1] = sides[:, 0], sides[:, 1]
    boxes[:, :, 2] = centres
    grid = functional.affine_grid(boxes, [n, images.shape[1], size, size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
