"""All that the Evaluation page and `labeller evaluate` tell, put together from the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from labeller.errors import EvaluationError
from labeller.project import Project
from labeller.services import cleaning, evaluation, split_check, stopping
from labeller.services.agreement import Agreement, agreement
from labeller.services.audit_seal import KEY as SHOWN
from labeller.services.audit_seal import Shown, shown
from labeller.services.evaluation import ClassBalance
from labeller.services.evaluation_audit import AuditLabels, OnAudit, audit_labels, on_audit
from labeller.services.evaluation_compare import Bought, bought, price, seconds_per_label
from labeller.services.evaluation_quality import Quality, quality
from labeller.services.split_check import SplitTest
from labeller.services.stopping import Curve, Forecast, Measured, Verdict
from store.records import ItemState, ModelRecord, RoundRecord

ALPHA = 0.05  # of the tests on the splits together
_UNLABELLED: tuple[ItemState, ...] = ("unlabelled", "flagged", "skipped")


@dataclass(frozen=True, slots=True)
class Stopping:
    """Whether more labels pay: `points` measured, the fitted `curve` and what it expects.

    `expected` is about the labels that were asked for, the `verdict` about those of `judged`, which
    are more where few were asked for. `why` says what is missing where there is no curve, or no
    label left to ask for.
    """

    points: tuple[Measured, ...]
    curve: Curve | None
    expected: Forecast | None
    judged: Forecast | None
    verdict: Verdict | None
    why: str | None


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """Two splits compared, and whether their difference is more than chance (Holm, 5 % in all)."""

    test: SplitTest
    differs: bool


@dataclass(frozen=True)
class Evaluation:
    """The facts about a model and its project; parts that cannot be told yet are None.

    `models` are those not deleted, oldest first, with their `rounds`; `points` are all that were
    ever measured, by labels; `failed` says of models why what they predicted cannot be read.
    `chosen` and `other` are `model` and `against` on the audit set, of which `waiting` items have
    no label yet and `aside` were flagged or put aside.
    """

    project: Project
    labels: AuditLabels
    models: tuple[ModelRecord, ...]
    rounds: dict[int, RoundRecord]
    model: ModelRecord | None
    against: ModelRecord | None
    chosen: OnAudit | None
    other: OnAudit | None
    points: tuple[Measured, ...]
    failed: dict[int, str]
    quality: Quality | None
    bought: Bought | None
    agreement: Agreement | None
    balance: tuple[ClassBalance, ...]
    splits: tuple[SplitCheck, ...]
    shown: tuple[Shown, ...]
    labelled: int
    unlabelled: int
    waiting: int
    aside: int

    @property
    def names(self) -> dict[int, str]:
        """Name of every class, archived ones too."""
        return self.labels.names

    def round_of(self, model: ModelRecord) -> RoundRecord:
        """Return the round that trained a model."""
        return self.rounds[model.round_id]

    @cached_property
    def pace(self) -> float | None:
        """Seconds per label so far, None while no label has a time."""
        found = seconds_per_label(self.project)
        return None if found is None else found[0]

    @cached_property
    def curve(self) -> Curve | None:
        """The fitted learning curve, None while there are too few points."""
        return stopping.fit(self.points)

    def stopping(self, more: int) -> Stopping:
        """Say what the next `more` labels bring; no more than there are unlabelled items."""
        curve = self.curve
        if curve is None:
            return Stopping(self.points, None, None, None, None, self._too_few())
        if not self.unlabelled:
            return Stopping(self.points, curve, None, None, None, "No unlabelled image is left.")
        expected, judged = (
            stopping.forecast(curve, self.labelled, count, self.pace)
            for count in (
                min(more, self.unlabelled),
                stopping.horizon(more, self.unlabelled),
            )
        )
        return Stopping(self.points, curve, expected, judged, stopping.verdict(judged), None)

    def _too_few(self) -> str:
        sizes = len({point.labels for point in self.points})
        there = "there is 1" if sizes == 1 else f"there are {sizes}"
        return (
            f"Too few rounds to say: it takes {stopping.LEAST_POINTS} measured rounds with "
            f"different numbers of labels, and {there}. Label the queue and retrain."
        )


def evaluate(
    project: Project, model_id: int | None = None, against_id: int | None = None
) -> Evaluation:
    """Gather what is known of a model's quality.

    Parameters
    ----------
    project : Project
    model_id : int, optional
        The model; the one in use when not given.
    against_id : int, optional
        The model to compare with; the one before when not given.

    Returns
    -------
    Evaluation

    Raises
    ------
    EvaluationError
        When there is no such model, or both are the same.
    """
    with project.store.read() as unit:
        everything = unit.models.all()
        rounds = {one.id: one for one in unit.rounds.all()}
        counts = unit.items.count()
        of_audit = {state: unit.items.page_count(state, None, "audit") for state in _UNLABELLED}
        opinions = unit.evidence.second_opinions(seen=cleaning.REASON)
    models = tuple(one for one in everything if one.deleted_at is None)
    model, against = _choose(models, model_id, against_id)
    labels = audit_labels(project)
    kept = tuple(one.id for one in (model, against) if one is not None)
    found = _measured(project, everything, rounds, labels, kept)
    new = found.kept.get(model.id) if model is not None else None
    old = found.kept.get(against.id) if against is not None else None
    balance = tuple(evaluation.class_balance(project))
    return Evaluation(
        project=project,
        labels=labels,
        models=models,
        rounds=rounds,
        model=model,
        against=against,
        chosen=new,
        other=old,
        points=found.points,
        failed=found.failed,
        quality=quality(project, new) if new is not None and len(new) else None,
        bought=_bought(project, rounds, old, new),
        agreement=agreement(*opinions),
        balance=balance,
        splits=check_splits(balance),
        shown=tuple(shown(project)),
        labelled=counts.labelled,
        unlabelled=counts.askable,
        waiting=of_audit["unlabelled"],
        aside=of_audit["flagged"] + of_audit["skipped"],
    )


def check_splits(balance: Sequence[ClassBalance]) -> tuple[SplitCheck, ...]:
    """Compare the classes of train with valid, and of both with the audit set.

    Parameters
    ----------
    balance : sequence of ClassBalance

    Returns
    -------
    tuple of SplitCheck
        Those that can be compared. Which differ is decided by Holm's method, 5 % in all.
    """
    ids = [row.class_id for row in balance]
    train, valid = [row.train for row in balance], [row.valid for row in balance]
    both = [row.train + row.valid for row in balance]
    tests = [
        split_check.same_classes(("train", "valid"), train, valid, ids),
        split_check.same_classes(
            ("train and valid", "audit"), both, [row.audit for row in balance], ids
        ),
    ]
    found = sorted((test for test in tests if test is not None), key=lambda test: test.p_value)
    checks, so_far = [], True
    for place, test in enumerate(found):
        so_far = so_far and test.p_value <= ALPHA / (len(found) - place)
        checks.append(SplitCheck(test, so_far))
    return tuple(sorted(checks, key=lambda check: check.test.first != "train"))


def _choose(
    models: Sequence[ModelRecord], model_id: int | None, against_id: int | None
) -> tuple[ModelRecord | None, ModelRecord | None]:
    """Return the model, and the one to compare it with: by default the one before."""
    by_id = {one.id: one for one in models}
    for wanted in (model_id, against_id):
        if wanted is not None and wanted not in by_id:
            known = ", ".join(map(str, by_id)) or "none"
            raise EvaluationError(f"There is no model {wanted}. Models: {known}.")
    default = next((one for one in models if one.in_use), models[-1] if models else None)
    model = by_id[model_id] if model_id is not None else default
    if model is None:
        return None, None
    if against_id == model.id:
        raise EvaluationError(f"Model {model.id} cannot be compared with itself. Name another.")
    if against_id is not None:
        return model, by_id[against_id]
    earlier = [one for one in models if one.id < model.id]
    return model, earlier[-1] if earlier else None


@dataclass(frozen=True, slots=True)
class _Found:
    """Every model as a point, those that are looked at in full, and why others cannot be read."""

    kept: dict[int, OnAudit]
    points: tuple[Measured, ...]
    failed: dict[int, str]


def _measured(
    project: Project,
    models: Sequence[ModelRecord],
    rounds: Mapping[int, RoundRecord],
    labels: AuditLabels,
    wanted: Sequence[int],
) -> _Found:
    """Measure every model; only the predictions of the wanted ones stay in memory.

    Of a model that was deleted, or whose files are gone, what its round measured still counts.
    """
    kept: dict[int, OnAudit] = {}
    points: list[Measured] = []
    failed: dict[int, str] = {}
    for model in models:
        number, metrics = rounds[model.round_id].labels, model.metrics
        share, n = metrics.get("accuracy"), int(metrics.get("n") or 0)
        try:
            one = on_audit(project, model, labels) if model.deleted_at is None else None
        except EvaluationError as error:
            failed[model.id], one = str(error), None
        if one is not None:
            share, n = float(one.right.mean()) if len(one) else None, len(one)
            if model.id in wanted:
                kept[model.id] = one
        if share is not None and n:
            points.append(Measured(number, float(share), n))
    return _Found(kept, tuple(sorted(points, key=lambda point: point.labels)), failed)


def _bought(
    project: Project,
    rounds: Mapping[int, RoundRecord],
    old: OnAudit | None,
    new: OnAudit | None,
) -> Bought | None:
    """Compare two models when both have predicted audit items."""
    if old is None or new is None:
        return None
    pair = [(one.model, rounds[one.model.round_id]) for one in (old, new)]
    return bought(old, new, price(project, *pair))


def facts_key(project: Project) -> tuple[Any, ...]:
    """Return something that changes whenever an evaluation would come out differently."""
    with project.store.read() as unit:
        classes = tuple(
            (one.id, one.name, one.archived, one.merged_into)
            for one in unit.classes.all(archived=True)
        )
        models = tuple((one.id, one.in_use, one.deleted_at) for one in unit.models.all())
        counts = unit.items.count()
        seen = len(unit.settings.get(SHOWN, []))
        return classes, models, counts, unit.evidence.last_event(), seen
