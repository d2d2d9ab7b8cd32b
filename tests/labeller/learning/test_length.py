"""How long training lasts: counted in examples, ended early by the validation loss when asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labeller.learning import checkpoints, fine_tune, training
from labeller.learning.backbones import get
from labeller.learning.course import Course
from labeller.learning.device import choose
from labeller.learning.examples import Examples, Images
from labeller.learning.features import Scaling, open_features
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.fitting import Best, Labelled
from labeller.learning.heads import HeadConfig
from labeller.learning.lite0 import NAME
from labeller.learning.objective import Objective
from labeller.learning.snapshot import Labels
from tests.labeller.learning.shapes import Told, label, picture, run, shapes
from tests.labeller.learning.test_heads import clouds, fit


@pytest.mark.parametrize(
    ("n", "examples", "passes"),
    [
        (1000, 0, (12, 1)),
        (100, 0, (12, 5)),
        (1000, 20_000, (10, 2)),
        (1000, 3_000, (3, 1)),
        (1000, 400, (1, 1)),
        (50, 6_000, (12, 10)),
    ],
)
def test_passes_of_a_head(n: int, examples: int, passes: tuple[int, int]) -> None:
    assert HeadConfig(examples=examples).passes(n) == passes


@pytest.mark.parametrize("n", [40, 90, 300])
def test_a_head_sees_as_many_examples_whatever_the_labels(n: int) -> None:
    head = fit(clouds(n), config=HeadConfig(examples=3_600))
    assert head.course is not None
    assert head.course.examples_seen == pytest.approx(3_600, rel=0.1)


def test_the_length_is_set_for_both_ways_and_kept_with_the_model(tmp_path: Path) -> None:
    project = shapes(tmp_path / "head", 60, training_examples=500)
    label(project, range(1, 51))
    run(project)
    tuned = shapes(tmp_path / "tuned", 24, training="fine_tune", training_examples=30)
    label(tuned, range(1, 21))
    run(tuned)
    with project.store.read() as unit, tuned.store.read() as other:
        head, network = unit.models.in_use(), other.models.in_use()
    assert head is not None
    assert network is not None
    assert head.config["examples_seen"] == pytest.approx(500, rel=0.1)
    n = network.metrics["train_n"]
    assert network.config["examples_seen"] == round(30 / n) * n, "the first epoch counts too"


@pytest.mark.parametrize(
    ("n", "examples", "passes"),
    [(1000, 5_000, 5), (1000, 5_400, 5), (5000, 100, 2), (50, 5_000, 100)],
)
def test_passes_of_a_fine_tuning(n: int, examples: int, passes: int) -> None:
    for gradual in (False, True):
        config = FineTuneConfig(gradual=gradual).lasting(examples, n)
        assert sum(phase.epochs for phase in config.phases(n)) == passes


def test_synthetic_items_count_as_examples_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[FineTuneConfig] = []

    def spy(train: Labelled, *_given: Any, config: FineTuneConfig, **_more: Any) -> None:
        asked.append(config)
        raise SystemExit

    monkeypatch.setattr(training, "fine_tune", spy)
    project = shapes(tmp_path / "p", 3, training="fine_tune", training_examples=60)
    nobody, two = Labels(*np.empty((2, 0), int)), Labels(np.arange(2), np.arange(2))
    pictures = images(20)  # two of labelled items, the others of synthetic ones
    examples = Examples(two, nobody, nobody, None, Images(pictures, pictures.first(0)))
    features = open_features(project, two.ids)
    scaling = Scaling(*np.ones((2, features.width), np.float32))
    setup = training.Setup(project, features, scaling, 3, choose("cpu"))
    with pytest.raises(SystemExit):
        training.train(setup, "fine_tune", examples, Told())
    assert asked[0].epochs(20) == 2, "60 examples are three passes over 20, the first included"


def contrary(n: int = 30) -> Labelled:
    """Return validation examples that are all labelled wrongly: learning raises their loss."""
    given = clouds(n, seed=5)
    return Labelled(given.x, (given.y + 1) % 3)


def test_a_head_stops_when_validation_gets_no_better() -> None:
    told, config = Told(), HeadConfig(epochs=20, steps=60)
    head = fit(
        clouds(60),
        valid=contrary(),
        progress=told,
        config=config,
        objective=Objective(patience=3),
    )
    losses = [d["valid_loss"] for d in told.details]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 20
    # the weights are those of the best epoch
    logits = head(contrary().x)
    loss = torch.nn.functional.cross_entropy(logits, contrary().y)
    assert float(loss.detach()) == pytest.approx(losses[best], abs=1e-4)
    assert head.course == Course(len(losses) * 3 * 60, len(losses), 20, best + 1, best_known=True)


def test_without_patience_or_validation_it_trains_to_the_end() -> None:
    config = HeadConfig(epochs=8, steps=16)
    for objective, valid in (
        (Objective(keep="best"), contrary()),
        (Objective(patience=2), None),
        (Objective(patience=2), Labelled(clouds(0).x, clouds(0).y)),
    ):
        told = Told()
        head = fit(clouds(40), valid=valid, progress=told, config=config, objective=objective)
        assert len(told.details) == 8
        assert head.course is not None
        assert (head.course.epochs, head.course.best_known) == (
            8,
            valid is not None and len(valid) > 0,
        )


def images(n: int, shift: int = 0) -> Labelled:
    pixels = torch.from_numpy(np.stack([picture(i % 3, i, 32) for i in range(n)]))
    return Labelled(pixels, (torch.arange(n) + shift) % 3)


def tuned(told: Told, folder: Path | None = None, **more: Any) -> FineTuned:
    return fine_tune.fine_tune(
        images(12),
        images(9, shift=1),
        3,
        replace(get(NAME).recipe(28), size=32),
        seed=0,
        device=choose("cpu"),
        progress=told,
        config=FineTuneConfig(examples=1, least=8, rate=0.05, **more),
        objective=Objective(patience=2),
        checkpoints=folder,
    )


class Broken(Told):
    """A progress that ends the process after some epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def check(self) -> None:
        if len(self.details) >= self.epochs:
            raise SystemExit


