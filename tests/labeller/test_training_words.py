"""How a model was trained, in words."""

from __future__ import annotations

from typing import Any

import pytest

from labeller.services.training_words import mirrored


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
