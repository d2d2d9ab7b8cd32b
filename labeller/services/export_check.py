"""How an exported file compares with its model, and whether it is good enough to be kept.

No limit depends on how many images there are to compare on: a file is refused when they make it
sure (at 97.5 %, one-sided) that it differs from the model on more images than its format allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from labeller.errors import ExportError
from labeller.services.mcnemar import paired

Probs = NDArray[np.float32]
Columns = NDArray[np.int64]

LOSES = 0.01  # of the accuracy; a file that loses more is warned about
SURE = 0.025


@dataclass(frozen=True, slots=True)
class Check:
    """How an exported file compares with its model on the same images.

    On all `compared` images: `agree` is the share to which both give the same class; `typical`,
    `far` and `largest` are the median, the 99 % quantile and the most of the largest difference of
    a probability. On those that are labelled: the `accuracy` of both, and the 95 % interval of
    their difference (the file's less the model's), from `low` to `high`.

    Exports of before these were kept have None for some.
    """

    name: str
    bytes: int
    accuracy: float
    model_accuracy: float
    largest: float
    agree: float
    compared: int | None = None
    typical: float | None = None
    far: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a format may differ from the model.

    The class on a share `classes` of all images; probabilities by more than `far` on a share
    `outliers`, and by more than `farthest` on none; and the accuracy surely by no more than `loss`.
    """

    classes: float
    far: float
    outliers: float
    farthest: float
    loss: float


# The same computation in another order of sums: what is off by a thousandth is another computation.
EXACT = Limits(classes=0.01, far=1e-3, outliers=0.01, farthest=0.05, loss=0.01)
# Rounded to 8 bits: near the border of two classes either may win, at about equal accuracy.
ROUNDED = Limits(classes=0.1, far=0.5, outliers=0.05, farthest=1.0, loss=0.05)


def compare(name: str, size: int, found: Probs, truth: Probs, columns: Columns) -> Check:
    """Compare what a file says with what the model says.

    Parameters
    ----------
    name : str
        Of the file.
    size : int
        In bytes.
    found, truth : array of float, shape (n, C)
        Probabilities by the file, and by the model.
    columns : array of int, shape (n,)
        True classes; -1 where there is no label. One label at least.
    """
    apart = np.abs(found - truth).max(axis=1)
    said, meant = found.argmax(axis=1), truth.argmax(axis=1)
    known = columns >= 0
    difference = paired(meant[known] == columns[known], said[known] == columns[known])
    return Check(
        name=name,
        bytes=size,
        accuracy=float((said == columns)[known].mean()),
        model_accuracy=float((meant == columns)[known].mean()),
        largest=float(apart.max()),
        agree=float((said == meant).mean()),
        compared=len(found),
        typical=float(np.median(apart)),
        far=float(np.quantile(apart, 0.99)),
        low=difference.low,
        high=difference.high,
    )


def judge(name: str, found: Probs, truth: Probs, check: Check, limits: Limits) -> None:
    """Refuse a file that does not say what its model says.

    Parameters
    ----------
    name : str
    found, truth : array of float, shape (n, C)
    check : Check
        What :func:`compare` returned of them.
    limits : Limits

    Raises
    ------
    ExportError
        With the reason and the mend.
    """
    apart = np.abs(found - truth).max(axis=1)
    others = int((found.argmax(axis=1) != truth.argmax(axis=1)).sum())
    outliers = int((~(apart <= limits.far)).sum())  # what is no number is an outlier too
    n, reason = len(apart), ""
    if _surely_above(others, n, limits.classes):
        reason = f"it gives another class for {others:,} of {n:,} images"
    elif _surely_above(outliers, n, limits.outliers):
        reason = f"a probability is off by more than {limits.far:g} on {outliers:,} of {n:,} images"
    elif not apart.max() <= limits.farthest:
        reason = f"a probability is off by {apart.max():.2g}"
    elif check.high is not None and check.high < -limits.loss:
        reason = f"its accuracy is lower by {interval(check)} points"
    if reason:
        raise ExportError(
            f"{name}: does not say what the model says ({reason}), so it was not kept. Export the "
            f"other formats, and report this with the versions."
        )


def warning(check: Check) -> str:
    """Say what a file loses against its model; nothing when that is little."""
    loss = check.model_accuracy - check.accuracy
    surely = check.high is not None and check.high < 0
    if loss <= LOSES and not surely:
        return ""
    chance = "" if surely or check.high is None else ", which may be chance"
    return (
        f"{check.name} loses accuracy: {interval(check)} points against the model{chance}. Take it "
        f"only where its size matters more."
    )


def interval(check: Check) -> str:
    """Write the difference in accuracy in points, with its 95 % interval where it was kept."""
    difference = _points(check.accuracy - check.model_accuracy)
    if check.low is None or check.high is None:
        return difference
    return f"{difference} ({_points(check.low)} to {_points(check.high)})"


def _points(share: float) -> str:
    """Write a difference of shares in points, with a true minus."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _surely_above(count: int, n: int, share: float) -> bool:
    """Whether `count` of `n` could hardly be if the share of all images were no more than this."""
    return count > 0 and float(bdtrc(count - 1, n, share)) < SURE
