"""JPEGs that carry a checksum of themselves: a bit that flipped on the disk is noticed."""

from __future__ import annotations

import zlib
from io import BytesIO

from PIL import Image

_BEGIN, _END, _LOST = b"\xff\xd8\xff", b"\xff\xd9", bytes(512)
_SEAL, _BLANK = b"labeller crc32 ", b"00000000"
_NEAR = 1024  # bytes from the beginning, within which the comment with the seal lies


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """Return an image as a JPEG, with its checksum in a comment."""
    # Encoded in memory first: Pillow's own file writing loses the reason when a disk is full.
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, comment=_SEAL + _BLANK)
    data = buffer.getvalue()
    place = _find_seal(data)
    if place is None:
        return data
    return data[:place] + _checksum(data, place) + data[place + len(_BLANK) :]


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG is as `encode_jpeg` made it.

    Of one of before there were seals only what a power cut or a bad copy leaves is noticed: it is
    empty, ends too soon, or has a sector of zeros, which no JPEG has.
    """
    if not (data.startswith(_BEGIN) and data.endswith(_END)) or _LOST in data:
        return False
    place = _find_seal(data)
    return place is None or data[place : place + len(_BLANK)] == _checksum(data, place)


def _find_seal(data: bytes) -> int | None:
    """Return where the checksum is written."""
    place = data.find(_SEAL, 0, _NEAR)
    return None if place < 0 else place + len(_SEAL)


def _checksum(data: bytes, place: int) -> bytes:
    """Return the checksum of all but itself."""
    before = zlib.crc32(_BLANK, zlib.crc32(data[:place]))
    return b"%08x" % zlib.crc32(data[place + len(_BLANK) :], before)
