"""A model card says all that happens to an image: doing that gives what `predict` says."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageChops, ImageCms, TiffImagePlugin

from labeller.config import ResizeMethod
from labeller.learning import exported
from labeller.learning.saved import load_model
from labeller.project import Project
from labeller.services import model_card, preprocessing
from labeller.squares import METHODS, Resize, square_of
from tests.labeller.learning.shapes import picture, trained

SIDE = 120

Deep = np.ndarray[Any, np.dtype[np.uint16]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a model that was trained for a moment."""
    return trained(tmp_path_factory.mktemp("said") / "p")


def photo(kind: int) -> Image.Image:
    """Draw a coloured picture of one of the classes."""
    return Image.fromarray(picture(kind, 5, SIDE))


def tinted(kind: int) -> Image.Image:
    """Draw a picture with much red and little blue."""
    red, green, blue = photo(kind).split()
    return Image.merge("RGB", (red, green.point(lambda v: v // 2), blue.point(lambda v: v // 4)))


def other() -> Image.Image:
    """Draw what is hidden below transparency: quite another picture."""
    rng = np.random.default_rng(9)
    return Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))


def alpha() -> Image.Image:
    """Draw an alpha channel: opaque, transparent, and all between."""
    ramp = np.clip(np.linspace(-128, 384, SIDE), 0, 255).astype(np.uint8)
    return Image.fromarray(np.tile(ramp, (SIDE, 1)))


def hidden(kind: int) -> Image.Image:
    """Draw a picture with another one where it is transparent."""
    shown = Image.composite(photo(kind), other(), alpha().point(lambda value: 255 * (value > 0)))
    shown.putalpha(alpha())
    return shown


def wide_profile() -> bytes:
    """Return an RGB profile that is not sRGB: its red and blue primaries change places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return (
        bytes(data).replace(b"sRGB", b"else").replace("sRGB".encode("utf-16-be"), b"e\0l\0s\0e\0")
    )


def write_palette(file: Path) -> None:
    image = photo(1).quantize(8)
    image.save(file, transparency=int(np.argmax(image.histogram())))


def write_turned(file: Path) -> None:
    turned = Image.Exif()
    turned[0x112] = 6
    photo(0).save(file, exif=turned)


def write_plain_cmyk(file: Path) -> None:
    """Write a CMYK JPEG without Adobe's marker, whose inks are stored as they are."""
    buffer = BytesIO()
    ImageChops.invert(photo(1).convert("CMYK")).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    at = data.index(b"\xff\xee")
    file.write_bytes(data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :])


def deep() -> Deep:
    return np.asarray(photo(0).convert("L")).astype(np.uint16) * 40 + 3_000


def deep_colours() -> Deep:
    """Return colours of 12 bits, of which the upper byte of 16 holds next to nothing."""
    return np.asarray(photo(1)).astype(np.uint16) * 12 + 100


def write_deep_colours(file: Path) -> None:
    """Write a PNG of 16 bits a channel, which Pillow cannot."""
    rows = deep_colours().astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def write_no_data(file: Path) -> None:
    values = (deep() / 1e3).astype(np.float32)
    values[:40, :40] = -9_999
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[42_113] = "-9999"
    Image.fromarray(values).save(file, tiffinfo=tags)


def write_animation(file: Path) -> None:
    photo(1).save(file, save_all=True, append_images=[other()], duration=100)


def write_pages(file: Path) -> None:
    photo(0).save(file, save_all=True, append_images=[other()])


