"""Files per second of an import against a plain loop: ``python benchmarks/import_speed.py``."""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.report import update_section  # noqa: E402
from labeller.project import create_project  # noqa: E402
from labeller.services.importing import import_sources  # noqa: E402

SIDE = 1024
THUMBNAIL = 256


def make_images(folder: Path, number: int) -> None:
    """Write JPEGs of a photograph's smoothness and size (about 200 kB each)."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for index in range(number):
        coarse = Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
        image = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int16)
        noise = rng.integers(-6, 7, image.shape, dtype=np.int16)
        pixels = np.clip(image + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05}.jpg", quality=85)


def plain(folder: Path, out: Path) -> int:
    """Do what a straightforward script does: one file after the other, hash and thumbnail."""
    out.mkdir()
    seen = set()
    for path in sorted(folder.glob("*.jpg")):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        seen.add(digest)
        image = Image.open(BytesIO(data))
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        image.convert("RGB").save(out / f"{digest}.jpg", quality=85)
    return len(seen)


def ours(folder: Path, out: Path) -> int:
    """Import into a new project: the same, and the store, splits and a first queue."""
    report = import_sources(create_project(out, ["a", "b"]), [folder])
    assert not report.failed, report.problems
    return report.added


def again(folder: Path, out: Path) -> int:
    """Import everything a second time into the project just made: nothing is new."""
    from labeller.project import open_project

    report = import_sources(open_project(out), [folder])
    assert report.added == 0
    return report.known


def timed(work: Callable[[Path, Path], int], folder: Path, out: Path, number: int) -> float:
    """Return files per second."""
    start = time.perf_counter()
    assert work(folder, out) == number
    return number / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"plain": [], "ours": [], "again": []}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        make_images(work / "images", options.images)
        size = sum(path.stat().st_size for path in (work / "images").iterdir())
        for turn in range(options.repeat):
            run = {"plain": plain, "ours": ours, "again": again}
            for label, function in run.items():
                out = work / f"{'plain' if label == 'plain' else 'ours'}-{turn}"
                rates[label].append(timed(function, work / "images", out, options.images))
    base = statistics.median(rates["plain"])
    names = {
        "plain": "plain loop: read, sha256, Pillow's open, thumbnail, save; one process",
        "ours": "import into a new project",
        "again": "import of the same folder again (nothing added)",
    }
    rows = [
        (names[label], f"{statistics.median(r):.0f}", f"{statistics.median(r) / base:.1f}")
        for label, r in rates.items()
    ]
    notes = (
        f"{options.images:,} JPEGs of {SIDE} × {SIDE} pixels, "
        f"{size / options.images / 1000:.0f} kB each, {len(os.sched_getaffinity(0))} cores, "
        f"median of {options.repeat}."
    )
    update_section(
        "import_speed", "Import", ("what", "files/s", "times the plain loop"), rows, notes
    )


if __name__ == "__main__":
    main()
