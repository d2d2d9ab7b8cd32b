"""With and without synthetic items: what a round's ablation says. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services.evaluation_scores import wilson
from labeller.services.mcnemar import paired
from store.records import ModelRecord

Ints = NDArray[np.int64]

KEY = "ablation"  # in the metrics of a model
NO_AUDIT = "No item of the audit set is labelled yet."


@dataclass(frozen=True, slots=True)
class Score:
    """An accuracy on the audit set, with its 95 % interval (Wilson)."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How many of the `n` audit items of a class each model is right on."""

    class_id: int
    n: int
    with_synthetic: int
    without: int


@dataclass(frozen=True, slots=True)
class Ablation:
    """A model that learned from synthetic items against the same training without them.

    Both are measured on the same `n` labelled audit items. `gained` items are right only with the
    synthetic items, `lost` ones only without; `difference` is (gained − lost) / n, with `low` and
    `high` its 95 % interval; `p_value` is that of McNemar's exact test. Without audit labels `why`
    says so and the figures are None.
    """

    round: int | None
    model_id: int
    synthetic: int
    digest: str
    n: int
    with_synthetic: Score | None
    without: Score | None
    gained: int
    lost: int
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    significant: bool
    classes: tuple[ClassScore, ...]
    why: str | None

    @property
    def verdict(self) -> str:
        """What it says in a few words: ``better``, ``worse`` or ``no difference shown``."""
        if self.difference is None or not self.significant:
            return "no difference shown"
        return "better" if self.difference > 0 else "worse"


def compared(
    truth: Ints, with_synthetic: Ints, without: Ints, class_ids: Sequence[int]
) -> dict[str, Any]:
    """Compare two models on the same audit items.

    Parameters
    ----------
    truth, with_synthetic, without : array of int, shape (n,)
        True columns and those that each model predicts; n may be 0.
    class_ids : sequence of int, length C
        The ids of the columns.

    Returns
    -------
    dict
        JSON values: ``n``; ``with`` and ``without``, each ``accuracy`` and ``interval`` (95 %,
        Wilson), None with ``why`` when n is 0; ``gained``, ``lost``, ``difference``,
        ``interval``, ``p_value`` and ``significant`` as :func:`~labeller.services.mcnemar.paired`
        gives them; ``classes``, per class ``class_id``, ``n`` and how many each is right on.
    """
    new, old = with_synthetic == truth, without == truth
    told = {
        **paired(old, new).as_json(),
        "with": _score(new),
        "without": _score(old),
        "classes": [
            {
                "class_id": int(class_id),
                "n": int((truth == column).sum()),
                "with": int(new[truth == column].sum()),
                "without": int(old[truth == column].sum()),
            }
            for column, class_id in enumerate(class_ids)
        ],
    }
    return told if len(truth) else {**told, "why": NO_AUDIT}


def of(model: ModelRecord, round_number: int | None = None) -> Ablation | None:
    """Return the ablation of a model, None when it learned from no synthetic item.

    Parameters
    ----------
    model : ModelRecord
    round_number : int, optional
        What people call its round.
    """
    told = model.metrics.get(KEY)
    if not told:
        return None
    known = told["with"] is not None
    low, high = told["interval"]
    return Ablation(
        round=round_number,
        model_id=model.id,
        synthetic=int(told["synthetic"]),
        digest=str(told["digest"]),
        n=int(told["n"]),
        with_synthetic=_read(told["with"]),
        without=_read(told["without"]),
        gained=int(told["gained"]),
        lost=int(told["lost"]),
        difference=float(told["difference"]) if known else None,
        low=float(low) if known else None,
        high=float(high) if known else None,
        p_value=float(told["p_value"]) if known else None,
        significant=bool(told["significant"]) and known,
        classes=tuple(
            ClassScore(one["class_id"], one["n"], one["with"], one["without"])
            for one in told["classes"]
        ),
        why=told.get("why"),
    )


def all_of(project: Project) -> list[Ablation]:
    """Return the ablations of all rounds that learned from synthetic items, newest first."""
    with project.store.read() as unit:
        models = unit.models.all()
        numbers = {one.id: one.number for one in unit.rounds.all()}
    found = [of(model, numbers.get(model.round_id)) for model in models]
    return sorted(
        (one for one in found if one is not None), key=lambda one: one.model_id, reverse=True
    )


def _score(right: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(right):
        return None
    correct = int(right.sum())
    return {"accuracy": correct / len(right), "interval": list(wilson(correct, len(right)))}


def _read(told: Mapping[str, Any] | None) -> Score | None:
    return None if told is None else Score(float(told["accuracy"]), *map(float, told["interval"]))
