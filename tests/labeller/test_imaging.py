from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from labeller import imaging
from labeller.errors import ImageError
from labeller.imaging import decode, decode_rgb, is_plain, open_rgb
from labeller.stretching import stretched
from tests.labeller.pictures import Array, colours, encoded, photo, ramp, write

LIMIT = 10_000_000


def pixels(data: bytes, max_side: int | None = None) -> Array:
    image = decode_rgb(data, LIMIT, max_side)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def grey(width: int = 64) -> Array:
    return np.repeat(ramp(width)[:, :, None], 3, axis=2).astype(int)


def near(found: Array, wanted: Array, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance


def refused(data: bytes, limit: int = LIMIT) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode_rgb(data, limit)
    assert caught.value.reason
    assert caught.value.mend
    return caught.value


# ---- formats and modes


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 12),
        ("JPEG", {"quality": 95, "progressive": True}, 12),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 12),
    ],
)
def test_colour_images_of_every_format(
    format: str, options: dict[str, Any], tolerance: int
) -> None:
    wanted = np.asarray(colours()).astype(int)
    data = encoded(colours(), format, **options)
    near(pixels(data), wanted, tolerance)
    decoded = decode(io.BytesIO(data), LIMIT)
    assert (decoded.format, decoded.width, decoded.height) == (format, 64, 48)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_greyscale(format: str) -> None:
    near(pixels(encoded(Image.fromarray(ramp()), format)), grey(), 12)


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(format: str) -> None:
    image = colours().quantize(64)
    near(pixels(encoded(image, format)), np.asarray(image.convert("RGB")).astype(int), 0)


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_one_bit(format: str) -> None:
    bits = Image.fromarray(ramp() > 127)
    assert bits.mode == "1"
    near(pixels(encoded(bits, format)), np.where(grey() > 127, 255, 0), 0)


def test_one_bit_shrinks_to_greys() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2).astype(bool)
    shrunk = pixels(encoded(Image.fromarray(checks), "PNG"), 16)
    assert 100 < shrunk.mean() < 155
    assert shrunk.std() < 20


@pytest.mark.parametrize(
    "values",
    [
        (ramp() / 255 * 65_535).astype(np.uint16),
        (ramp() / 255 * 4_095).astype(np.uint16),
        (20_000 + ramp().astype(np.uint16) * 4),
        (ramp().astype(np.int32) * 100_000 - 5_000_000),
        (ramp() / 255).astype(np.float32),
        (ramp().astype(np.float32) * 1e-6 - 3),
    ],
    ids=["full 16 bits", "12 of 16 bits", "narrow 16 bits", "32 bits", "float", "tiny float"],
)
@pytest.mark.parametrize("max_side", [None, 32])
def test_deep_values_are_stretched_over_their_own_range(
    values: Array, max_side: int | None
) -> None:
    found = pixels(encoded(Image.fromarray(values), "TIFF"), max_side)
    assert found[:, 0].max() <= 10
    assert found[:, -1].min() >= 245
    assert (np.diff(found[0, :, 0]) >= 0).all()
    assert found[0, len(found[0]) // 2, 0] == pytest.approx(127, abs=8)


def test_sixteen_bit_png_and_big_endian_tiff() -> None:
    values = (ramp() / 255 * 65_535).astype(np.uint16)
    near(pixels(encoded(Image.fromarray(values), "PNG")), grey(), 1)
    big = Image.frombytes("I;16B", (64, 48), values.astype(">u2").tobytes())
    near(pixels(encoded(big, "TIFF")), grey(), 1)


def test_numbers_that_are_none_become_black() -> None:
    values = (ramp() / 255).astype(np.float32)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    found = pixels(encoded(Image.fromarray(values), "TIFF"))
    assert found[0, :3].max() == 0
    near(found[1:], grey()[1:], 1)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.full((4, 5), 0, np.uint16), 0),
        (np.full((4, 5), 65_535, np.uint16), 255),
        (np.full((4, 5), 0.5, np.float32), 128),
        (np.full((4, 5), np.nan, np.float32), 0),
    ],
)
def test_flat_images_have_no_range_of_their_own(values: Array, wanted: int) -> None:
    assert (stretched(values) == wanted).all()


