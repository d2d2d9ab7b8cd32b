"""What can go wrong with a stream."""

from __future__ import annotations

from strategies.base import StrategyError


class StreamError(StrategyError):
    """A stream cannot be started or go on as asked; the text says why."""


class StreamFinished(StreamError):
    """The labels are spent: the items that come now stay in the pool."""


class ReplayError(StreamError):
    """A log does not follow from the state it is said to start from."""
