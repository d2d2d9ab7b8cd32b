"""Distances to the nearest label, kept between rounds: nearly all the time of `k_center`.

A file in the project's ``vectors`` folder, named by what the distances depend on: features of
another recipe, or in other units because images were added, have another name. What labels came,
went or moved since is found out by `strategies.nearest.nearest`, so the distances are always those
of measuring anew; without the file, or with a damaged one, everything is measured.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from labeller.learning.features import Features, Scaling
from store.scratch import name_scratch
from strategies.base import Pool, Selection
from strategies.nearest import Nearest, nearest
from strategies.pool.k_center import k_center

PREFIX = "nearest-"
SUFFIX = ".npz"
_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


class KeptDistances:
    """The distances of one pool, read from a folder and written back."""

    def __init__(self, folder: Path, features: Features, scaling: Scaling) -> None:
        self.path = folder / f"{PREFIX}{fingerprint(features, scaling)}{SUFFIX}"
        self._known: Nearest | None = None

    def pick(self, pool: Pool, k: int, rng: np.random.Generator, /) -> Selection:
        """Pick by `k_center`, the same items as without kept distances.

        Parameters
        ----------
        pool : Pool
            With embeddings, the labelled items and ``labelled_ids``. The distances of the first
            one are written for the next round; later ones are parts of it.
        k : int
            How many to pick.
        rng : numpy.random.Generator
        """
        first = self._known is None
        found = nearest(pool, self._read() if first else self._known)
        if first:
            self._known = found
            self._write(found)
        return k_center(pool, k, rng, known=found)

    def _read(self) -> Nearest | None:
        """Return what the last round kept; None when there is nothing usable."""
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                return _checked(Nearest(**{name: arrays[name] for name in arrays.files}))
        except _DAMAGE:
            return None

    def _write(self, found: Nearest) -> None:
        """Replace the file, and delete those of other features.

        A full disk costs the next round time, and nothing else.
        """
        half = name_scratch(self.path)
        try:
            with half.open("wb") as file:
                np.savez(file, **asdict(found))
            half.replace(self.path)
        except OSError:
            half.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        for other in self.path.parent.glob(f"{PREFIX}*{SUFFIX}"):
            if other != self.path:
                other.unlink(missing_ok=True)


def fingerprint(features: Features, scaling: Scaling) -> str:
    """Return a hash of all that the embeddings of an item depend on, besides its features."""
    digest = hashlib.sha256(f"{features.recipe.tag} {features.backbone.digest}".encode())
    columns = features.backbone.embedding(features.recipe)
    for array in (scaling.mean[columns], scaling.spread[columns]):
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def _checked(found: Nearest) -> Nearest:
    """Return what was read, or raise when it is not what is written here."""
    n = len(found.ids)
    if not found.squared.shape == found.nearest_ids.shape == found.ids.shape == (n,):
        raise ValueError("These are no distances of items.")
    if any(ids.dtype != np.int64 for ids in (found.ids, found.nearest_ids, found.labelled_ids)):
        raise TypeError("Ids are whole numbers.")
    return found
