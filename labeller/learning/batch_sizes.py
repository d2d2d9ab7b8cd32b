"""How large the batches of a training are."""

from __future__ import annotations

BATCH = 64
LEAST_BATCH = 2  # batch norm needs two


def batch_size(n: int) -> int:
    """Return the size of even batches of about 64, so that few of `n` examples are left out."""
    return max(LEAST_BATCH, n // max(1, round(n / BATCH)))
