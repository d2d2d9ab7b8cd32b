"""Pack the demo's images: ``python -m labeller.demo.make [FOLDER]``.

FOLDER holds the files of Fashion-MNIST, as the Debian package dataset-fashion-mnist puts them.
The packed file is in the repository; this script says how it came to be.
"""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from labeller.demo import CLASSES, COLUMNS, PACKED, PER_CLASS, ROWS, SIDE

FOLDER = Path("/usr/share/datasets/fashion-mnist")
SEED = 0


def main(folder: Path = FOLDER, packed: Path = PACKED) -> None:
    """Draw 300 images of every class from the training set and write one sheet per class."""
    images = _read(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, SIDE, SIDE)
    classes = _read(folder / "train-labels-idx1-ubyte.gz", 8)
    rng = np.random.default_rng(SEED)
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(len(CLASSES)):
            drawn = rng.choice(np.flatnonzero(classes == number), PER_CLASS, replace=False)
            archive.writestr(zipfile.ZipInfo(f"{number}.png"), _sheet(images[np.sort(drawn)]))


def _read(path: Path, header: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of bytes behind its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def _sheet(images: npt.NDArray[np.uint8]) -> bytes:
    """Put images side by side in one PNG."""
    tiles = images.reshape(ROWS, COLUMNS, SIDE, SIDE).swapaxes(1, 2)
    buffer = io.BytesIO()
    sheet = Image.fromarray(tiles.reshape(ROWS * SIDE, COLUMNS * SIDE))
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
