"""Checks of the numbers that make up a stream's state."""

from __future__ import annotations

import math

from strategies.stream.machine.errors import StreamError


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise `StreamError` when `value` is not a finite number from `low` to `high`."""
    if not (isinstance(value, int | float) and math.isfinite(value) and low <= value <= high):
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise StreamError(f"{name} must be a number, {limits}, not {value!r}.")
