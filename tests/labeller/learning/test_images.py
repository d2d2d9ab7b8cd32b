"""Decoding ahead: order, shapes, and images that cannot be read."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from labeller.errors import JobCancelled
from labeller.learning import device
from labeller.learning import images as decoding
from labeller.learning.extraction import compute_missing
from labeller.learning.features import open_features
from labeller.learning.images import Ints, decoded, gathered
from labeller.project import Project
from labeller.services.worker_pool import Answer, Request
from labeller.squares import Resize, square, square_of
from store.records import NewItem
from tests.labeller.learning.shapes import Told, picture, shapes

CPU = device.choose("cpu")


def test_images_come_in_the_order_asked_for(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 45, workers=3)
    (project.root / "images" / "0007.png").unlink()
    asked = np.random.default_rng(0).permutation(np.arange(1, 46))
    parts = list(gathered(decoded(project, asked, Resize(32)), 20))
    ids = np.concatenate([part.ids for part in parts])
    assert ids.tolist() == [i for i in asked.tolist() if i != 8]
    (bad,) = [one for part in parts for one in part.unreadable]
    assert (bad.item_id, bad.path) == (8, "images/0007.png")
    pixels = np.concatenate([part.pixels for part in parts])
    assert pixels.shape == (44, 32, 32, 3)
    for item, found in zip(ids[:5], pixels[:5], strict=True):
        seed = int(item) - 1
        assert np.array_equal(found, square(Image.fromarray(picture(seed % 3, seed)), Resize(32)))


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode in processes, however few images and cores there are."""
    monkeypatch.setattr(decoding, "MANY_CORES", 1)
    monkeypatch.setattr(decoding, "MANY_IMAGES", 1)


