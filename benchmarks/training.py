"""Images a second of fine-tuning and prediction against a bare torch loop, decoding included.

The bare loop is what a person writes by hand: a data loader with workers that decodes the images
with Pillow, the same network, the same augmentation, the same epochs and batches, AdamW.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

from benchmarks.report import update_section  # noqa: E402
from labeller.learning import device, lite0, tidy  # noqa: E402
from labeller.learning.backbones import get  # noqa: E402
from labeller.learning.batch_sizes import batch_size  # noqa: E402
from labeller.learning.device import Device  # noqa: E402
from labeller.learning.fine_tune import _augmentation, fine_tune  # noqa: E402
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned  # noqa: E402
from labeller.learning.pictures import load_images  # noqa: E402
from labeller.learning.predictors import CPU_BATCH, GPU_BATCH, FineTunedPredictor  # noqa: E402
from labeller.learning.snapshot import Labels  # noqa: E402
from labeller.progress import Silent  # noqa: E402
from labeller.project import Project, create_project  # noqa: E402
from labeller.services.feature_recipes import Recipe  # noqa: E402
from labeller.services.importing import import_sources  # noqa: E402

CLASSES = 10
TARGET = 0.9
CONFIG = FineTuneConfig(examples=1, least=2)  # then two epochs follow the first
EPOCHS = 3


class Photos(Dataset[tuple[Tensor, int]]):
    """Image files as squares of bytes, with their classes."""

    def __init__(self, files: list[Path], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        with Image.open(self.files[number]) as image:
            image.draft("RGB", (self.size, self.size))
            small = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(small)), number % CLASSES


def draw(folder: Path, number: int) -> None:
    """Write one photo."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    large = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), np.float32)
    noisy = np.clip(large + rng.normal(0, 8, large.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(folder / f"{number:05}.jpg", quality=90)


def photos(root: Path, images: int) -> tuple[Project, Labels, list[Path]]:
    """Make a project of JPEG files of 640 × 480 pixels, smooth with some noise, as photos are."""
    folder = root / "source"
    folder.mkdir()
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(draw, folder), range(images), chunksize=16))
    project = create_project(root / "project", [f"class {c}" for c in range(CLASSES)])
    report = import_sources(project, [folder])
    assert report.added == images, report.problems
    with project.store.read() as unit:
        ids = unit.items.ids()
        found = unit.items.many(ids.tolist())
    files = [project.file(found[i].path) for i in ids.tolist()]
    return project, Labels(ids, np.arange(images) % CLASSES), files


def ours(project: Project, labels: Labels, recipe: Recipe, where: Device) -> FineTuned:
    """Fine-tune as a round does: decoded once, with checkpoints."""
    images = load_images(project, labels, recipe.resize, Silent()).examples
    model = fine_tune(
        images,
        images.first(CPU_BATCH),
        CLASSES,
        recipe,
        seed=0,
        device=where,
        progress=Silent(),
        config=CONFIG,
        checkpoints=project.models / tidy.CHECKPOINTS,
    )
    tidy.delete_checkpoints(project)
    return model


def bare(files: list[Path], recipe: Recipe, where: Device, workers: int) -> FineTuned:
    """Do the same by hand, with images decoded once too."""
    loader = DataLoader(Photos(files, recipe.size), batch_size=64, num_workers=workers)
    parts = list(loader)
    x, y = torch.cat([part for part, _ in parts]), torch.cat([part for _, part in parts])
    model = FineTuned(get(recipe.backbone).network(), CLASSES, CONFIG.dropout)
    model.to(where.torch).to(memory_format=torch.channels_last)
    augment = _augmentation(recipe, model.normalised)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler("cuda", enabled=where.cuda)
    batch = batch_size(len(y))
    layers = [one for one in model.trunk.modules() if not isinstance(one, nn.BatchNorm2d)]
    for epoch in range(EPOCHS):
        for parameter in (p for one in layers for p in one.parameters(recurse=False)):
            parameter.requires_grad_(epoch > 0)
        model.train()
        order = torch.randperm(len(y))
        for start in range(0, len(y) - batch + 1, batch):
            rows = order[start : start + batch]
            given = augment(x[rows].to(where.torch))
            with where.mixed():
                loss = functional.cross_entropy(model(given), y[rows].to(where.torch))
            optimizer.zero_grad()
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
        model.eval()
        with torch.inference_mode(), where.mixed():
            model(x[:CPU_BATCH].to(where.torch)).argmax(1).cpu()
    return model