def test_stretching_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    whole = stretched(values)
    monkeypatch.setattr("labeller.stretching._BLOCK", 100)
    assert (stretched(values) == whole).all()


# ---- transparency


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_over_white(format: str) -> None:
    image = colours().convert("RGBA")
    image.putalpha(Image.fromarray(np.where(ramp() < 128, 0, 255).astype(np.uint8)))
    options = {"lossless": True} if format == "WEBP" else {}
    found = pixels(encoded(image, format, **options))
    assert (found[:, :30] == 255).all()
    near(found[:, 34:], np.asarray(colours()).astype(int)[:, 34:], 0)
    assert not decode(io.BytesIO(encoded(image, format, **options)), LIMIT).plain


def test_half_transparent_grey() -> None:
    image = Image.merge("LA", [Image.new("L", (8, 8), 0), Image.new("L", (8, 8), 128)])
    assert pixels(encoded(image, "PNG")).mean() == pytest.approx(127, abs=1)


def test_transparent_palette_entry_and_colour_key() -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((0, 0), 1)
    found = pixels(encoded(palette, "PNG", transparency=0))
    assert found[0, 0].tolist() == [255, 0, 0]
    assert (found[1:] == 255).all()
    key = Image.new("RGB", (4, 4), (1, 2, 3))
    assert (pixels(encoded(key, "PNG", transparency=(1, 2, 3))) == 255).all()
    gif = pixels(encoded(palette, "GIF", transparency=0))
    assert gif[0, 0].tolist() == [255, 0, 0]
    assert (gif[1:] == 255).all()


# ---- CMYK and colour profiles


def cmyk() -> Image.Image:
    return colours().convert("CMYK")


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk(format: str) -> None:
    data = encoded(cmyk(), format, **({"quality": 95} if format == "JPEG" else {}))
    near(pixels(data), np.asarray(colours()).astype(int), 12)
    assert not decode(io.BytesIO(data), LIMIT).plain


def test_cmyk_jpeg_without_adobes_mark_is_not_inverted() -> None:
    # Pillow writes Adobe's inverted values and its mark; a file of plain values has neither.
    data = encoded(Image.fromarray(255 - np.asarray(cmyk()), "CMYK"), "JPEG", quality=95)
    mark = data.index(b"\xff\xee\x00\x0eAdobe")
    plain = data[:mark] + data[mark + 16 :]
    near(pixels(plain), np.asarray(colours()).astype(int), 12)


def test_a_colour_profile_is_converted() -> None:
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    srgb = swapped.tobytes()
    near(
        pixels(encoded(colours(), "PNG", icc_profile=srgb)),
        np.asarray(colours()).astype(int),
        0,
    )
    wide = _with_gamma_one(srgb)
    found = pixels(encoded(colours(), "PNG", icc_profile=wide))
    # linear light: the middle of the ramp is far brighter in sRGB
    assert found[0, 32, 0] > 170
    assert abs(found[0, 0, 0]) < 8
    assert found[0, -1, 0] > 247


def _with_gamma_one(profile: bytes) -> bytes:
    """Return an sRGB profile under another name with straight tone curves."""
    data = bytearray(profile.replace("sRGB".encode("utf-16-be"), "line".encode("utf-16-be")))
    count = struct.unpack(">I", data[128:132])[0]
    for entry in range(132, 132 + 12 * count, 12):
        tag, offset, _size = struct.unpack(">4sII", data[entry : entry + 12])
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + 12] = b"curv" + bytes(8)
            data[entry + 8 : entry + 12] = struct.pack(">I", 12)
    return bytes(data)


@pytest.mark.parametrize("profile", [b"rubbish", b""])
def test_a_broken_profile_is_passed_over(profile: bytes) -> None:
    found = pixels(encoded(colours(), "PNG", icc_profile=profile))
    near(found, np.asarray(colours()).astype(int), 0)


