"""Small files that hold, or say that they hold, very many pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

Maker = Callable[[int], bytes]


def png(side: int, colour: int = 2, bits: int = 8, interlaced: bool = False) -> bytes:
    """Return a PNG of zeros, a thousandth of its pixels in size."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" + bytes(-(-side * channels * bits // 8))
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(0 if interlaced else side))
    if interlaced:
        data = packer.compress(bytes(2 * side * len(row)))
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, int(interlaced))
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            palette,
            chunk(b"IDAT", data + packer.flush()),
            chunk(b"IEND", b""),
        )
    )


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_text(side: int) -> bytes:
    """Return a PNG whose texts unpack to very much."""
    small = png(64)
    bomb = zlib.compress(bytes(side * side), 9)
    text = b"".join(chunk(b"iTXt", b"k%d\0\1\0\0\0" % n + bomb) for n in range(20))
    return small[:33] + text + small[33:]


def png_profile(side: int) -> bytes:
    """Return a PNG whose colour profile unpacks to very much."""
    small = png(64)
    return small[:33] + chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(side * side), 9)) + small[33:]


def saved(format: str, mode: str = "RGB", **options: object) -> Maker:
    """Return a function that makes an image of one colour."""

    def make(side: int) -> bytes:
        buffer = io.BytesIO()
        Image.new(mode, (side, side)).save(buffer, format, **options)
        return buffer.getvalue()

    return make


def tiff_tile(side: int) -> bytes:
    """Return a TIFF of 16 × 16 pixels in one tile of `side` × `side`, which is not there."""
    tags = [(256, 16), (257, 16), (258, 8), (259, 5), (262, 1), (277, 1)]
    tags += [(322, side), (323, side), (324, 8), (325, 64)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"".join(
        (
            b"II*\0",
            struct.pack("<I", 8 + 64),
            b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01".ljust(64, b"\0"),
            struct.pack("<H", len(tags)),
            entries,
            bytes(4),
        )
    )


def gif_frames(side: int) -> bytes:
    """Return a GIF of many frames."""
    buffer = io.BytesIO()
    frames = [Image.new("P", (side, side), colour) for colour in range(12)]
    for colour, frame in enumerate(frames):
        frame.putpixel((0, 0), colour + 1)
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def jpeg(side: int, **options: object) -> bytes:
    """Return a JPEG of stripes, whose coefficients are not all zero."""
    stripes = np.zeros((side, side, 3), np.uint8)
    stripes[::2] = 200
    buffer = io.BytesIO()
    Image.fromarray(stripes).save(buffer, "JPEG", quality=30, subsampling=0, **options)
    return buffer.getvalue()


KINDS: dict[str, Maker] = {
    "png-rgb": png,
    "png-grey": lambda side: png(side, 0),
    "png-palette": lambda side: png(side, 3),
    "png-alpha": lambda side: png(side, 6),
    "png-grey-alpha": lambda side: png(side, 4),
    "png-deep-grey": lambda side: png(side, 0, 16),
    "png-deep-colour": lambda side: png(side, 2, 16),
    "png-interlaced": lambda side: png(side, 2, interlaced=True),
    "png-text": png_text,
    "png-profile": png_profile,
    "tiff-lzw": saved("TIFF", compression="tiff_lzw"),
    "tiff-deflate": saved("TIFF", compression="tiff_deflate"),
    "tiff-strip": saved("TIFF", "RGBA", compression="tiff_lzw", tiffinfo={278: 1 << 20}),
    "tiff-float": saved("TIFF", "F", compression="tiff_lzw"),
    "tiff-tile": tiff_tile,
    "gif": saved("GIF", "P"),
    "gif-frames": gif_frames,
    "webp": saved("WEBP", lossless=True, method=0),
    "webp-alpha": saved("WEBP", "RGBA", lossless=True, method=0),
    "jpeg": jpeg,
    "jpeg-progressive": lambda side: jpeg(side, progressive=True),
    "jpeg-cmyk": saved("JPEG", "CMYK"),
    "bmp": saved("BMP", "L"),
}
