"""Images of more than 8 bits: what is shown of them, whatever a few of their pixels hold."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin

from labeller.imaging import decode, is_plain
from labeller.stretching import stretched
from tests.labeller.pictures import Array, encoded, write

LIMIT = 10_000_000
RNG = np.random.default_rng(0)


def shown(data: bytes) -> Array:
    image = decode(io.BytesIO(data), LIMIT).image
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def png(values: Array, colour_type: int, chunks: bytes = b"") -> bytes:
    """Return a PNG file of 16 bits a channel, which Pillow cannot write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunks
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(values: Array, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def colours(top: int, bottom: int = 0, channels: int = 3) -> Array:
    """Return 16-bit colours from `bottom` to `top`, which both occur often."""
    values = RNG.integers(bottom, top + 1, (40, 50, channels)).astype(np.uint16)
    values[:4], values[4:8] = bottom, top
    return values


def wanted(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return (values.astype(float) - low) * 255 / (high - low)


RANGES = [(1023, 0), (4095, 0), (16_383, 0), (65_535, 0), (22_000, 20_000)]


@pytest.mark.parametrize(("top", "bottom"), RANGES)
def test_deep_colours_of_png_are_stretched_together(top: int, bottom: int) -> None:
    values = colours(top, bottom)
    assert np.abs(shown(png(values, 2)) - wanted(values)).max() <= 0.51


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 16)},
        {"planarconfig": "separate"},
    ],
    ids=["raw", "zlib", "predictor", "tiles", "planes"],
)
def test_deep_colours_of_tiff(byteorder: str, options: dict[str, Any]) -> None:
    values = colours(4095)
    stored = np.moveaxis(values, 2, 0) if "planarconfig" in options else values
    data = tiff(stored, photometric="rgb", byteorder=byteorder, **options)
    assert np.abs(shown(data) - wanted(values)).max() <= 0.51


def test_compressed_planes_keep_their_contrast() -> None:
    values = colours(4095)
    data = tiff(
        np.moveaxis(values, 2, 0), photometric="rgb", planarconfig="separate", compression="zlib"
    )
    # Pillow gives the upper bytes alone: 16 levels of a 12-bit image.
    assert np.abs(shown(data) - wanted(values)).max() <= 17


def test_deep_colours_are_turned_upright() -> None:
    values = colours(4095)
    data = tiff(values[:, ::-1], photometric="rgb", extratags=[(274, "H", 1, 2, True)])
    assert np.abs(shown(data) - wanted(values)).max() <= 0.51


def test_deep_transparency_lies_over_white() -> None:
    values = colours(4095, channels=4)
    values[..., 3] = 65_535
    values[10:20, :, 3] = 0
    found = shown(png(values, 6))
    assert (found[10:20] == 255).all()
    assert np.abs(found - wanted(values[..., :3]))[:10].max() <= 1


def test_deep_grey_with_transparency() -> None:
    grey = colours(4095, channels=2)
    grey[..., 1] = 65_535
    grey[10:20, :, 1] = 0
    found = shown(png(grey, 4))
    assert (found[10:20] == 255).all()
    assert np.abs(found[..., 0] - wanted(grey[..., 0]))[:10].max() <= 1


@pytest.mark.parametrize("colour_type", [0, 2])
def test_a_deep_value_that_stands_for_transparency(colour_type: int) -> None:
    values = colours(4095, channels=3 if colour_type else 1)
    values[10:20] = 77
    key = chunk(b"tRNS", struct.pack(">H", 77) * (3 if colour_type else 1))
    found = shown(png(values, colour_type, key))
    assert (found[10:20] == 255).all()
    assert np.abs(found - wanted(values))[:8].max() <= 1


def test_no_browser_is_left_to_show_deep_colours(tmp_path: Any) -> None:
    file = write(tmp_path / "deep.png", png(colours(4095), 2))
    assert not is_plain(file, LIMIT)
    assert not decode(io.BytesIO(file.read_bytes()), LIMIT).plain


# ---- pixels that do not decide


def scene(dtype: Any, side: int = 64) -> Array:
    """Return data from 200 to 900 with both ends well filled."""
    values = RNG.integers(200, 901, (side, side)).astype(dtype)
    values[0], values[1] = 200, 900
    return values


@pytest.mark.parametrize("side", [8, 24, 64, 300])
@pytest.mark.parametrize("value", [0, 65_535])
def test_a_dead_pixel_does_not_flatten_the_image(side: int, value: int) -> None:
    values = scene(np.uint16, side)
    clean = stretched(values)
    values[3, 4] = value
    found = stretched(values)
    found[3, 4] = clean[3, 4]
    assert np.abs(found.astype(int) - clean).max() <= 1


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.float32, -9999.0),
        (np.float32, -3.4e38),
        (np.float32, 1e20),
        (np.int32, -32_768),
        (np.uint16, 65_535),
        (np.float32, np.nan),
    ],
)
@pytest.mark.parametrize("share", [0.002, 0.05, 0.6])
def test_no_data_does_not_flatten_the_image(dtype: Any, value: float, share: float) -> None:
    values = scene(dtype, 100)
    clean = stretched(values)
    gone = np.zeros(values.shape, bool)
    gone[2:].flat[: int(share * values.size)] = True
    values[gone] = value
    found = stretched(values)
    assert np.abs(found.astype(int) - clean)[~gone].max() <= 1


def test_no_data_and_dead_pixels_at_both_ends() -> None:
    values = scene(np.float32, 100)
    clean = stretched(values)
    values[5, 5], values[6], values[7, :3] = 1e9, -9999, 5e4
    found = stretched(values)
    kept = np.r_[0:5, 8:100]
    assert np.abs(found.astype(int) - clean)[kept].max() <= 1


def test_the_number_that_a_tiff_names_as_no_data_is_left_out() -> None:
    values = scene(np.uint16, 100)
    values[10:60] = 0  # not far from the others: only the tag tells
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[42_113] = "0"
    with_tag = shown(encoded(Image.fromarray(values), "TIFF", tiffinfo=tags))[..., 0]
    without = shown(encoded(Image.fromarray(values), "TIFF"))[..., 0]
    assert (with_tag[10:60] == 0).all()
    assert with_tag[:2].mean(axis=1).tolist() == [0, 255]
    assert without[0].mean() == pytest.approx(200 / 900 * 255, abs=1)


@pytest.mark.parametrize("values", [[0, 65_535], [0, 1000, 1001], [0, 1, 2, 3, 60_000]])
def test_drawings_of_few_values_keep_all_of_them(values: list[int]) -> None:
    drawing = np.repeat(np.array(values, np.uint16), 50).reshape(len(values), 50)
    found = stretched(drawing)
    expected = (np.array(values) - min(values)) * 255 / (max(values) - min(values))
    assert np.abs(found.mean(axis=1) - expected).max() <= 0.51


def test_the_range_of_a_large_image_is_that_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    values = scene(np.uint16, 400)
    whole = stretched(values)
    monkeypatch.setattr("labeller.stretching._SAMPLE", 20_000)
    assert np.abs(stretched(values).astype(int) - whole).max() <= 1
    assert (stretched(values) == stretched(values)).all()


def test_white_may_be_zero() -> None:
    values = scene(np.uint16)
    assert (shown(tiff(values, photometric="miniswhite"))[..., 0] == 255 - stretched(values)).all()
