"""What a model learns from, with and without synthetic items."""

from __future__ import annotations

import numpy as np
import torch

from labeller.learning.examples import Examples, Images
from labeller.learning.fitting import Labelled
from labeller.learning.snapshot import Labels
from labeller.learning.synthetic import Synthetic


def test_without_synthetic_items_their_pictures_are_left_out_too() -> None:
    people, nobody = Labels(np.array([4, 7]), np.array([0, 1])), Labels(*np.empty((2, 0), int))
    generated = Labels(np.array([9]), np.array([1]))
    images = Labelled(torch.arange(5), torch.tensor([0, 1, 1, 0, 0]))  # two of them synthetic
    synthetic = Synthetic((), np.empty((0, 2), int), np.empty(0, int))
    made = Examples(people, generated, nobody, synthetic, Images(images, images.first(1)))
    without = made.without_synthetic()
    assert without.images is not None
    assert without.synthetic is None
    assert without.images.train.x.tolist() == [0, 1, 2]
    assert without.train.ids.tolist() == [4, 7, 9]
    assert len(without.images.valid) == 1