def test_fine_tuning_stops_early_and_resumes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    straight = Told()
    expected = tuned(straight).state_dict()
    epochs = len(straight.details)
    losses = [d["valid_loss"] for d in straight.details]
    assert epochs == int(np.argmin(losses)) + 1 + 2 < 9
    folder = tmp_path / "kept"
    with pytest.raises(SystemExit):
        tuned(Broken(epochs - 1), folder)
    resumed = Told()
    found = tuned(resumed, folder).state_dict()
    assert len(resumed.details) <= 2
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    # one that had stopped begins no further epoch
    nothing = Told()
    again = tuned(nothing, folder).state_dict()
    assert len(nothing.details) == 0
    assert all(torch.equal(again[name], expected[name]) for name in expected)


def test_patience_counts_from_the_best() -> None:
    waits = []
    for waited in range(4):
        best = Best(patience=2)
        best.waited = waited
        waits.append(best.exhausted)
    assert waits == [False, False, True, True]
    assert not Best().exhausted
    assert Objective(patience=1).keeps_best
    assert not Objective().keeps_best


def test_a_wish_that_validation_labels_cannot_grant_is_said(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 40, splits=("train",), patience=2)
    label(project, range(1, 31))
    result = run(project)
    assert "No validation label could tell the best epoch" in result["message"]
    with project.store.read() as unit:
        config = unit.models.get(result["model"]).config
    assert (config["epochs"], config["epoch_kept"], config["best_known"]) == (12, 12, False)
    checked = shapes(tmp_path / "checked", 40, keep="best")
    label(checked, range(1, 31))
    result = run(checked)
    assert "best epoch" not in result["message"]
    with checked.store.read() as unit:
        config = unit.models.get(result["model"]).config
    assert config["best_known"]
