"""Seconds that tables take, by rows and classes: ``python benchmarks/table_rows.py``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.report import update_section  # noqa: E402
from labeller.project import create_project  # noqa: E402
from labeller.services.importing import import_sources  # noqa: E402
from labeller.services.label_files import label_from_csv  # noqa: E402


def write_table(folder: Path, name: str, rows: int, classes: int) -> Path:
    """Write a table of the images in a folder with so many different labels."""
    lines = [f"{row:05}.png,a picture of thing {row % classes}" for row in range(rows)]
    path = folder / name
    path.write_text("\n".join(["path,label", *lines, ""]), "utf-8")
    return path


def measure(rows: int, folder: Path) -> tuple[float, float, float, float]:
    """Return the seconds of imports with one class, captions, a class a row; and of `label`."""
    seconds: list[float] = []
    for classes, mode in ((1, "auto"), (rows, "auto"), (rows, "folders")):
        table = write_table(folder, f"{classes}-{mode}.csv", rows, classes)
        project = create_project(folder.parent / f"{rows}-{classes}-{mode}", [])
        started = time.perf_counter()
        report = import_sources(project, [table], labels=mode)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - started)
        taken = 0 if classes == rows and mode == "auto" else rows
        assert (report.added, report.labelled) == (rows, taken)
    other = create_project(folder.parent / f"{rows}-labels", ["a picture of thing 0"])
    import_sources(other, [folder / "1-auto.csv"], labels="none")
    started = time.perf_counter()
    assert label_from_csv(other, folder / "1-auto.csv", "ann").labelled == rows
    seconds.append(time.perf_counter() - started)
    return seconds[0], seconds[1], seconds[2], seconds[3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[700, 2_000, 10_000])
    options = parser.parse_args()
    lines = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "images"
            folder.mkdir()
            for row in range(rows):
                pixels = np.random.default_rng(row).integers(0, 255, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{row:05}.png")
            found = measure(rows, folder)
        each = [f"{one:.1f} s ({1e3 * one / rows:.1f} ms a row)" for one in found]
        lines.append([f"{rows:,}", *each])
        print(*lines[-1])
    update_section(
        "table_rows",
        "Tables by their rows",
        ["rows", "one class", "captions", "a class a row, asked for", "label file"],
        lines,
        "Import of a table of images of 8 × 8 pixels into a project without classes. Captions are "
        "labels of their own in every row, which come in unlabelled; with `--labels folders` each "
        "becomes a class. The last column is `labeller label` with one class.",
    )


if __name__ == "__main__":
    main()
