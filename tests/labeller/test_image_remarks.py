"""Metadata are no damage, and what is passed over in a readable file is told."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from labeller.errors import ImageError
from labeller.image_remarks import Remark, list_remarks
from labeller.imaging import decode, decode_rgb
from labeller.project import create_project
from labeller.services.importing import import_sources
from tests.labeller.pictures import colours, encoded, write

LIMIT = 10_000_000


def chunk(kind: bytes, data: bytes, damaged: bool = False) -> bytes:
    checksum = zlib.crc32(kind + data) ^ damaged
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunk(extra: bytes) -> bytes:
    """Return a PNG with a chunk behind its header."""
    data = encoded(colours(), "PNG")
    return data[:33] + extra + data[33:]


LONG_TEXT = zlib.compress(b"x" * 30_000_000)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"parameters\0\0" + LONG_TEXT),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG_TEXT),
        chunk(b"tEXt", b"parameters\0" + b"x" * 3_000_000),
        chunk(b"tEXt", b"parameters\0words", damaged=True),
        chunk(b"zTXt", b"parameters\0\7words"),
        chunk(b"zTXt", b"parameters\0\0rubbish"),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(20_000_000))),
        chunk(b"iCCP", b"profile\0\7rubbish"),
        chunk(b"iCCP", b"profile"),
        chunk(b"pHYs", b"\0"),
        chunk(b"tIME", b""),
    ],
    ids=[
        "long zTXt",
        "long iTXt",
        "long tEXt",
        "checksum",
        "unknown compression",
        "no zlib",
        "profile of 2 MB",
        "profile of 20 MB",
        "profile of unknown compression",
        "empty profile",
        "short pHYs",
        "empty tIME",
    ],
)
def test_metadata_of_a_png_are_no_damage(extra: bytes) -> None:
    found = np.asarray(decode_rgb(with_chunk(extra), LIMIT))
    assert (found == np.asarray(colours())).all()


def test_texts_that_would_fill_the_memory_are_passed_over() -> None:
    texts = b"".join(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 15_000_000)) for _ in range(12))
    assert (np.asarray(decode_rgb(with_chunk(texts), LIMIT)) == np.asarray(colours())).all()


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_damage_to_what_the_pixels_need_is_told(kind: bytes) -> None:
    data = bytearray(encoded(colours().quantize(16), "PNG"))
    at = data.index(kind) + 4
    data[at + 3] ^= 0xFF
    with pytest.raises(ImageError, match=r"damaged|truncated|limit"):
        decode_rgb(bytes(data), LIMIT)


def test_a_large_profile_is_used() -> None:
    text = PngImagePlugin.PngInfo()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes() + bytes(3_000_000)
    data = encoded(colours(), "PNG", icc_profile=profile, pnginfo=text)
    assert decode(io.BytesIO(data), LIMIT).image.size == (64, 48)
    assert list_remarks(io.BytesIO(data)) == (Remark("profile"),)  # of another kind of colours


def test_what_is_passed_over_is_listed() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    many = {"save_all": True, "append_images": [second, first]}
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cases = {
        encoded(first, "TIFF"): (),
        encoded(first, "TIFF", **many): (Remark("pages", 3),),
        encoded(first, "GIF", duration=50, **many): (Remark("frames"),),
        encoded(first, "PNG", **many): (Remark("frames"),),
        encoded(first, "WEBP", **many): (Remark("frames"),),
        encoded(first, "MPO", **many): (),
        encoded(first, "JPEG", icc_profile=srgb): (),
        encoded(first, "JPEG", icc_profile=b"rubbish"): (Remark("profile"),),
        encoded(first.convert("L"), "PNG", icc_profile=srgb): (),
    }
    for data, remarks in cases.items():
        assert list_remarks(io.BytesIO(data)) == remarks


def test_smaller_copies_of_a_page_are_no_pages() -> None:
    page = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(page, photometric="rgb")
        writer.write(page[::2, ::2], photometric="rgb", subfiletype=1)
        writer.write(page[::4, ::4], photometric="rgb", subfiletype=1)
    assert list_remarks(file) == ()


def test_an_import_tells_what_it_passes_over(tmp_path: Path) -> None:
    project = create_project(tmp_path / "project", ["cat", "dog"], workers=1)
    pages = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(2):
        page = Image.new("RGB", (8, 8), (number, 0, 0))
        write(
            folder / f"{number}.tif",
            encoded(page, "TIFF", save_all=True, append_images=pages),
        )
    write(folder / "x.gif", encoded(pages[0], "GIF", save_all=True, append_images=pages[1:]))
    write(folder / "y.jpg", encoded(colours(), "JPEG", icc_profile=b"rubbish"))
    report = import_sources(project, [folder])
    assert (report.added, report.failed) == (4, 0)
    notes = "\n".join(report.notes)
    assert "2 TIFF files have further pages" in notes
    assert "4 pages" in notes
    assert "1 files are animated" in notes
    assert "x.gif" in notes
    assert "1 files have a colour profile that cannot be used" in notes
