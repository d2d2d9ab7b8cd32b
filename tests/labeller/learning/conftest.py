"""What the tests of learning share."""

from __future__ import annotations

from functools import partial

import pytest

from labeller.learning import heads


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for a moment only, for tests that are not about how good a model is."""
    monkeypatch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=18))
