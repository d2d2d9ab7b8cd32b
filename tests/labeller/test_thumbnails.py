from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller import imaging
from labeller.errors import ImageError
from labeller.project import Project, create_project
from labeller.services import decoding
from labeller.services.importing import import_sources
from labeller.services.thumbnails import Size, thumbnail
from store.records import ItemRecord
from tests.labeller.pictures import colours, encoded, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(
        tmp_path / "project", ["a"], workers=1, thumbnail_pixels=64, card_pixels=256
    )


def imported(project: Project, path: Path, data: bytes) -> ItemRecord:
    assert import_sources(project, [write(path, data)]).failed == 0
    with project.store.read() as unit:
        item = unit.items.by_path(str(path))
    assert item is not None
    return item


@pytest.mark.parametrize(("size", "longest"), [("thumb", 64), ("card", 256), ("full", 700)])
def test_sizes(project: Project, tmp_path: Path, size: Size, longest: int) -> None:
    item = imported(project, tmp_path / "a.tif", encoded(colours(700, 350), "TIFF"))
    path, media_type = thumbnail(project, item, size)
    assert media_type == "image/jpeg"
    assert path.is_relative_to(project.thumbnails)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (longest, longest // 2))
    assert thumbnail(project, item, size) == (path, media_type)


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.jpg", photo(1), "image/jpeg"),
        ("a.png", encoded(colours(), "PNG"), "image/png"),
        ("a.webp", encoded(colours(), "WEBP"), "image/webp"),
        ("a.gif", encoded(colours(), "GIF"), "image/gif"),
    ],
)
@pytest.mark.parametrize("size", ["thumb", "card", "full"])
def test_small_plain_originals_are_served_as_they_are(
    project: Project, tmp_path: Path, name: str, data: bytes, media_type: str, size: Size
) -> None:
    item = imported(project, tmp_path / name, data)
    assert thumbnail(project, item, size) == (tmp_path / name, media_type)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(colours(48, 64), "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("turned.jpg", turned()),
        ("cmyk.jpg", encoded(colours().convert("CMYK"), "JPEG", quality=95)),
        ("clear.png", encoded(colours().convert("RGBA"), "PNG")),
        ("deep.png", encoded(Image.fromarray(np.eye(64, dtype=np.uint16) * 900), "PNG")),
        ("moving.gif", encoded(colours(), "GIF", save_all=True, append_images=[colours(32)])),
        ("a.bmp", encoded(colours(), "BMP")),
        ("heavy.png", encoded(colours(), "PNG") + bytes(200_000)),
    ],
)
def test_what_a_browser_would_show_otherwise_is_made(
    project: Project, tmp_path: Path, name: str, data: bytes
) -> None:
    item = imported(project, tmp_path / name, data)
    path, media_type = thumbnail(project, item, "full")
    assert path.is_relative_to(project.thumbnails)
    assert media_type == "image/jpeg"
    wanted = np.asarray(imaging.decode_rgb(data, 10**6)).astype(int)
    found = np.asarray(Image.open(path)).astype(int)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 8


def test_a_kept_image_does_not_need_the_original(project: Project, tmp_path: Path) -> None:
    item = imported(project, tmp_path / "a.jpg", photo(1, 400))
    card, _ = thumbnail(project, item, "card")
    (tmp_path / "a.jpg").unlink()
    assert thumbnail(project, item, "thumb")[0].exists()
    assert thumbnail(project, item, "card")[0] == card
    with pytest.raises(ImageError, match="gone") as caught:
        thumbnail(project, item, "full")
    assert "new place" in caught.value.mend


def test_a_changed_original_is_not_shown(project: Project, tmp_path: Path) -> None:
    item = imported(project, tmp_path / "a.jpg", photo(1, 400))
    write(tmp_path / "a.jpg", photo(2, 300))
    with pytest.raises(ImageError, match="changed"):
        thumbnail(project, item, "card")


def test_many_threads_make_it_once(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = imported(project, tmp_path / "a.jpg", photo(1, 900))
    calls: list[Any] = []
    make_jpeg = decoding.make_jpeg

    def slow(*args: Any) -> bool:
        calls.append(args)
        time.sleep(0.05)
        return make_jpeg(*args)

    monkeypatch.setattr(decoding, "make_jpeg", slow)
    start = threading.Barrier(8)
    sizes: list[tuple[int, int]] = []

    def ask() -> None:
        start.wait()
        path, _ = thumbnail(project, item, "card")
        with Image.open(path) as image:
            image.load()
            sizes.append(image.size)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [(256, 256)] * 8
    assert len(calls) == 1
    assert not list(project.thumbnails.rglob(".*"))


def test_a_disk_that_cannot_be_written(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = imported(project, tmp_path / "a.jpg", photo(1, 400))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.durable.os.fsync", full)
    with pytest.raises(ImageError, match="No space left") as caught:
        thumbnail(project, item, "card")
    assert "space" in caught.value.mend


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut"),
        pytest.param(lambda data: data[:-1], id="a byte short"),
        pytest.param(lambda data: bytes(len(data)), id="zeros"),
        pytest.param(lambda data: data[:600] + bytes(512) + data[1112:], id="a sector of zeros"),
        pytest.param(lambda data: b"garbage" * (len(data) // 7), id="garbage"),
    ],
)
@pytest.mark.parametrize("size", ["thumb", "card"])
def test_a_damaged_image_is_made_again(
    project: Project, tmp_path: Path, size: Size, damage: Callable[[bytes], bytes]
) -> None:
    item = imported(project, tmp_path / "a.jpg", photo(1, 400))
    path, _ = thumbnail(project, item, size)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    again, _ = thumbnail(project, item, size)
    assert again == path
    assert again.read_bytes() == whole
