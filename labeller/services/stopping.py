"""When to stop: an inverse power law through the learning curve, and what the next labels bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Verdict = Literal["go_on", "stop", "unclear"]

LEAST_POINTS = 4  # different numbers of labels: three would fit any such curve exactly
WORTH = 0.005  # as many labels as HORIZON that bring less accuracy than this are hardly worth it
HORIZON = 200  # a verdict on fewer labels would be to stop, whatever the curve: few bring little
EXPONENTS = np.geomspace(0.05, 3.0, 60)
DRAWS = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """A model trained when there were `labels`, right on the share `accuracy` of `n` items."""

    labels: int
    accuracy: float
    n: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the next `more` labels bring: `gain` in accuracy, 95 % sure between `low` and `high`.

    `seconds` is how long they take at the pace so far, None while no pace is known.
    """

    labels: int
    more: int
    gain: float
    low: float
    high: float
    seconds: float | None

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % band, for writing it as ±."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A fitted learning curve: draws of (exponent, accuracy at `first`, at `last`) and weights.

    `spread` is how much more the points scatter than their numbers of items explain, at least 1.
    """

    first: int
    last: int
    exponents: Floats
    starts: Floats
    ends: Floats
    weights: Floats
    spread: float

    def at(self, labels: Floats) -> tuple[Floats, Floats, Floats]:
        """Return mean and 95 % band of the accuracy at numbers of labels (k,), each (k,)."""
        values = self._values(labels)
        low, high = _quantiles(values, self.weights)
        return values @ self.weights, low, high

    def gain(self, labels: int, more: int) -> tuple[float, float, float]:
        """Return mean and 95 % band of what `more` labels add to `labels`."""
        before, after = self._values(np.array([labels, labels + more], np.float64))
        change = (after - before)[None]
        low, high = _quantiles(change, self.weights)
        return float((change @ self.weights)[0]), float(low[0]), float(high[0])

    def _values(self, labels: Floats) -> Floats:
        """Return the accuracy of every draw (S,) at numbers of labels (k,): (k, S)."""
        way = _way(labels[:, None], self.exponents[None], self.first, self.last)
        return np.asarray(self.starts * (1 - way) + self.ends * way)


def fit(points: Sequence[Measured], seed: int = 0) -> Curve | None:
    """Fit accuracy = a − b·labels^(−c) to measured models.

    For each exponent c of a grid the curve is a straight line in labels^(−c): its two ends follow
    a normal distribution by least squares, each point weighted by its binomial error. The exponents
    are weighted by how well they explain the points, and draws whose accuracy would not stay
    between 0 and 1 are left out. If the points scatter more than binomially (seeds, batches), all
    errors are widened to match. Errors of the points count as independent, which is cautious for
    models measured on the same items.

    Parameters
    ----------
    points : sequence of Measured
        In any order; those without labels or items are left out.
    seed : int
        The same seed gives the same curve.

    Returns
    -------
    Curve or None
        None with fewer than `LEAST_POINTS` different numbers of labels: too few to say.

    References
    ----------
    Figueroa, R. L. et al. Predicting Sample Size Required for Classification Performance. BMC
    Medical Informatics and Decision Making 12:8, 2012: weighted inverse power law with its band.
    """
    used = [p for p in points if p.labels > 0 and p.n > 0]
    x = np.array([p.labels for p in used], np.float64)
    if len(np.unique(x)) < LEAST_POINTS:
        return None
    y = np.array([p.accuracy for p in used])
    n = np.array([p.n for p in used], np.float64)
    smooth = (y * n + 1) / (n + 2)  # a model that is always right still has an error
    variance = smooth * (1 - smooth) / (n + 2)
    lines = [_line(x, y, variance, float(c)) for c in EXPONENTS]
    misfit = np.array([line[2] for line in lines])
    spread = max(1.0, float(misfit.min()) / (len(used) - 3))
    evidence = np.array([line[3] for line in lines]) - misfit / (2 * spread)
    return _drawn(x, lines, np.exp(evidence - evidence.max()), spread, seed)


def _line(x: Floats, y: Floats, variance: Floats, c: float) -> tuple[Floats, Floats, float, float]:
    """Return for one exponent the two ends, a root of their covariance, misfit, log of its width.

    The root R has R·Rᵀ = covariance; the width is half the log of its determinant.
    """
    way = _way(x, np.float64(c), x.min(), x.max())
    design = np.stack([1 - way, way], axis=1)
    covariance = np.linalg.inv(design.T @ (design / variance[:, None]))
    ends = covariance @ (design.T @ (y / variance))
    misfit = float((((y - design @ ends) ** 2) / variance).sum())
    root = np.linalg.cholesky(covariance)
    return ends, root, misfit, float(np.log(np.diag(root)).sum())


def _drawn(
    x: Floats, lines: Sequence[tuple[Any, ...]], chances: Floats, spread: float, seed: int
) -> Curve:
    """Draw both ends for every exponent, and weigh the draws."""
    first, last = x.min(), x.max()
    noise = np.random.default_rng(seed).standard_normal((len(lines), DRAWS, 2))
    ends = np.stack(
        [
            line[0] + np.sqrt(spread) * draws @ line[1].T
            for line, draws in zip(lines, noise, strict=True)
        ]
    )
    starts, stops = ends[..., 0], ends[..., 1]
    limit = _way(np.float64(np.inf), EXPONENTS, first, last)[:, None]
    asymptote = starts * (1 - limit) + stops * limit
    # The curve runs from its start to its asymptote, so that both ends bound all of it.
    possible = (starts >= 0) & (starts <= 1) & (asymptote >= 0) & (asymptote <= 1)
    weights = chances[:, None] * (possible if (chances[:, None] * possible).any() else 1.0)
    weights = np.broadcast_to(weights, starts.shape).ravel()
    return Curve(
        first=int(first),
        last=int(last),
        exponents=np.repeat(EXPONENTS, DRAWS),
        starts=starts.ravel(),
        ends=stops.ravel(),
        weights=weights / weights.sum(),
        spread=spread,
    )


def forecast(curve: Curve, labels: int, more: int, pace: float | None) -> Forecast:
    """Say what the next labels bring.

    Parameters
    ----------
    curve : Curve
    labels, more : int
        Labels there are, and how many more.
    pace : float, optional
        Seconds per label.
    """
    gain, low, high = curve.gain(labels, more)
    return Forecast(labels, more, gain, low, high, None if pace is None else pace * more)


def horizon(more: int, unlabelled: int) -> int:
    """Return how many of the labels to come a verdict is about, of which `more` are asked for.

    At least `HORIZON`, or all that are left to give.
    """
    return min(max(more, HORIZON), unlabelled)


def verdict(expected: Forecast, worth: float = WORTH) -> Verdict:
    """Advise: go on, stop, or say that the curve cannot tell.

    Parameters
    ----------
    expected : Forecast
        Of as many labels as :func:`horizon` says.
    worth : float
        The least gain that the labels are worth.

    Returns
    -------
    {"go_on", "stop", "unclear"}
        ``stop`` when even the upper bound is below `worth`; ``go_on`` when the expected gain is at
        least that; ``unclear`` when less is expected but more is possible.
    """
    if expected.high < worth:
        return "stop"
    return "go_on" if expected.gain >= worth else "unclear"


def _way(labels: Any, exponent: Any, first: float, last: float) -> Floats:
    """Return how far along the curve is: 0 at `first`, 1 at `last`, beyond 1 after it."""
    start = first**-exponent
    return np.asarray((start - labels**-exponent) / (start - last**-exponent))


def _quantiles(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the 2.5 % and 97.5 % quantiles of weighted values (k, S), each (k,)."""
    found = np.empty((2, len(values)))
    for place, row in enumerate(values):
        order = np.argsort(row)
        below = np.cumsum(weights[order])
        at = np.searchsorted(below, [0.025, 0.975])
        found[:, place] = row[order[np.minimum(at, len(row) - 1)]]
    return found[0], found[1]