# ---- orientation, frames, size


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format: str, orientation: int) -> None:
    upright = np.asarray(colours()).astype(int)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored).astype(np.uint8))
    options: dict[str, Any] = {}
    if format != "TIFF":
        options = {"lossless": True} if format == "WEBP" else {"quality": 95}
    decoded = decode(io.BytesIO(encoded(image, format, exif=exif, **options)), LIMIT)
    assert (decoded.width, decoded.height) == (64, 48)
    near(np.asarray(decoded.image).astype(int), upright, 14)
    assert decoded.plain == (orientation == 1 and format != "TIFF")


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_impossible_orientation_counts_as_upright(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    near(pixels(encoded(colours(), "PNG", exif=exif)), np.asarray(colours()).astype(int), 0)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_many_frames(format: str) -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    data = encoded(first, format, save_all=True, append_images=[second], duration=50)
    found = pixels(data)
    assert found[..., 0].min() > 240
    assert found[..., 2].max() < 15
    assert not decode(io.BytesIO(data), LIMIT).plain


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_max_side_shrinks_and_never_enlarges(format: str) -> None:
    data = encoded(colours(300, 200), format)
    decoded = decode(io.BytesIO(data), LIMIT, 60)
    assert decoded.image.size == (60, 40)
    assert (decoded.width, decoded.height) == (300, 200)
    wanted = np.asarray(colours(300, 200).resize((60, 40))).astype(int)
    near(np.asarray(decoded.image).astype(int), wanted, 12)
    assert decode_rgb(data, LIMIT, 1000).size == (300, 200)


def test_a_sliver_keeps_one_pixel() -> None:
    assert decode_rgb(encoded(Image.new("RGB", (5000, 2)), "PNG"), LIMIT, 100).size == (100, 1)


# ---- what cannot be read


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated(format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), format)
    error = refused(data[: int(len(data) * share)])
    assert "truncated" in error.reason
    assert "whole copy" in error.mend


def test_damage_in_the_middle() -> None:
    data = bytearray(encoded(Image.fromarray(ramp(300, 300)), "PNG"))
    data[60:90] = bytes(30)
    assert "damaged" in refused(bytes(data)).reason


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"just a few words\n", "text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b'<?xml version="1.0"?><svg/>', "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\0\0\0\x18ftypheic....", "HEIC"),
        (b"\0\0\0\x18ftypavif....", "AVIF"),
        (b"PK\x03\x04....", "zip"),
        (bytes(range(64)), "no image"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data: bytes, word: str) -> None:
    assert word in refused(data).reason


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _png_of_zeros(30_000, 30_000)
    assert len(data) < 2_000_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    error = refused(data, limit=300_000_000)
    assert "30,000 × 30,000" in error.reason
    assert "300,000,000" in error.reason
    assert "max_image_pixels" in error.mend


def test_the_projects_limit_counts_not_pillows() -> None:
    data = _png_of_zeros(14_000, 14_000)  # Pillow refuses from 179 million on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_rgb(data, 14_000 * 14_000, 64).size == (64, 64)


def _png_of_zeros(width: int, height: int) -> bytes:
    """Return a 1-bit PNG of any size without holding its pixels."""
    row = bytes(1 + width // 8 + (width % 8 > 0))
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.jpg", b"")
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    circle = tmp_path / "circle.jpg"
    circle.symlink_to(circle)
    cases = {
        empty: "empty",
        folder: "folder",
        pipe: "pipe",
        circle: "link",
        tmp_path / "none.jpg": "no such file",
        tmp_path / "nu\0ll.jpg": "null byte",
    }
    for path, word in cases.items():
        with pytest.raises(ImageError, match=word) as caught:
            open_rgb(path, LIMIT)
        assert caught.value.mend


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.jpg", photo(0))

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # root, who runs these tests, may read anything
    with pytest.raises(ImageError, match="may not be read") as caught:
        open_rgb(path, LIMIT)
    assert "chmod" in caught.value.mend


def test_memory_that_runs_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(imaging, "to_rgb", full)
    assert "memory" in refused(photo(0)).reason


def test_broken_exif_does_not_lose_the_image() -> None:
    data = encoded(colours(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pixels(data).shape == (48, 64, 3)


def test_is_plain_reads_the_header_only(tmp_path: Path) -> None:
    assert is_plain(write(tmp_path / "a.jpg", photo(0)), LIMIT)
    assert not is_plain(write(tmp_path / "b.bmp", encoded(colours(), "BMP")), LIMIT)
    assert not is_plain(write(tmp_path / "c.jpg", encoded(cmyk(), "JPEG")), LIMIT)
    with pytest.raises(ImageError, match="text"):
        is_plain(write(tmp_path / "d.jpg", b"words"), LIMIT)
