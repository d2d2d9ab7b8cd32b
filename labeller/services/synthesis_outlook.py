"""What a synthesis run would cost and bring, and what stands in the way of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labeller.errors import SynthesisError
from labeller.project import Project
from labeller.services.synthesis_files import affordable
from labeller.services.synthesis_plan import (
    ClassOutlook,
    Outlook,
    StrategyView,
    SynthesisPlan,
    checked,
    narrowed,
)
from labeller.services.synthesis_rendering import check_rendering
from store.records import ClassRecord
from store.records_budget import BudgetRecord
from strategies import registry
from strategies.base import Needs
from strategies.synthesis import SynthesisInfo, strategy_called
from strategies.synthesis.planning.quotas import level

WITH_MODEL = Needs.LABELLED_PROBS | Needs.CHILD_PROBS | Needs.TRIAL_PROBS
LEVELLING = {"balance": 1, "interpolate": 2}  # by the parents that a class needs
NEEDS = {
    Needs.EMBEDDINGS: "embeddings of the images",
    Needs.LABELLED_PROBS: "a model",
    Needs.CHILD_PROBS: "the model's predictions of trial children",
    Needs.TRIAL_PROBS: "a model, and its predictions of trial children of validation images",
}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a project has to make new items of; counts are by class."""

    classes: tuple[ClassRecord, ...]
    train: Mapping[int, int]
    valid: Mapping[int, int]
    synthetic: Mapping[int, int]
    budget: BudgetRecord
    has_model: bool

    def parents(self, classes: Sequence[int] | None) -> dict[int, int]:
        """Return the labelled training items of each class that gets children."""
        wanted = {one.id for one in self.classes if classes is None or one.id in classes}
        return {i: n for i, n in self.train.items() if i in wanted}


def strategies(project: Project) -> tuple[StrategyView, ...]:
    """Return the synthesis strategies, each with what stands in its way now.

    Parameters
    ----------
    project : Project
    """
    facts = _facts(project)
    return tuple(
        StrategyView(
            info.name,
            info.summary,
            info.reference,
            info.pictures,
            tuple(NEEDS[need] for need in info.needs if need in NEEDS),
            _why_not(info, facts, facts.parents(None)),
        )
        for info in map(strategy_called, registry.names("synthesis"))
    )


def outlook(project: Project, plan: SynthesisPlan) -> Outlook:
    """Say what a run would cost and bring, or why there can be none.

    Parameters
    ----------
    project : Project
    plan : SynthesisPlan
        One that cannot be used is told in ``why_not``, not raised.
    """
    facts = _facts(project)
    price = project.settings.synthetic_price
    limit = affordable(facts.budget.free, price)
    pictures = True
    used: tuple[str, ...] = ()
    why_not: str | None
    parents = facts.parents(plan.classes)
    try:
        info = checked(project, plan)
        pictures = info.pictures
        used = tuple(one.name for one in narrowed(plan.recipes)) if pictures else ()
        why_not = _why_not(info, facts, parents)
    except SynthesisError as error:
        why_not = str(error)
    possible = plan.count if limit is None else min(plan.count, limit)
    if why_not is None and not possible:
        why_not = "The budget cannot pay for another item. Raise it on the Settings page."
    possible = 0 if why_not else possible
    return Outlook(
        wanted=plan.count,
        possible=possible,
        price=price,
        cost=price * possible,
        left=facts.budget.free,
        pictures=pictures,
        parents=sum(parents.values()),
        recipes=used,
        classes=_classes(facts, plan, parents, possible),
        notes=_notes(plan, possible),
        why_not=why_not,
    )


def check(project: Project, plan: SynthesisPlan) -> Outlook:
    """Return the outlook of a run that can start.

    Raises
    ------
    SynthesisError
        With what stands in its way.
    """
    found = outlook(project, plan)
    if found.why_not is not None:
        raise SynthesisError(found.why_not)
    return found


def _facts(project: Project) -> _Facts:
    with project.store.read() as unit:
        return _Facts(
            classes=tuple(sorted(unit.classes.all(), key=lambda one: (one.position, one.id))),
            train=unit.labels.counts_by_class("train"),
            valid=unit.labels.counts_by_class("valid"),
            synthetic=Counter(one.class_id for one in unit.synthetic.trainable()),
            budget=unit.budget.get(),
            has_model=unit.models.in_use() is not None,
        )


def _why_not(info: SynthesisInfo, facts: _Facts, parents: Mapping[int, int]) -> str | None:
    """Return what stands in the way of a strategy, None when nothing does."""
    if len(facts.classes) < 2:
        return "There are fewer than two classes. Add them on the Classes page."
    if not sum(parents.values()):
        return (
            "No image of the training split is labelled yet"
            f"{' as one of the chosen classes' if sum(facts.train.values()) else ''}. "
            "New items are made from labelled ones: label some first."
        )
    if info.pictures:
        try:
            check_rendering()
        except SynthesisError as error:
            return str(error)
    elif max(parents.values()) < 2 and (info.name == "interpolate" or len(parents) < 2):
        return "A mixture needs two labelled training images. Label some more."
    if info.needs & WITH_MODEL and not facts.has_model:
        return f"{info.name} needs a model, and there is none yet. Start a round first."
    if Needs.TRIAL_PROBS in info.needs and not sum(facts.valid.values()):
        return f"{info.name} needs labelled images of the validation split. Label some more."
    return None


def _classes(
    facts: _Facts, plan: SynthesisPlan, parents: Mapping[int, int], possible: int
) -> tuple[ClassOutlook, ...]:
    """Return every class before and after; strategies that level say what each gets."""
    gets: Mapping[int, int] | None = None
    if plan.strategy in LEVELLING:
        gets = _levelled(facts, parents, possible, LEVELLING[plan.strategy])
    return tuple(
        ClassOutlook(
            one.id,
            one.name,
            one.colour,
            facts.train.get(one.id, 0),
            facts.synthetic.get(one.id, 0),
            None if gets is None else gets.get(one.id, 0),
        )
        for one in facts.classes
    )


def _levelled(
    facts: _Facts, parents: Mapping[int, int], possible: int, least: int
) -> dict[int, int]:
    """Return how many each class gets when the one with the fewest comes first."""
    ids = [one.id for one in facts.classes]
    counts = np.array([facts.train.get(i, 0) + facts.synthetic.get(i, 0) for i in ids], np.int64)
    able = np.array([parents.get(i, 0) >= least for i in ids], np.bool_)
    gets: Counter[int] = Counter(
        ids[column] for column in level(counts, able, possible, np.random.default_rng(0))
    )
    return dict(gets)


def _notes(plan: SynthesisPlan, possible: int) -> tuple[str, ...]:
    """Return what a person should know besides the numbers."""
    if 0 < possible < plan.count:
        return (f"The budget pays {possible:,} of {plan.count:,} items.",)
    return ()
