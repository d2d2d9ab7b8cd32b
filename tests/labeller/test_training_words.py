"""How a model was trained, in words."""

from __future__ import annotations

from typing import Any

import pytest

from labeller.services.training_words import kept, mirrored


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"head": {}}, ""),
        ({"fine_tune": {"mirror": False}}, "no image mirrored"),
        ({"fine_tune": {"mirror": True}}, "half of the images mirrored"),
        ({"fine_tune": {"gradual": False}}, "half of the images mirrored"),  # of before the setting
    ],
)
def test_mirrored(config: dict[str, Any], said: str) -> None:
    assert mirrored(config) == said


FULL = {"epochs": 12, "epochs_planned": 12, "epoch_kept": 12, "best_known": False}
BEST = {**FULL, "epoch_kept": 5, "best_known": True}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "weights of the last epoch"),
        (
            {"keep": "best"},
            "weights of the best epoch, or of the last for want of validation labels",
        ),
        ({"keep": "last", **FULL}, "weights of the last of 12 epochs"),
        (
            {**FULL, "epochs": 1, "committee": 3},
            "weights of the last of 1 epoch of the first model",
        ),
        (
            {"patience": 3, **FULL},
            "weights of the last of 12 epochs, as no validation label could tell the best",
        ),
        ({"keep": "best", **BEST}, "weights of the best epoch, 5 of 12"),
        (
            {"patience": 3, **BEST, "epochs": 8},
            "weights of the best epoch, 5 of 12, stopped after 8",
        ),
    ],
)
def test_kept(config: dict[str, Any], said: str) -> None:
    assert kept(config) == said
