"""What became of one item, with all that is needed to decide it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from strategies.stream.machine.errors import StreamError


class Outcome(StrEnum):
    """What becomes of an item."""

    ASK = "ask"  #: it joins the queue, and a person labels it
    ACCEPT = "accept"  #: the prediction becomes its generated label
    DEFER = "defer"  #: it goes back to the pool


@dataclass(frozen=True, slots=True)
class Decision:
    """The log record of one item.

    Parameters
    ----------
    outcome : Outcome
    position : int
        The item's place in the stream, from 0.
    predicted : int
        The predicted class, as an index from 0.
    confidence : float
        p, its calibrated probability.
    threshold : float or None
        The confidence below which the rule asked; None when the budget estimate was shut, and the
        rule was not heard.
    accept_from : float
        The confidence from which this class is accepted; infinite when it never is.
    spent : float
        û, the budget estimate before this item.
    draws : tuple of float
        The random numbers used, in order.
    """

    outcome: Outcome
    position: int
    predicted: int
    confidence: float
    threshold: float | None
    accept_from: float
    spent: float
    draws: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON can hold it (infinity as null)."""
        return {
            "outcome": self.outcome.value,
            "position": self.position,
            "predicted": self.predicted,
            "confidence": self.confidence,
            "threshold": self.threshold,
            "accept_from": None if math.isinf(self.accept_from) else self.accept_from,
            "spent": self.spent,
            "draws": list(self.draws),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Decision:
        """Return the decision of a record; raises `StreamError` when it is none."""
        try:
            values = dict(record)
            values["outcome"] = Outcome(values["outcome"])
            values["draws"] = tuple(values["draws"])
            if values["accept_from"] is None:
                values["accept_from"] = math.inf
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise StreamError(f"This is not the record of a decision: {error}.") from error
