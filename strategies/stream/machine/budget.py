"""The soft budget of a stream: a share of the items, estimated over the last few of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from strategies.stream.machine.errors import StreamError


@dataclass(frozen=True, slots=True)
class BudgetEstimate:
    """How many of the last `window` items were asked about, forgetting the oldest by and by.

    It is soft: at a rate of 0.1 the realised share is 10.5 to 10.8 %, and up to 20 questions can
    fall into 100 items. What may never be overspent is the hard cap of `StreamState.left`.

    Parameters
    ----------
    rate : float
        B, the share of items that may be asked about, 0 to 1.
    window : int
        w, how many items are looked back upon, at least 1.
    spent : float
        û, questions in the window.

    References
    ----------
    Žliobaitė, I., Bifet, A., Pfahringer, B. and Holmes, G. Active Learning With Drifting Streaming
    Data. IEEE Transactions on Neural Networks and Learning Systems 25(1), 2014.
    """

    rate: float
    window: int = 100
    spent: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.rate <= 1:
            raise StreamError(f"The budget must be a share of the items, 0 to 1, not {self.rate}.")
        if self.window < 1:
            raise StreamError(f"The budget's window must be at least 1 item, not {self.window}.")
        if not (math.isfinite(self.spent) and self.spent >= 0):
            raise StreamError(f"The budget's estimate cannot be {self.spent}.")

    @property
    def open(self) -> bool:
        """Whether one more question is within the budget: û / w < B."""
        return self.spent / self.window < self.rate

    def after(self, asked: bool) -> BudgetEstimate:
        """Return the estimate after one more item: û (w - 1) / w, plus one if it was asked."""
        kept = self.spent * ((self.window - 1) / self.window)
        return BudgetEstimate(self.rate, self.window, kept + asked)


def budget_rate(labels_left: int, items_expected: int) -> float:
    """Return B, the share of the expected items that the labels left are enough for, 0 to 1."""
    if labels_left < 0 or items_expected < 0:
        raise StreamError(
            f"Neither labels ({labels_left}) nor items ({items_expected}) can be fewer than none."
        )
    return 1.0 if labels_left >= items_expected else labels_left / items_expected
