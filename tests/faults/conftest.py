"""What the fault tests share."""

from __future__ import annotations

from tests.labeller.learning.conftest import quick

__all__ = ["quick"]
