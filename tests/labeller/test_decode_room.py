"""Pixels that the threads of a process decode at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile

from labeller.decode_room import DecodeRoom
from labeller.imaging import open_rgb


def test_those_that_fit_go_together_and_a_giant_goes_alone() -> None:
    room, inside, most = DecodeRoom(), [0], [0]
    lock = threading.Lock()

    def decode(pixels: int) -> None:
        with room.taken(pixels, 10):
            with lock:
                inside[0] += pixels
                most.append(inside[0])
            time.sleep(0.02)
            with lock:
                inside[0] -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [5, 5, 7, 25, 3, 3, 4, 9, 2, 8]))
    assert inside == [0]
    assert max(most) == 25, "larger than the room, and yet let in"
    assert all(pixels <= 10 for pixels in most if pixels != 25), "but alone"
    assert max(pixels for pixels in most if pixels != 25) > 9, "some went together"


def test_an_error_gives_the_room_back() -> None:
    room = DecodeRoom()
    with pytest.raises(ValueError, match="torn"), room.taken(9, 10):
        raise ValueError("torn")
    with room.taken(10, 10):
        pass


def test_threads_that_read_squares_decode_so_many_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(6)]
    for path in paths:
        Image.new("RGB", (50, 40)).save(path)
    load, now, seen = ImageFile.ImageFile.load, [0], [0]
    lock = threading.Lock()

    def slow(image: ImageFile.ImageFile) -> Any:
        with lock:
            now[0] += image.width * image.height
            seen.append(now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= image.width * image.height
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", slow)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda path: open_rgb(path, 4_500, cover=8), paths))
    assert max(seen) == 2 * 50 * 40


PEAK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from labeller import decode_room, imaging
decode_room.LARGE = 1
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: imaging.open_rgb(sys.argv[1], 20_000_000, cover=64), range(12)))
(line,) = [l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM")]
print(int(line.split()[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells peaks there")
def test_the_memory_of_a_giant_is_free_for_the_next(tmp_path: Path) -> None:
    Image.new("RGB", (5_000, 4_000)).save(tmp_path / "a.png")
    command = [sys.executable, "-c", PEAK, str(tmp_path / "a.png")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    peak = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert int(peak.stdout) < 2 * 4 * 20, "one image of 80 MB and the program, no more"


def test_an_image_is_gone_when_the_next_has_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (60, 60)).save(tmp_path / "a.png")
    load, loaded = ImageFile.ImageFile.load, []
    give_back = threading.Condition.notify_all

    def noted(image: ImageFile.ImageFile) -> Any:
        loaded.append(weakref.ref(image))
        return load(image)

    def check(condition: threading.Condition) -> None:
        assert loaded[-1]() is None
        give_back(condition)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    monkeypatch.setattr(threading.Condition, "notify_all", check)
    open_rgb(tmp_path / "a.png", 10_000, cover=8)
    assert loaded
