"""The loss by hand: weights per class, smoothed labels, and which epoch is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from labeller.config import Settings
from labeller.errors import ConfigError
from labeller.learning.fitting import Best, Labelled, absent_classes, best_of
from labeller.learning.heads import HeadConfig
from labeller.learning.objective import Objective, class_weights, loss_function
from tests.labeller.learning.shapes import Told
from tests.labeller.learning.test_heads import clouds, fit

Y = torch.tensor([0, 0, 0, 0, 2, 2, 3, 0])
LOGITS = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32))


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.array([0, 2, 3]), y=Y.numpy())
    found = class_weights(Y, 4)
    assert found.tolist() == pytest.approx([expected[0], 0.0, *expected[1:]])
    assert float(found[Y].mean()) == pytest.approx(1.0)
    assert torch.equal(class_weights(functional.one_hot(Y, 4).float(), 4), found)


@pytest.mark.parametrize("shares", [False, True])
def test_the_loss_by_hand(shares: bool) -> None:
    absent = absent_classes(Y, 4)
    loss = loss_function(Objective("balanced", 0.3), Y, absent, nn.Identity().train())
    log_p = np.full((8, 4), 0.0)
    kept = LOGITS.numpy().astype(float)[:, [0, 2, 3]]
    log_p[:, [0, 2, 3]] = kept - np.log(np.exp(kept).sum(1, keepdims=True))
    weights = {0: 8 / (3 * 5), 2: 8 / (3 * 2), 3: 8 / 3}
    rows = []
    for row, column in enumerate(Y.tolist()):
        target = np.array([0.1, 0.0, 0.1, 0.1])
        target[column] += 0.7
        rows.append(-weights[column] * (target * log_p[row]).sum())
    given = functional.one_hot(Y, 4).float() if shares else Y
    assert float(loss(LOGITS, given)) == pytest.approx(np.mean(rows), rel=1e-5)


def test_validation_is_plain_and_leaves_out_what_nothing_can_predict() -> None:
    absent = absent_classes(Y, 4)
    loss = loss_function(Objective("balanced", 0.3), Y, absent, nn.Identity().eval())
    expected = functional.cross_entropy(LOGITS[:3] + absent, Y[:3])
    assert float(loss(LOGITS[:4], torch.tensor([0, 0, 0, 1]))) == pytest.approx(float(expected))
    assert float(loss(LOGITS[:1], torch.tensor([1]))) == 0.0


def test_balanced_training_finds_the_rare_class() -> None:
    many, few = clouds(300, 2, 4), clouds(300, 2, 4, seed=1)
    rare = torch.cat([torch.where(many.y == 0)[0], torch.where(many.y == 1)[0][:6]])
    train = Labelled(many.x[rare] * 0.5, many.y[rare])
    recalls = []
    for weights in ("none", "balanced"):
        head = fit(train, classes=2, objective=Objective(weights))
        with torch.inference_mode():
            recalls.append(float((head(few.x[few.y == 1] * 0.5).argmax(1) == 1).float().mean()))
    assert recalls[1] > recalls[0] + 0.1


def test_smoothing_makes_a_head_less_sure() -> None:
    sure, unsure = (fit(clouds(60), objective=Objective(label_smoothing=s)) for s in (0.0, 0.3))
    with torch.inference_mode():
        first, second = (head(clouds(60).x).softmax(1).amax(1).mean() for head in (sure, unsure))
    assert second < first - 0.1


def test_best_keeps_the_epoch_with_the_lowest_validation_loss() -> None:
    train, valid = clouds(30), clouds(60, seed=3)
    wrong = Labelled(valid.x, (valid.y + 1) % 3)  # the longer it trains, the higher the loss
    config = HeadConfig(epochs=6, steps=60)
    told = Told()
    heads = [
        fit(train, valid=wrong, progress=told, config=config, objective=Objective(keep=keep))
        for keep in ("last", "best")
    ]
    losses = [detail["valid_loss"] for detail in told.details[6:]]
    with torch.inference_mode():
        last, best = (float(functional.cross_entropy(head(wrong.x), wrong.y)) for head in heads)
    assert last == pytest.approx(losses[-1], rel=1e-4)
    assert best == pytest.approx(min(losses), rel=1e-4)
    assert best < last


def test_best_needs_validation_labels_that_can_tell() -> None:
    train = clouds(30)
    strange = Labelled(train.x, torch.full_like(train.y, 4))
    assert best_of(Objective(keep="best"), train, None) is None
    assert best_of(Objective(keep="best"), train, strange) is None
    assert best_of(Objective(), train, train) is None
    assert isinstance(best_of(Objective(keep="best"), train, train), Best)


def test_settings_are_checked() -> None:
    assert Objective.of(Settings(keep="best", label_smoothing=0.2)) == Objective(
        "none", 0.2, "best"
    )
    with pytest.raises(ConfigError, match="Set it to none or balanced"):
        Objective.of(Settings(class_weights="some"))
