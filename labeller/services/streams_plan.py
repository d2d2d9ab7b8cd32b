"""What a person sets for a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labeller.errors import StreamRunError
from store.records_made import GeneratedRunRecord
from strategies import registry

USUAL = "budget_ratio"  # it asks about the least sure of all that pass
LEAST_AUDIT = 59  # audits of which none is wrong bound the error of a class by 5 %


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What a person sets before a stream starts.

    Parameters
    ----------
    strategy : str
        Name of a stream strategy.
    error : float
        Share of wrong ones, expected from the calibrated confidences, that is allowed among the
        generated labels of each class; above 0 and at most 0.5.
    ask_at_most : int, optional
        How many items may be asked about; by default what the budget can pay.
    follow : bool
        Whether items that arrive later join the stream.
    seed : int, optional
        Draws the random numbers; the project's when not given.
    audit_share : float
        Share of the generated labels that a person is asked about, blind.
    options : mapping of str to float
        Options of the strategy.
    """

    strategy: str = USUAL
    error: float = 0.05
    ask_at_most: int | None = None
    follow: bool = False
    seed: int | None = None
    audit_share: float = 0.05
    options: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a run's row holds it."""
        return {
            "error": self.error,
            "ask_at_most": self.ask_at_most,
            "seed": self.seed,
            "audit_share": self.audit_share,
            "options": dict(self.options),
        }


def checked(plan: StreamPlan) -> StreamPlan:
    """Return the plan if it can be used.

    Raises
    ------
    StreamRunError
        When the strategy is unknown or a number is out of range.
    """
    if plan.strategy not in names():
        raise StreamRunError(
            f"{plan.strategy!r} is no stream strategy. Choose one of: {', '.join(names())}."
        )
    if not (math.isfinite(plan.error) and 0 < plan.error <= 0.5):
        raise StreamRunError(
            f"An error of {plan.error} among the generated labels cannot be asked for. "
            f"Give a share above 0 and at most 0.5, such as 0.05."
        )
    if not (math.isfinite(plan.audit_share) and 0 <= plan.audit_share <= 1):
        raise StreamRunError(
            f"A share of {plan.audit_share} cannot be audited. Give a number from 0 to 1."
        )
    if plan.ask_at_most is not None and plan.ask_at_most < 1:
        raise StreamRunError(
            f"A stream cannot ask at most {plan.ask_at_most} labels. Give at least 1."
        )
    if plan.seed is not None and plan.seed < 0:
        raise StreamRunError(f"A seed of {plan.seed} cannot be. Give a whole number from 0.")
    return plan


def plan_of(run: GeneratedRunRecord) -> StreamPlan:
    """Return what was set for a run."""
    kept = run.params["plan"]
    return StreamPlan(strategy=run.strategy, follow=run.follow, **kept)


def names() -> tuple[str, ...]:
    """Return the names of the stream strategies."""
    return tuple(registry.names("stream"))
