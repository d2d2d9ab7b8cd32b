"""What only a GPU can show: the same results as a CPU, and the same ones every time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.optimizer import Adam

from labeller.learning import checkpoints, training
from labeller.learning.backbones import get
from labeller.learning.batches import TensorLoader
from labeller.learning.device import choose
from labeller.learning.fine_tune import fine_tune
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.fitting import Labelled
from labeller.learning.lite0 import NAME
from labeller.learning.optimiser import adam
from labeller.learning.saved import load_model
from labeller.progress import Progress, Silent
from labeller.project import Project, change_settings
from store.records import ModelRecord
from tests.labeller.learning.shapes import Told, label, picture, run, shapes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

SIDE = 64


def images(n: int) -> Labelled:
    pixels = torch.from_numpy(np.stack([picture(i % 3, i, SIDE) for i in range(n)]))
    return Labelled(pixels, torch.arange(n) % 3)


def tuned(progress: Progress, folder: Path | None = None, **more: Any) -> FineTuned:
    return fine_tune(
        images(90),
        images(30),
        3,
        replace(get(NAME).recipe(28), size=SIDE),
        seed=0,
        device=choose("cuda"),
        progress=progress,
        config=FineTuneConfig(examples=1, least=4, **more),
        checkpoints=folder,
    )


def in_use(project: Project) -> ModelRecord:
    with project.store.read() as unit:
        found = unit.models.in_use()
    assert found is not None
    return found


class Broken(Told):
    """A progress that ends the process after some epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def check(self) -> None:
        if len(self.details) >= self.epochs:
            raise SystemExit


def test_a_loader_sends_every_batch_in_its_order() -> None:
    x, y = torch.arange(1000)[:, None].repeat(1, 50), torch.arange(1000)
    loader = TensorLoader(x, y, 64, train=True, device=torch.device("cuda"), repeats=2)
    seen = []
    for given, truth in loader:
        assert given.device.type == truth.device.type == "cuda"
        assert torch.equal(given[:, 7], truth)
        seen.append(truth.cpu())
    assert len(seen) == len(loader) == 31
    first = torch.cat(seen)[:1000].sort().values
    assert torch.equal(first, torch.arange(1000))
    stopped = iter(loader)
    next(stopped)
    stopped.close()  # type: ignore[attr-defined]


def test_the_optimizer_makes_fastais_steps() -> None:
    made = []
    for make in (adam, Adam):
        torch.manual_seed(0)
        module = torch.nn.Linear(40, 5).cuda()
        optimizer = make([list(module.parameters())], lr=0.01)
        x = torch.randn(16, 40).cuda()
        for _ in range(10):
            (module(x) ** 2).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        made.append(module.weight.detach().cpu())
    torch.testing.assert_close(*made, rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_network() -> None:
    first, again = tuned(Silent()).state_dict(), tuned(Silent()).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("gradual", [False, True])
def test_resumed_equals_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gradual: bool
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    expected = tuned(Told(), gradual=gradual).state_dict()
    for more in (1, 2):  # each goes on where the one before was broken off
        with pytest.raises(SystemExit):
            tuned(Broken(more), tmp_path / "kept", gradual=gradual)
    resumed = Told()
    found = tuned(resumed, tmp_path / "kept", gradual=gradual).state_dict()
    assert [d["epoch"] for d in resumed.details] == [4, 5]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_round_on_features_is_that_of_a_cpu(tmp_path: Path) -> None:
    probs = {}
    for device in ("cpu", "cuda"):
        project = shapes(tmp_path / device, 90, device=device)
        label(project, range(1, 61))
        run(project)
        model = load_model(project, in_use(project))
        probs[device] = np.concatenate([p for _, p in model.probs(np.arange(1, 91), Silent())])
        assert in_use(project).metrics["accuracy"] > 0.8
    assert (probs["cpu"].argmax(1) == probs["cuda"].argmax(1)).mean() > 0.9


@pytest.mark.parametrize("committee", [1, 2])
def test_a_round_that_fine_tunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committee: int
) -> None:
    monkeypatch.setattr(training, "FineTuneConfig", partial(FineTuneConfig, examples=1, least=20))
    project = shapes(
        tmp_path / "p",
        90,
        device="cuda",
        training="fine_tune",
        committee=committee,
        soft_voting=True,
    )
    label(project, range(1, 61))
    run(project)
    record = in_use(project)
    assert "mixed precision" in record.device
    assert record.metrics["accuracy"] >= 0.75
    ids = np.arange(1, 91)
    here = load_model(project, record).logits(ids, Silent())[1]
    elsewhere = load_model(change_settings(project, device="cpu"), record).logits(ids, Silent())[1]
    np.testing.assert_allclose(here, elsewhere, atol=0.15)  # half precision on the GPU
    assert (here.argmax(1) == elsewhere.argmax(1)).mean() > 0.97
