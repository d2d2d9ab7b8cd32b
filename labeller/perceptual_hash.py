"""A hash of how an image looks, which hardly changes when it is scaled, recoloured or compressed.

Two images with few differing bits show the same picture. Cropping and turning change it: such
pictures are fitted on each other in a round (:mod:`labeller.services.close_looks`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64  # pixels that the image is scaled to
KEPT = 16  # lowest frequencies in each direction
BYTES = KEPT * KEPT // 8
BITS = 24  # of 256 that hashes of the same picture may differ in
FLAT = 2.0  # grey levels of 255: an image that varies by less has no picture to hash


def perceptual_hash(image: Image.Image) -> bytes | None:
    """Return 256 bits that say which low frequencies are stronger than usual.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any size and mode; a thumbnail gives the same as the whole but for a few bits.

    Returns
    -------
    bytes or None
        32 bytes; None for an image that is nearly of one colour, whose bits would be noise.

    References
    ----------
    Zauner, C. Implementation and Benchmarking of Perceptual Image Hash Functions. 2010 (pHash);
    the size of Facebook's PDQ, The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
    Algorithm, 2019.
    """
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    levels = np.asarray(grey, np.float64)
    if levels.std() < FLAT:
        return None
    strengths = (_cosines() @ levels @ _cosines().T).ravel()
    # The first one is the brightness, of which the bits are to know nothing.
    return np.packbits(strengths > np.median(strengths[1:])).tobytes()


def mirrored(looks: bytes) -> bytes:
    """Return what the mirror image's hash is, but for a few bits.

    Mirroring turns the sign of every second frequency across, and the middle strength, to which
    all are compared, is close to none.
    """
    turned = int.from_bytes(looks, "big") ^ int.from_bytes(_odd(), "big")
    return turned.to_bytes(BYTES, "big")


@cache
def _odd() -> bytes:
    """Return a hash in which the bits of the odd frequencies across are set."""
    return np.packbits(np.tile(np.arange(KEPT) % 2, KEPT)).tobytes()


@cache
def _cosines() -> NDArray[Any]:
    """Return the lowest rows (16, 64) of the discrete cosine transform (type II)."""
    frequencies, places = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi * (2 * places + 1) * frequencies / (2 * SIDE))
