"""Memory that decoding may take, of all processes together."""

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

from labeller import decode_room, imaging
from labeller.decode_room import SLOT, DecodeRoom
from labeller.errors import ImageBusy, ImageError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


@pytest.fixture
def room(tmp_path: Path) -> DecodeRoom:
    """A room of ten slots."""
    room = DecodeRoom(tmp_path)
    room.limit(10 * SLOT // 1_000_000 + 1)
    return room


def test_those_that_fit_go_together(room: DecodeRoom) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def decode(slots: int) -> None:
        with room.taken(slots * SLOT, "it"):
            with lock:
                inside[0] += slots
                most.append(inside[0])
            time.sleep(0.02)
            with lock:
                inside[0] -= slots

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [5, 5, 7, 10, 3, 3, 4, 9, 2, 8]))
    assert inside == [0]
    assert max(most) == 10, "one took all of it, and more was never taken"
    assert len(most) == 11


def test_what_is_larger_than_the_room_is_refused(room: DecodeRoom) -> None:
    refused = pytest.raises(ImageError, match="its pixels take about 1")
    with refused as caught, room.taken(11 * SLOT, "its pixels"):
        pass
    assert "decode_memory_mb" in caught.value.mend


def test_an_error_gives_the_room_back(room: DecodeRoom) -> None:
    with pytest.raises(ValueError, match="torn"), room.taken(9 * SLOT, "it"):
        raise ValueError("torn")
    room.wait_seconds = 0
    with room.taken(10 * SLOT, "it"):
        pass


def test_who_does_not_wait_is_told(room: DecodeRoom) -> None:
    room.wait_seconds = 0
    with room.taken(6 * SLOT, "it"):
        with room.taken(4 * SLOT, "it"), room.taken(SLOT, "small ones take none"):
            pass
        with pytest.raises(ImageBusy), room.taken(5 * SLOT, "it"):
            pass
    with room.taken(10 * SLOT, "it"):
        pass


HOLD = """
import sys, time
from pathlib import Path
from labeller.decode_room import SLOT, DecodeRoom
room = DecodeRoom(Path(sys.argv[1]))
room.limit(10 * SLOT // 1_000_000 + 1)
with room.taken(8 * SLOT, "it"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_processes_share_it_and_a_dead_one_holds_nothing(room: DecodeRoom, tmp_path: Path) -> None:
    room.wait_seconds = 0
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with room.taken(2 * SLOT, "it"):
                pass
            with pytest.raises(ImageBusy), room.taken(3 * SLOT, "it"):
                pass
        finally:
            other.kill()
    with room.taken(10 * SLOT, "it"):
        pass


def test_a_container_has_the_memory_that_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(decode_room, "_CONTROL_GROUPS", (str(limit),))
    limit.write_text("max\n")
    decode_room.usual_budget.cache_clear()
    machine = decode_room.usual_budget()
    limit.write_text(f"{6 << 30}\n")
    decode_room.usual_budget.cache_clear()
    assert decode_room.usual_budget() == min(machine, 6 << 28)
    decode_room.usual_budget.cache_clear()


PEAK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from labeller import decode_room, imaging
decode_room.SLOT = 10_000_000
decode_room.ROOM.limit(130)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: imaging.open_rgb(sys.argv[1], 20_000_000, cover=64), range(12)))
(line,) = [l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM")]
print(int(line.split()[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells peaks there")
def test_the_memory_of_a_giant_is_free_for_the_next(tmp_path: Path) -> None:
    Image.new("RGB", (5_000, 4_000)).save(tmp_path / "a.png")
    command = [sys.executable, "-c", PEAK, str(tmp_path / "a.png")]
    peak = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert int(peak.stdout) < 2 * 4 * 20 + 20, "one image of 100 MB and the program, no more"


def test_an_image_is_gone_when_the_next_has_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (60, 60)).save(tmp_path / "a.png")
    load, loaded, checked = ImageFile.ImageFile.load, [], []

    def noted(image: ImageFile.ImageFile) -> Any:
        loaded.append(weakref.ref(image))
        return load(image)

    def check() -> None:
        assert loaded[-1]() is None
        checked.append(True)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    monkeypatch.setattr(decode_room, "SLOT", 1_000)
    monkeypatch.setattr(decode_room, "_return_memory", check)
    small = DecodeRoom(tmp_path)
    small.limit(1)
    monkeypatch.setattr(imaging, "ROOM", small)
    imaging.open_rgb(tmp_path / "a.png", 10_000, cover=8)
    assert checked