def bare_prediction(
    files: list[Path], model: FineTuned, recipe: Recipe, where: Device, workers: int
) -> Tensor:
    """Return logits (n, C) from a plain loop."""
    batch = GPU_BATCH if where.cuda else CPU_BATCH
    loader = DataLoader(Photos(files, recipe.size), batch_size=batch, num_workers=workers)
    with torch.inference_mode(), where.mixed():
        return torch.cat([model(x.to(where.torch)).float().cpu() for x, _ in loader])


def in_turns(runs: dict[str, Callable[[], Any]], passes: int) -> dict[str, tuple[float, float]]:
    """Return the least wall and processor seconds of each, run in turns: others share the machine.

    Processor time holds that of worker processes too.
    """
    best = {name: (float("inf"), float("inf")) for name in runs}
    for _ in range(passes):
        for name, run in runs.items():
            start, before = time.perf_counter(), sum(os.times()[:4])
            run()
            spent = (time.perf_counter() - start, sum(os.times()[:4]) - before)
            best[name] = (min(best[name][0], spent[0]), min(best[name][1], spent[1]))
    return best


def measured(options: argparse.Namespace, root: Path, where: Device) -> list[list[str]]:
    """Return a row each for training and for prediction."""
    project, labels, files = photos(root, options.images)
    recipe = replace(get(lite0.NAME).recipe(options.size), size=options.size)
    workers = len(os.sched_getaffinity(0))
    model = ours(project, labels, recipe, where)
    predictor = FineTunedPredictor(project, recipe, model, where, CONFIG)
    by_hand = partial(bare_prediction, files, model, recipe, where, workers)
    found = np.concatenate([x for _, x in predictor.logits(labels.ids, Silent())])
    agree = float((found.argmax(1) == by_hand().numpy().argmax(1)).mean())
    print(f"same predictions: {agree:.1%}")
    training = in_turns(
        {
            "ours": lambda: ours(project, labels, recipe, where),
            "bare": lambda: bare(files, recipe, where, workers),
        },
        options.passes,
    )
    prediction = in_turns(
        {"ours": lambda: list(predictor.logits(labels.ids, Silent())), "bare": by_hand},
        options.passes + 2,
    )
    rows = []
    for name, seconds, seen in (
        ("fine-tuning", training, EPOCHS * options.images),
        ("prediction", prediction, options.images),
    ):
        speeds = [f"{seen / seconds[who][0]:.0f}" for who in ("ours", "bare")]
        ratios = [f"{b / a:.2f}" for a, b in zip(seconds["ours"], seconds["bare"], strict=True)]
        rows.append([name, where.text, *speeds, *ratios])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    where = device.choose("auto")
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(options, Path(folder), where)
    update_section(
        "training_gpu" if where.cuda else "training",
        f"Fine-tuning and prediction against a bare torch loop{', on a GPU' * where.cuda}",
        ("work", "device", "ours, images/s", "bare loop, images/s", "ratio", "in processor time"),
        rows,
        f"EfficientNet-Lite0 on {options.images} JPEG files of 640 × 480 pixels, fed at "
        f"{options.size}; {EPOCHS} epochs, the first for the new layer and the batch norms; "
        f"images are decoded once in both. The best of turns; images a second are by the "
        f"clock. Ours writes checkpoints, reports progress "
        f"and can be cancelled. To reach: a ratio of {TARGET}.",
        script="training",
    )


if __name__ == "__main__":
    main()