def test_processes_decode_as_threads_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = shapes(tmp_path / "p", 150, workers=2)
    (project.root / "images" / "0007.png").unlink()
    (project.root / "images" / "0020.png").write_bytes(b"no image at all")
    asked = np.random.default_rng(1).permutation(np.arange(1, 151))
    threads = list(decoded(project, asked, Resize(32)))
    monkeypatch.setattr(decoding, "MANY_CORES", 1)
    monkeypatch.setattr(decoding, "MANY_IMAGES", 1)
    processes = list(decoded(project, asked, Resize(32)))
    assert [part.ids.tolist() for part in processes] == [part.ids.tolist() for part in threads]
    for one, other in zip(processes, threads, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.unreadable == other.unreadable
    assert sum(len(part.unreadable) for part in processes) == 2


@pytest.mark.usefixtures("in_processes")
def test_an_image_that_ends_its_process_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shapes(tmp_path / "p", 40, workers=2)
    hostile = tmp_path / "hostile.py"
    hostile.write_text(
        "import os\n"
        "from labeller import squares\n"
        "from labeller.services import square_worker\n"
        "real = squares.square_of\n"
        "def read(path, *rest):\n"
        "    if path.endswith('0012.png'):\n"
        "        os.abort()\n"
        "    return real(path, *rest)\n"
        "squares.square_of = read\n"
        "square_worker.main()\n"
    )
    monkeypatch.setattr(decoding, "COMMAND", (sys.executable, str(hostile)))
    parts = list(decoded(project, np.arange(1, 41), Resize(32)))
    (bad,) = [one for part in parts for one in part.unreadable]
    assert bad.item_id == 13
    assert "SIGABRT" in bad.reason
    ids = np.concatenate([part.ids for part in parts])
    assert ids.tolist() == [i for i in range(1, 41) if i != 13]
    seed = 20
    pixels = np.concatenate([part.pixels for part in parts])[ids.tolist().index(seed + 1)]
    assert np.array_equal(pixels, square(Image.fromarray(picture(seed % 3, seed)), Resize(32)))


@pytest.mark.usefixtures("in_processes")
def test_without_room_for_the_file_threads_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    project = shapes(tmp_path / "p", 20, workers=2)
    assert sum(len(part.ids) for part in decoded(project, np.arange(1, 21), Resize(32))) == 20


@pytest.mark.usefixtures("in_processes")
def test_one_slow_image_does_not_let_all_others_pile_up(tmp_path: Path) -> None:
    """Of what comes behind it only so much is decoded before it is there."""
    project = shapes(tmp_path / "p", 16 * 60, workers=2)
    slots = np.zeros((4, decoding.CHUNK, 32, 32, 3), np.uint8)
    held: list[Request] = []

    class Slow:
        """A pool that answers all requests but the first."""

        def __init__(self) -> None:
            self.pending: list[Request] = []
            self.most = 0

        def submit(self, request: Request) -> None:
            (self.pending if held or self.pending else held).append(request)

        def answers(self, _timeout: float) -> list[tuple[Request, Answer]]:
            if not self.pending:
                self.pending, held[:] = list(held), []
            done, self.pending = self.pending, []
            self.most += len(done)
            return [(one, {"bad": []}) for one in done]

    pool = Slow()
    tasks = decoding._tasks(project, np.arange(1, 16 * 60 + 1))
    parts = decoding._InOrder(pool, tasks, slots).run()  # type: ignore[arg-type]
    next(parts)
    assert pool.most <= 2 * len(slots) + 1
    assert sum(1 for _ in parts) == 59


@pytest.mark.usefixtures("in_processes")
def test_who_stops_early_leaves_no_process_behind(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 80, workers=2)
    parts = decoded(project, np.arange(1, 81), Resize(32))
    next(parts)
    mine = [
        child
        for child in psutil.Process().children()
        if "square_worker" in " ".join(child.cmdline())
    ]
    assert len(mine) == 2
    parts.close()
    assert not [one for one in psutil.Process().children() if one in mine and one.is_running()]


def test_a_large_image_is_shrunk_in_whole_steps_first(tmp_path: Path) -> None:
    side = 1_000
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    grey = np.broadcast_to(ramp, (side, side))
    Image.fromarray(grey.copy()).convert("RGB").save(tmp_path / "ramp.png")
    found = square_of(tmp_path / "ramp.png", Resize(64), 10**7).astype(float)
    wanted = np.interp((np.arange(64) + 0.5) / 64 * side - 0.5, np.arange(side), ramp)
    assert np.abs(found[:, 2:-2] - wanted[None, 2:-2, None]).max() < 1.5


def test_a_panorama_keeps_its_detail(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 1)
    stripes = np.zeros((100, 3000, 3), np.uint8)
    stripes[:50] = 255
    Image.fromarray(stripes).save(project.root / "images" / "wide.jpg", quality=95)
    with project.store.write() as unit:
        digest = hashlib.sha256((project.root / "images" / "wide.jpg").read_bytes()).hexdigest()
        new = NewItem(digest, "images/wide.jpg", True, 3000, 100, "JPEG", 1, "g", "train")
        (item,) = unit.items.add([new])
    (part,) = decoded(project, np.array([item]), Resize(64))
    assert part.pixels.shape == (1, 64, 64, 3)
    assert part.pixels[0, :28].min() > 200
    assert part.pixels[0, 36:].max() < 55


def test_paths_out_of_the_project_are_not_followed(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 1)
    with project.store.write() as unit:
        new = NewItem("f" * 64, "../secret.png", True, 9, 9, "PNG", 1, "g", "train")
        (item,) = unit.items.add([new])
    (part,) = decoded(project, np.array([item]), Resize(64))
    assert "outside the project" in part.unreadable[0].reason


def features_in(project: Project, ids: Ints, progress: Told) -> list[int]:
    """Compute what is missing and return which items have features."""
    features = open_features(project, ids)
    compute_missing(project, features, ids, CPU, progress)
    return [int(item) for item in features.having(ids)]


def test_cancelled_features_stay_and_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labeller.learning.extraction.WRITE_PIXELS", 64 * 64 * 32)
    project = shapes(tmp_path / "p", 150)
    ids = np.arange(1, 151)

    class Impatient(Told):
        def check(self) -> None:
            if self.details[-1]["done"] >= 64:
                raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        features_in(project, ids, Impatient())
    kept = open_features(project, ids).having(ids).tolist()
    assert kept == list(range(1, len(kept) + 1))
    assert 64 <= len(kept) < 150
    told = Told()
    assert features_in(project, ids, told) == ids.tolist()
    assert told.details[-1]["total"] == 150 - len(kept)
    assert features_in(project, ids, Told()) == ids.tolist()


def test_features_do_not_depend_on_what_is_computed_with_them(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 70)
    ids = np.arange(1, 71)
    features_in(project, ids[:3], Told())
    alone = open_features(project, ids).read(ids[:3])
    for file in project.vectors.iterdir():
        file.unlink()
    features_in(project, ids, Told())
    assert np.allclose(open_features(project, ids).read(ids[:3]), alone, rtol=0.01, atol=0.01)
