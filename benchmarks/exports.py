"""Exported files beside their model: accuracy, size and speed of ONNX and of 8-bit ONNX.

On images that the models never saw, of three projects: the demo's first round; photos of
scikit-image cut into squares, of which each photo is a class; and Fashion-MNIST drawn large, which
goes the way of photos and is harder.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import update_section
from labeller.learning import exported
from labeller.learning.export_images import choose_images
from labeller.learning.round_job import run_round_job
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project, create_project
from labeller.services import demo, rounds
from labeller.services.export_check import compare, interval
from labeller.services.importing import import_sources
from labeller.squares import Bytes, square_of
from store.records import ModelRecord

FASHION = Path("/usr/share/datasets/fashion-mnist")
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "page", "retina")
CUT, LARGE = 50, 128  # sides in pixels of the squares cut out of photos, and of Fashion-MNIST
LEARNED = 30  # labels of each class; of photos a sixth, for they are easy
TURNS, BATCH = 7, 32

Named = Iterator[tuple[Image.Image, str]]


@dataclass(frozen=True, slots=True)
class Trained:
    """A project's first model, with the images that nobody labelled: `paths`, and true names."""

    project: Project
    model: ModelRecord
    paths: tuple[Path, ...]
    names: tuple[str, ...]


def photos() -> Named:
    """Cut squares that do not overlap out of scikit-image's photos; flat ones are left out."""
    for name in PHOTOS:
        image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        for top in range(0, image.height - CUT + 1, CUT):
            for left in range(0, image.width - CUT + 1, CUT):
                part = image.crop((left, top, left + CUT, top + CUT))
                if np.asarray(part.convert("L")).std() > 8:
                    yield part, name


def fashion(number: int) -> Named:
    """Draw the first images of Fashion-MNIST's test set large."""
    pixels = _idx("t10k-images-idx3", 16).reshape(-1, 28, 28)[:number]
    for one, label in zip(pixels, _idx("t10k-labels-idx1", 8), strict=False):
        large = Image.fromarray(one).resize((LARGE, LARGE), Image.Resampling.BICUBIC)
        yield large.convert("RGB"), f"class {label}"


def _idx(name: str, header: int) -> NDArray[np.uint8]:
    with gzip.open(FASHION / f"{name}-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def the_demo(root: Path) -> Trained:
    """Train the demo's first model."""
    project = demo.create_demo(root)
    truth = demo.truth()
    return _trained(project, lambda sha256, _: truth[sha256])


def drawn(root: Path, images: Named, learned: int) -> Trained:
    """Train on `learned` images of each class, drawn at random; the others have no label."""
    folder = root / "source"
    folder.mkdir(parents=True)
    found = list(images)
    rows, seen = [], dict.fromkeys((name for _, name in found), 0)
    for number in np.random.default_rng(0).permutation(len(found)).tolist():
        image, name = found[number]
        image.save(folder / f"{name}_{number:05}.png")
        seen[name] += 1
        split = "valid" if seen[name] % 5 == 0 else "train"
        known = seen[name] <= learned
        rows.append((f"{name}_{number:05}.png", name if known else "", split if known else ""))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    project = create_project(root / "project", list(seen), leak_distance=0.0)
    report = import_sources(project, [folder / "table.csv"])
    assert report.added == len(found), report.problems
    return _trained(project, lambda _, path: path.name.rpartition("_")[0])


def _trained(project: Project, name_of: Callable[[str, Path], str]) -> Trained:
    rounds.start_round(project, "random", 10)
    with project.store.write() as unit:
        job = unit.jobs.claim("here", os.getpid())
    assert job is not None
    run_round_job(project, job, Silent())
    with project.store.read() as unit:
        model = unit.models.in_use()
        labelled = set(unit.labels.arrays()[0].tolist())
        items = unit.items.many(unit.items.ids().tolist())
    assert model is not None
    free = [item for item in items.values() if item.id not in labelled]
    paths = tuple(project.file(item.path) for item in free)
    names = tuple(name_of(item.sha256, path) for item, path in zip(free, paths, strict=True))
    return Trained(project, model, paths, names)


def seconds(run: Callable[[], object]) -> float:
    """Return the least processor time of some turns."""
    best = float("inf")
    for _ in range(TURNS):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def runner(file: Path, pixels: Bytes) -> Callable[[], object]:
    """Return what runs a file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {exported.INPUT: pixels})


def measure(name: str, trained: Trained, folder: Path) -> list[list[object]]:
    """Return a row for the model and each file."""
    project, model = trained.project, trained.model
    whole = exported.Whole(load_model(project, model))
    with project.store.read() as unit:
        classes = {one.name: one.id for one in unit.classes.all()}
    columns = np.array([model.class_ids.index(classes[one]) for one in trained.names], np.int64)
    most = project.settings.max_image_pixels
    pixels = np.stack([square_of(path, whole.resize, most) for path in trained.paths])
    truth = exported.probabilities(whole, pixels)
    training = choose_images(project, model, whole.resize, Silent()).training
    files = {"ONNX": folder / "model.onnx", "8-bit ONNX": folder / "model-int8.onnx"}
    exported.write_onnx(whole, files["ONNX"])
    exported.write_int8(files["ONNX"], files["8-bit ONNX"], training.pixels)
    some = pixels[:BATCH]
    alone = seconds(lambda: exported.probabilities(whole, some)) / len(some)
    accuracy = float((truth.argmax(axis=1) == columns).mean())
    about = f"{name}: {len(pixels):,} images at {whole.resize.side} pixels"
    rows: list[list[object]] = [
        [about, "the model, by torch", f"{accuracy:.1%}", "", "", "", "", f"{1000 * alone:.1f}"]
    ]
    for kind, file in files.items():
        found = exported.onnx_probabilities(file, pixels)
        check = compare(file.name, file.stat().st_size, found, truth, columns)
        spent = seconds(runner(file, some)) / len(some)
        rows.append(
            [
                "",
                kind,
                f"{interval(check)}",
                f"{check.agree:.1%}",
                f"{check.far:.2g}",
                f"{check.largest:.2g}",
                f"{check.bytes / 1e6:.1f}",
                f"{1000 * spent:.1f}",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=int, default=900, help="images of Fashion-MNIST")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as home:
        root = Path(home)
        sets: dict[str, Callable[[], Trained]] = {
            "demo": lambda: the_demo(root / "demo"),
            "photos": lambda: drawn(root / "photos", photos(), LEARNED // 6),
            "Fashion-MNIST": lambda: drawn(root / "large", fashion(options.fashion), LEARNED),
        }
        for name, prepare in sets.items():
            rows += measure(name, prepare(), root)
            for row in rows[-3:]:
                print(*row, sep=" | ", flush=True)
    update_section(
        "exports",
        "Exported files",
        (
            "images",
            "file",
            "accuracy; of a file against the model's, points",
            "same class",
            "99 % within",
            "largest difference",
            "MB",
            "ms an image",
        ),
        rows,
        "On images without a label, whose classes are known otherwise. In brackets the 95 % "
        "interval of a paired comparison (Agresti and Min); then the share of images to which file "
        "and model give the same class, and how far probabilities lie apart: on 99 % of the images "
        f"within, and at most. Processor time on one thread, least of {TURNS} turns on {BATCH} "
        f"images. Models learned from {LEARNED} labels of each class (photos: {LEARNED // 6}); "
        f"photos are squares of {CUT} pixels cut out of {len(PHOTOS)} photos of scikit-image, the "
        f"photo being the class; Fashion-MNIST is its test set drawn at {LARGE} pixels.",
    )


if __name__ == "__main__":
    main()