KINDS: dict[str, Callable[[Path], None]] = {
    "hidden.png": lambda file: hidden(0).save(file),
    "hidden.webp": lambda file: hidden(1).save(file, lossless=True, exact=True),
    "grey_alpha.png": lambda file: hidden(1).convert("LA").save(file),
    "palette.png": write_palette,
    "palette.gif": lambda file: photo(1).quantize(64).save(file, transparency=3),
    "key.png": lambda file: photo(1).convert("L").save(file, transparency=40),
    "deep.png": lambda file: Image.fromarray(deep()).save(file),
    "deep.tif": lambda file: Image.fromarray(deep().astype(np.int32) * 9).save(file),
    "colours.png": write_deep_colours,
    "no_data.tif": write_no_data,
    "float.tif": lambda file: Image.fromarray((deep() / 1e3).astype(np.float32)).save(file),
    "inks.jpg": lambda file: photo(1).convert("CMYK").save(file, quality=95),
    "plain_inks.jpg": write_plain_cmyk,
    "inks.tif": lambda file: photo(0).convert("CMYK").save(file),
    "turned.jpg": write_turned,
    "profile.png": lambda file: tinted(0).save(file, icc_profile=wide_profile()),
    "profile_hidden.png": lambda file: hidden(0).save(file, icc_profile=wide_profile()),
    "grey_profile.jpg": lambda file: photo(2).convert("L").save(file, icc_profile=wide_profile()),
    "grey.jpg": lambda file: photo(2).convert("L").save(file, quality=95),
    "lines.png": lambda file: photo(0).convert("1").save(file),
    "noise.png": lambda file: Image.fromarray(picture(2, 3, 200)).save(file),
    "large.jpg": lambda file: photo(1).resize((1_500, 900)).save(file, quality=95),
    "frames.gif": write_animation,
    "pages.tif": write_pages,
    "plain.bmp": lambda file: photo(1).save(file),
}


# What follows does what the steps say, by Pillow and numpy alone.


def do_open(path: Path, step: dict[str, Any], side: int) -> Image.Image:
    image = Image.open(path)
    image.seek(step["frame"])
    image.draft(None, (side, side))
    image.load()
    return image


def do_shrink(image: Image.Image, step: dict[str, Any]) -> Image.Image:
    factor = min(image.size) // step["least"]
    if factor < 2 or image.mode not in step["modes"] or "transparency" in image.info:
        return image
    return image.reduce(factor)


def do_stretch(image: Image.Image, deep: Deep | None, step: dict[str, Any]) -> Image.Image:
    """Scale what is deep; `deep` are 16-bit colours, which Pillow does not give."""
    if deep is None and image.mode not in step["modes"]:
        return image
    values = (np.asarray(image) if deep is None else deep).astype(float)
    no_data = getattr(image, "tag_v2", {}).get(step["no_data_tag"])
    known = np.isfinite(values) if no_data is None else values != float(no_data)
    low, high = np.percentile(values[known], [step["low_percentile"], step["high_percentile"]])
    scaled = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1) * 255
    return Image.fromarray(scaled.round().astype(np.uint8))


def do_plain_modes(image: Image.Image, step: dict[str, Any]) -> Image.Image:
    if "transparency" in image.info and image.mode not in ("LA", "RGBA"):
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGB") if image.mode == "P" else image


def do_invert_cmyk(image: Image.Image, step: dict[str, Any]) -> Image.Image:
    return ImageChops.invert(image)


def do_lay_over(image: Image.Image, step: dict[str, Any]) -> Image.Image:
    if not image.mode.endswith("A"):
        return image
    pixels = np.asarray(image.convert("RGBA")).astype(float)
    opaque = pixels[..., 3:] / 255
    shown = pixels[..., :3] * opaque + np.array(step["colour"]) * (1 - opaque)
    return Image.fromarray(shown.round().astype(np.uint8))


def do_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    kinds = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
    if b"sRGB" in profile or kinds[source.profile.xcolor_space] != image.mode:
        return image
    found = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    assert found is not None
    return found


def do_upright(image: Image.Image, turn: int) -> Image.Image:
    turns = {6: Image.Transpose.ROTATE_270}
    return image.transpose(turns[turn]) if turn != 1 else image


