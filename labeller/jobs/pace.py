"""How fast a job goes and how long it still takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where a job stands: `progress` of 1, `rate` per second, `eta` in seconds (None: unknown)."""

    progress: float
    rate: float | None
    eta: float | None


class Pace:
    """Estimates from the stage's own rate and the seconds that the last such job spent per stage.

    Parameters
    ----------
    plan : mapping of str to float
        Seconds per stage of the last job of the kind; empty when there was none. With a plan,
        progress and time left cover the whole job, without one only the stage.
    now : float
        Monotonic seconds at the start.
    """

    def __init__(self, plan: Mapping[str, float], now: float) -> None:
        self._plan = dict(plan)
        self._started = now
        self._seconds: dict[str, float] = {}
        self._stage = ""
        self._entered = now
        self._first = 0
        self._share = 0.0
        self._rate: float | None = None
        self._left: float | None = None
        self._stepped = now
        self._highest = 0.0

    def step(self, stage: str, done: int, total: int | None, now: float) -> None:
        """Take in how far the stage is."""
        if stage != self._stage or done < self._first:
            self._close(now)
            self._stage, self._entered, self._first = stage, now, done
        elapsed, moved = now - self._entered, done - self._first
        self._rate = moved / elapsed if moved > 0 and elapsed > 0 else None
        self._share = min(1.0, done / total) if total else 0.0
        self._left = None
        if self._rate is not None and total is not None:
            self._left = max(0.0, (total - done) / self._rate)
        self._stepped = now

    def at(self, now: float) -> Estimate:
        """Return the estimate at a moment after the last step."""
        left = self._left_of_stage(now)
        if not self._plan:
            return Estimate(self._share, self._rate, left)
        eta = (left or 0.0) + self._later()
        spent = now - self._started
        self._highest = max(self._highest, spent / (spent + eta) if spent + eta > 0 else 0.0)
        return Estimate(self._highest, self._rate, eta)

    def stages(self, now: float) -> dict[str, float]:
        """Return the seconds spent per stage so far: the next job's plan."""
        self._close(now)
        self._entered = now
        return dict(self._seconds)

    def _left_of_stage(self, now: float) -> float | None:
        """Return the seconds left of the stage: its rate counts more the further it is."""
        planned = max(0.0, self._plan.get(self._stage, 0.0) - (now - self._entered))
        if self._left is None:
            return planned if self._plan else None
        measured = max(0.0, self._left - (now - self._stepped))
        if planned <= 0:  # no plan, or the stage already takes longer than planned
            return measured
        return self._share * measured + (1 - self._share) * planned

    def _later(self) -> float:
        """Return the planned seconds of the stages still to come."""
        begun = {*self._seconds, self._stage}
        return sum(seconds for stage, seconds in self._plan.items() if stage not in begun)

    def _close(self, now: float) -> None:
        if self._stage:
            spent = now - self._entered
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + spent
