"""How good a model is, in the one number that people are told: the same wherever it shows.

It is measured on the audit labels of now, so that models of different rounds stand side by side.
Of few labels a single number would be chance: then there is a range instead, or nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labeller.errors import EvaluationError
from labeller.project import Project
from labeller.services.evaluation_audit import AuditLabels, audit_labels, on_audit
from labeller.services.evaluation_scores import Share, share
from store.records import ModelRecord

LEAST = 20  # audit labels that a single number takes
LEAST_RANGE = 5  # of fewer even the range says nothing


@dataclass(frozen=True, slots=True)
class Headline:
    """The accuracy of a model: `measured` on `measured.n` audit labels.

    `then` is what its round measured where that is another number; `gone` says that only this is
    left, because the model's predictions are.
    """

    measured: Share
    then: Share | None = None
    gone: bool = False

    @property
    def n(self) -> int:
        """Audit labels that it was measured on."""
        return self.measured.n

    @property
    def value(self) -> float | None:
        """The accuracy; None while there are too few labels for a single number."""
        return self.measured.value if self.n >= LEAST else None

    @property
    def interval(self) -> list[float] | None:
        """Wilson's 95 % bounds; None without a label."""
        return [self.measured.low, self.measured.high] if self.n else None


def headline(project: Project, model: ModelRecord) -> Headline:
    """Return the accuracy of one model: see `headlines`."""
    return headlines(project, [model])[model.id]


def headlines(project: Project, models: Iterable[ModelRecord]) -> dict[int, Headline]:
    """Return the accuracy of models by their ids, on the audit labels of now.

    Of one that was deleted, or whose predictions cannot be read, what its round measured.
    """
    labels = audit_labels(project)
    return {model.id: _of_model(project, model, labels) for model in models}


def _of_model(project: Project, model: ModelRecord, labels: AuditLabels) -> Headline:
    then = in_its_round(model.metrics)
    if model.deleted_at is not None:
        return Headline(then, gone=True)
    try:
        found = on_audit(project, model, labels)
    except EvaluationError:  # the model's own page says why
        return Headline(then, gone=True)
    now = share(int(found.right.sum()), len(found))
    other = then.n and (then.right, then.n) != (now.right, now.n)
    return Headline(now, then if other else None)


def in_its_round(metrics: Mapping[str, Any]) -> Share:
    """Return what a model's round measured, on the audit labels of then."""
    n = int(metrics.get("n") or 0)
    if metrics.get("accuracy") is None or not n:
        return share(0, 0)
    value = float(metrics["accuracy"])
    low, high = metrics.get("interval") or share(round(value * n), n).bounds
    return Share(round(value * n), n, value, float(low), float(high))


def of_result(result: Mapping[str, Any]) -> Share:
    """Return what a round measured from the result of its job."""
    names = {"accuracy": "audit_accuracy", "interval": "audit_interval", "n": "audit_labels"}
    return in_its_round({name: result.get(there) for name, there in names.items()})


def summary(measured: Share) -> str:
    """Say how good a model is in a few words.

    ``84.2 % (78.1–88.9 %), 120 audit labels``; ``between 62 % and 91 %, from 12 audit labels``;
    ``not yet known: 3 of 20 audit labels``.
    """
    labels = f"{measured.n:,} audit label{'' if measured.n == 1 else 's'}"
    if measured.n < LEAST_RANGE or measured.value is None:
        return f"not yet known: {measured.n} of {LEAST} audit labels"
    if measured.n < LEAST:
        return f"{between(measured)}, from {labels}"
    return f"{short(measured)}, {labels}"


def short(measured: Share) -> str:
    """Say the same without the number of labels, for a table that has it beside."""
    if measured.n < LEAST_RANGE or measured.value is None:
        return "not yet known"
    if measured.n < LEAST:
        return between(measured)
    low, high = f"{100 * measured.low:.1f}", f"{100 * measured.high:.1f}"
    return f"{100 * measured.value:.1f} % ({low}–{high} %)"


def between(measured: Share) -> str:
    """Write the bounds alone: ``between 62 % and 91 %``."""
    low, high = f"{100 * measured.low:.0f}", f"{100 * measured.high:.0f}"
    return f"between {low} % and {high} %"


def other(found: Headline) -> str | None:
    """Say why another number may be remembered for the model; None where there is none."""
    if found.gone:
        return (
            "What its round measured on the audit labels of then: what it predicted is not there "
            "any more, so that it cannot be measured on those of now."
        )
    if found.then is None:
        return None
    return (
        f"Its own round measured {summary(found.then)} of that time; labels were given or changed "
        f"since. Measured on the audit labels of now, like every other model."
    )
