"""The moving threshold that three of the rules share."""

from __future__ import annotations

from strategies.stream.machine.errors import StreamError


def moved(threshold: float, step: float, asked: bool) -> float:
    """Return the `threshold` after an item: lower by the share `step` when asked, else higher."""
    return threshold * (1 - step if asked else 1 + step)


def check_step(step: float) -> None:
    """Raise `StreamError` unless the share by which a threshold moves is between 0 and 1."""
    if not 0 < step < 1:
        raise StreamError(f"step must be a share above 0 and below 1, not {step!r}.")