def do_resize(image: Image.Image, step: dict[str, Any]) -> Image.Image:
    filters = {("bilinear", True): Image.Resampling.BILINEAR}
    chosen, size = filters[step["filter"], step["antialias"]], (step["width"], step["height"])
    if step["method"] == "crop":
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.crop((left, top, left + short, top + short))
    if step["method"] == "pad":
        scale = size[0] / max(image.size)
        fit = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new("RGB", size, (127, 127, 127))
        canvas.paste(image.resize(fit, chosen), ((size[0] - fit[0]) // 2, (size[1] - fit[1]) // 2))
        return canvas
    return image.resize(size, chosen)


def follow(path: Path, steps: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    """Do the steps one by one; whatever is not known is an error."""
    image, colours = (
        do_open(path, steps[0], steps[1]["side"]),
        deep_colours() if "colours" in path.name else None,
    )
    info, turn = dict(image.info), image.getexif().get(274, 1)
    for step in steps[1:]:
        match step["step"]:
            case "shrink":
                image = do_shrink(image, step) if colours is None else image
            case "stretch":
                image = do_stretch(image, colours, step)
            case "plain_modes":
                image = do_plain_modes(image, step)
            case "invert_cmyk":
                if image.mode == "CMYK" and path.suffix == ".jpg" and "adobe" not in info:
                    image = do_invert_cmyk(image, step)
            case "lay_over":
                image = do_lay_over(image, step)
            case "to_srgb":
                image = do_to_srgb(image, info["icc_profile"]) if "icc_profile" in info else image
            case "upright":
                image = do_upright(image, turn)
            case "to_rgb":
                image = image.convert("RGB")
            case "resize":
                image = do_resize(image, step)
            case "bytes":
                return np.asarray(image, step["dtype"]).reshape(1, *step["shape"][1:])
            case unknown:
                raise AssertionError(f"{unknown} is said to be done, and nobody knows how")
    raise AssertionError("no step makes bytes")


def test_who_follows_the_card_gets_what_predict_says(project: Project, tmp_path: Path) -> None:
    with project.store.read() as unit:
        record = unit.models.get(1)
    whole = exported.Whole(load_model(project, record))
    file = tmp_path / "model.onnx"
    exported.write_onnx(whole, file)
    steps = json.loads(json.dumps(preprocessing.steps(whole.resize)))
    session = onnxruntime.InferenceSession(str(file))
    folder = tmp_path / "images"
    folder.mkdir()
    for name, write in KINDS.items():
        write(folder / name)
    out = tmp_path / "out.jsonl"
    given = map(str, (project.root, folder, "--out", out))
    command = [sys.executable, "-m", "labeller", "predict", *given]
    subprocess.run(command, check=True, capture_output=True)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {row["key"] for row in rows} == set(KINDS)
    apart = {}
    for row in rows:
        pixels = follow(folder / row["key"], steps)
        (probs,) = session.run(None, {"pixels": pixels})[0]
        wanted = list(row["probabilities"].values())
        apart[row["key"]] = float(np.abs(probs - wanted).max())
    assert max(apart.values()) < 0.05, apart


def test_each_step_counts(project: Project, tmp_path: Path) -> None:
    """The pictures are such that leaving a step out gives other pixels: the test above can fail."""
    steps = preprocessing.steps(Resize(64))
    cases = {
        "stretch": "colours.png",
        "plain_modes": "palette.png",
        "invert_cmyk": "plain_inks.jpg",
        "lay_over": "hidden.png",
        "to_srgb": "profile.png",
        "upright": "turned.jpg",
    }
    for left_out, name in cases.items():
        KINDS[name](tmp_path / name)
        fewer = [step for step in steps if step["step"] != left_out]
        whole, without = (follow(tmp_path / name, s).astype(int) for s in (steps, fewer))
        assert np.abs(whole - without).mean() > 8, left_out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(150, 90), (91, 147)])
def test_each_way_to_a_square_is_said(
    method: ResizeMethod, shape: tuple[int, int], tmp_path: Path
) -> None:
    resize = Resize(64, method)
    photo(1).resize(shape).save(tmp_path / "a.png")
    pixels = follow(tmp_path / "a.png", preprocessing.steps(resize)).astype(int)
    wanted = square_of(tmp_path / "a.png", resize, 10**6).astype(int)
    assert np.abs(pixels[0] - wanted).mean() < 1


def test_the_card_says_every_step(project: Project) -> None:
    with project.store.read() as unit:
        record = unit.models.get(1)
    text = model_card.of(project, record)
    section = text.partition("## Preprocessing")[2].partition("\n## ")[0]
    for number, step in enumerate(preprocessing.steps(Resize(64)), 1):
        assert f"\n{number}. {step['text']}" in section
