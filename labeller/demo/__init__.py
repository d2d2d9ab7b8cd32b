"""The packed sample of Fashion-MNIST (Xiao, Rasul & Vollgraf 2017; MIT licence, see LICENCE)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

PACKED = Path(__file__).with_name("fashion_mnist.zip")
CLASSES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE, ROWS, COLUMNS = 28, 20, 15
PER_CLASS = ROWS * COLUMNS


def load(packed: Path = PACKED) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the images of the packed sample.

    Parameters
    ----------
    packed : Path
        A zip with one sheet per class, ``0.png`` to ``9.png``, made by ``make.py``.

    Returns
    -------
    images : ndarray of uint8, shape (3000, 28, 28)
    classes : ndarray of int64, shape (3000,)
        Places in `CLASSES`.
    """
    images = []
    with zipfile.ZipFile(packed) as archive:
        for number in range(len(CLASSES)):
            with archive.open(f"{number}.png") as file, Image.open(file) as sheet:
                tiles = np.asarray(sheet).reshape(ROWS, SIDE, COLUMNS, SIDE)
            images.append(tiles.swapaxes(1, 2).reshape(PER_CLASS, SIDE, SIDE))
    return np.concatenate(images), np.repeat(np.arange(len(CLASSES)), PER_CLASS)
