"""The head: learns, repeats itself, stops when told, knows nothing of classes it never saw."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from labeller.demo import load
from labeller.errors import JobCancelled
from labeller.learning import device, lite0
from labeller.learning.backbones import get
from labeller.learning.batch_sizes import batch_size
from labeller.learning.batches import TensorLoader
from labeller.learning.extraction import extract
from labeller.learning.features import Scaling
from labeller.learning.fitting import Labelled
from labeller.learning.head_training import fit_head
from labeller.learning.heads import Head, HeadConfig, dropping
from labeller.progress import Progress, Silent
from labeller.services.evaluation_scores import wilson
from labeller.squares import Resize, square
from tests.labeller.learning.shapes import Told

CPU = device.choose("cpu")
LITE0_500 = 0.838  # MEASURED.md: mids + raw + HOG at 500 labels


def clouds(n: int, classes: int = 3, width: int = 12, seed: int = 0) -> Labelled:
    """Return points around one centre per class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(0, 1, (n, width)) + 3 * np.eye(classes, width)[y]
    return Labelled(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y))


def fit(train: Labelled, classes: int = 3, progress: Progress | None = None, **more: Any) -> Head:
    width = train.x.shape[1]
    unit = Scaling(np.zeros(width, np.float32), np.ones(width, np.float32))
    options = {"seed": 0, "device": CPU, "progress": progress or Silent(), **more}
    return fit_head(train, options.pop("valid", None), classes, unit, **options)


def test_learns_what_can_be_learned() -> None:
    head, others = fit(clouds(60)), clouds(300, seed=1)
    with torch.inference_mode():
        right = (head(others.x).argmax(1) == others.y).float().mean()
    assert right > 0.85


def test_same_seed_same_head_another_seed_another() -> None:
    first, again, other = fit(clouds(40)), fit(clouds(40)), fit(clouds(40), seed=1)
    assert torch.equal(first(clouds(9).x), again(clouds(9).x))
    assert not torch.equal(first(clouds(9).x), other(clouds(9).x))


def test_classes_without_examples_are_never_predicted() -> None:
    train = clouds(40)
    head = fit(train, classes=5)
    with torch.inference_mode():
        probs = head(train.x).softmax(1)
    assert (probs[:, 3:] == 0).all()
    assert torch.isfinite(head(train.x)).all()


@pytest.mark.parametrize("n", [2, 3, 5, 64, 65, 127, 129])
def test_every_number_of_examples_trains(n: int) -> None:
    head = fit(clouds(n), config=HeadConfig(epochs=2, steps=4))
    assert torch.isfinite(head(clouds(4).x)).all()


def test_progress_tells_each_epoch_and_cancel_stops_between_batches() -> None:
    told = Told()
    fit(clouds(40), valid=clouds(30, seed=3), progress=told, config=HeadConfig(epochs=4, steps=8))
    assert [d["epoch"] for d in told.details] == [1, 2, 3, 4]
    assert told.details[-1]["epochs"] == 4
    assert told.details[-1]["losses"] == pytest.approx([d["loss"] for d in told.details], abs=1e-4)
    assert 0 <= told.details[-1]["accuracy"] <= 1
    json.dumps(told.details)

    stopped = Told("train", JobCancelled("enough"))
    with pytest.raises(JobCancelled):
        fit(clouds(40), progress=stopped, config=HeadConfig(epochs=50, steps=8))
    assert len(stopped.stages) == 1


def test_dropping_lets_only_dropout_vary() -> None:
    head, x = fit(clouds(40)), clouds(6).x
    with torch.inference_mode():
        calm = head(x)
        with dropping(head):
            assert not torch.equal(head(x), head(x))
            assert not head.layers[2].training
        assert torch.equal(head(x), calm)


def test_scaling_is_part_of_the_head() -> None:
    train = clouds(60)
    scaled = Labelled(train.x * 100 + 7, train.y)
    scaling = Scaling(scaled.x.mean(0).numpy(), scaled.x.std(0).numpy())
    head = fit_head(scaled, None, 3, scaling, seed=0, device=CPU, progress=Silent())
    with torch.inference_mode():
        assert (head(scaled.x).argmax(1) == train.y).float().mean() > 0.9


def test_a_loader_shuffles_each_pass_by_itself() -> None:
    loader = TensorLoader(
        torch.arange(10)[:, None], torch.arange(10), 5, train=True, device=CPU.torch, repeats=3
    )
    batches = [y.tolist() for _, y in loader]
    assert len(batches) == 6
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        assert sorted(first + second) == list(range(10))
    assert batches[0] != batches[2]


@pytest.mark.parametrize(
    ("n", "size"), [(2, 2), (50, 50), (95, 95), (97, 48), (640, 64), (700, 63)]
)
def test_batches_are_even(n: int, size: int) -> None:
    assert batch_size(n) == size
    assert n % size < n // size + 1


def test_500_labels_are_worth_what_was_measured() -> None:
    images, classes = load()
    recipe = get(lite0.NAME).recipe(28)
    trunk = lite0.Lite0()
    chosen = np.random.default_rng(0).permutation(len(images))[:1300]
    pixels = np.stack(
        [square(Image.fromarray(images[i]).convert("RGB"), Resize(64)) for i in chosen]
    )
    rows = np.concatenate([extract(trunk, recipe, part, CPU) for part in np.split(pixels, 20)])
    columns = torch.from_numpy(classes[chosen].astype(np.int64))
    x = torch.from_numpy(rows)
    scaling = Scaling(rows.mean(0), np.maximum(rows.std(0), 0.01))
    head = fit_head(
        Labelled(x[:500], columns[:500]),
        None,
        10,
        scaling,
        seed=0,
        device=CPU,
        progress=Silent(),
    )
    with torch.inference_mode():
        right = int((head(x[500:]).argmax(1) == columns[500:]).sum())
    low, high = wilson(right, 800)
    assert high >= LITE0_500, f"{right / 800:.3f} ({low:.3f} to {high:.3f})"
