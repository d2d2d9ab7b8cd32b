"""Generated labels: what runs decided item by item, and the audit of what they accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, and_, func, select, update

from store.classes import Classes
from store.generated import COUNTING
from store.generated_arrivals import Arrivals
from store.models import Item, Label
from store.models_made import GeneratedDecision, GeneratedRun
from store.records import Split
from store.records_made import (
    AuditAnswer,
    AuditKind,
    DecisionRecord,
    GeneratedLabel,
    GeneratedRow,
    Outcome,
    Verdict,
)
from store.repository import as_record, chunks

DECISION = tuple(getattr(GeneratedDecision, name) for name in DecisionRecord.__dataclass_fields__)


class GeneratedLabels(Arrivals):
    """What the runs decided, and the labels that follow from it."""

    def decisions(
        self,
        run_id: int,
        outcome: Outcome | None = None,
        class_id: int | None = None,
        audit: bool | None = None,
        after: int = 0,
        limit: int = 500,
    ) -> list[DecisionRecord]:
        """Return one page of a run's decisions in order of item.

        Parameters
        ----------
        run_id : int
        outcome : {"ask", "accept", "defer"}, optional
        class_id : int, optional
            Only this predicted class, or one merged into it.
        audit : bool, optional
            Only those that are, or are not, to be asked blind.
        after : int
            The last item of the page before.
        limit : int
        """
        query = select(*DECISION).where(
            GeneratedDecision.run_id == run_id, GeneratedDecision.item_id > after
        )
        if outcome is not None:
            query = query.where(GeneratedDecision.outcome == outcome)
        if class_id is not None:
            members = Classes(self._connection, self._clock).members(class_id)
            query = query.where(GeneratedDecision.class_id.in_(members))
        if audit is not None:
            known = GeneratedDecision.audit.is_not(None)
            query = query.where(known if audit else ~known)
        query = query.order_by(GeneratedDecision.item_id).limit(limit)
        return [as_record(DecisionRecord, row) for row in self._connection.execute(query)]

    def accepted(
        self, run_id: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return ids (A,), predicted classes (A,) and confidences (A,) of what a run accepted."""
        query = select(
            GeneratedDecision.item_id, GeneratedDecision.class_id, GeneratedDecision.confidence
        ).where(GeneratedDecision.run_id == run_id, GeneratedDecision.outcome == "accept")
        rows = self._connection.execute(query.order_by(GeneratedDecision.item_id))
        made = np.fromiter(map(tuple, rows), dtype=[("id", "i8"), ("class", "i8"), ("p", "f8")])
        return made["id"].copy(), made["class"].copy(), made["p"].copy()

    def accepted_by_class(self, run_id: int) -> dict[int, int]:
        """Return how many labels a run generated of each class, merged classes together."""
        targets = Classes(self._connection, self._clock).targets()
        query = (
            select(GeneratedDecision.class_id, func.count())
            .where(GeneratedDecision.run_id == run_id, GeneratedDecision.outcome == "accept")
            .group_by(GeneratedDecision.class_id)
        )
        found: Counter[int] = Counter()
        for class_id, number in self._connection.execute(query):
            found[targets[class_id]] += number
        return dict(found)

    def of(self, ids: Sequence[int]) -> dict[int, GeneratedLabel]:
        """Return the generated labels of those of these items that have one and no other label."""
        found: dict[int, GeneratedLabel] = {}
        targets = Classes(self._connection, self._clock).targets()
        for part in chunks([int(item_id) for item_id in ids]):
            query = _counting(
                GeneratedDecision.item_id,
                GeneratedDecision.class_id,
                GeneratedDecision.confidence,
                GeneratedRun.id,
                GeneratedRun.kind,
                GeneratedRun.verdict,
                GeneratedRun.model_id,
            ).where(GeneratedDecision.item_id.in_(part))
            for item_id, class_id, *rest in self._connection.execute(query):
                found[item_id] = GeneratedLabel(item_id, targets[class_id], *rest)
        return found

    def count(self) -> int:
        """Count the items that have a generated label and no other."""
        return self._count(_counting(func.count()))

    def ids(self, verdicts: tuple[Verdict, ...] = COUNTING) -> NDArray[np.int64]:
        """Return the items (N,), rising, that have a generated label and no other."""
        query = _counting(GeneratedDecision.item_id, verdicts=verdicts)
        found = np.fromiter(self._connection.execute(query).scalars(), dtype=np.int64)
        return np.unique(found)

    def choose_audit(self, run_id: int, ids: Sequence[int], kind: AuditKind) -> int:
        """Mark accepted items to be asked blind; return how many were not marked before.

        An ``extra`` one that a ``random`` draw finds as well is one of the random draw from then
        on: leaving it out would make the draw unfair.
        """
        self._gate()
        marked = 0
        for part in chunks([int(item_id) for item_id in ids]):
            accepted = update(GeneratedDecision).where(
                GeneratedDecision.run_id == run_id,
                GeneratedDecision.item_id.in_(part),
                GeneratedDecision.outcome == "accept",
            )
            fresh = accepted.where(GeneratedDecision.audit.is_(None)).values(audit=kind)
            marked += self._connection.execute(fresh).rowcount
            if kind == "random":
                again = accepted.where(GeneratedDecision.audit == "extra").values(audit=kind)
                self._connection.execute(again)
        return marked

    def audit_marked(self, run_id: int) -> int:
        """Count the items of a run that were chosen to be asked blind."""
        query = select(func.count()).where(
            GeneratedDecision.run_id == run_id, GeneratedDecision.audit.is_not(None)
        )
        return self._count(query)

    def audit_answers(self, run_id: int) -> list[AuditAnswer]:
        """Return the audited items of a run that a person has labelled, classes resolved."""
        targets = Classes(self._connection, self._clock).targets()
        query = (
            select(
                GeneratedDecision.item_id,
                GeneratedDecision.class_id,
                Label.class_id,
                GeneratedDecision.audit,
            )
            .join(Label, Label.item_id == GeneratedDecision.item_id)
            .where(GeneratedDecision.run_id == run_id, GeneratedDecision.audit.is_not(None))
            .order_by(GeneratedDecision.item_id)
        )
        return [
            AuditAnswer(item_id, targets[made], targets[said], audit == "extra")
            for item_id, made, said, audit in self._connection.execute(query)
        ]

    def arrays(self, split: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return items (N,), rising, and classes (N,), merged ones resolved, of accepted runs.

        Parameters
        ----------
        split : {"train", "valid", "audit"}
            Only items of this split.
        """
        targets = Classes(self._connection, self._clock).targets()
        query = (
            _counting(GeneratedDecision.item_id, GeneratedDecision.class_id, verdicts=("accepted",))
            .join(Item, Item.id == GeneratedDecision.item_id)
            .where(Item.split == split)
            .order_by(GeneratedDecision.item_id)
        )
        rows = [(item, targets[one]) for item, one in self._connection.execute(query)]
        made = np.array(rows, np.int64).reshape(-1, 2)
        return made[:, 0].copy(), made[:, 1].copy()

    def asked_blind(self, ids: Sequence[int]) -> set[int]:
        """Return those of these items that wait for a blind answer."""
        found: set[int] = set()
        for part in chunks([int(item_id) for item_id in ids]):
            query = _counting(GeneratedDecision.item_id).where(
                GeneratedDecision.item_id.in_(part), GeneratedDecision.audit.is_not(None)
            )
            found.update(self._connection.execute(query).scalars())
        return found

    def audit_open(self, run_id: int | None = None) -> NDArray[np.int64]:
        """Return the items (Q,), rising, that wait to be asked blind: of a run, or of all."""
        query = (
            select(GeneratedDecision.item_id)
            .join(GeneratedRun, GeneratedRun.id == GeneratedDecision.run_id)
            .join(Item, and_(Item.id == GeneratedDecision.item_id, Item.state == "unlabelled"))
            .where(GeneratedDecision.audit.is_not(None), GeneratedRun.verdict.in_(list(COUNTING)))
        )
        query = query if run_id is None else query.where(GeneratedDecision.run_id == run_id)
        return np.unique(np.fromiter(self._connection.execute(query).scalars(), dtype=np.int64))

    def export(
        self, verdicts: tuple[Verdict, ...] = ("accepted",), batch: int = 2000
    ) -> Iterator[GeneratedRow]:
        """Yield the generated labels of items that no person labelled, in order of item."""
        classes = Classes(self._connection, self._clock)
        names = {one.id: one.name for one in classes.all(archived=True)}
        targets = classes.targets()
        after = 0
        while True:
            query = (
                _counting(
                    GeneratedDecision.item_id,
                    Item.path,
                    Item.sha256,
                    GeneratedDecision.class_id,
                    GeneratedDecision.confidence,
                    GeneratedRun.created_at,
                    Item.split,
                    Item.group_key,
                    GeneratedRun.kind,
                    GeneratedRun.strategy,
                    GeneratedRun.id,
                    GeneratedRun.model_id,
                    verdicts=verdicts,
                )
                .join(Item, Item.id == GeneratedDecision.item_id)
                .where(GeneratedDecision.item_id > after)
                .order_by(GeneratedDecision.item_id)
                .limit(batch)
            )
            rows = self._connection.execute(query).all()
            for item_id, path, sha256, class_id, *rest in rows:
                yield GeneratedRow(item_id, path, sha256, names[targets[class_id]], *rest)
            if len(rows) < batch:
                return
            after = rows[-1][0]


def generated_items(classes: Collection[int] | None = None) -> Select[int]:
    """Select the items with a generated label and no other, maybe of some classes only.

    Those that are asked blind are of no class: a list by class would give the answer away.
    """
    query = _counting(GeneratedDecision.item_id)
    if classes is not None:
        known = GeneratedDecision.class_id.in_(list(classes))
        query = query.where(known, GeneratedDecision.audit.is_(None))
    return query


def _counting(*columns: Any, verdicts: tuple[Verdict, ...] = COUNTING) -> Select[*tuple[Any, ...]]:
    """Select from the generated labels that count: of no person's item, not rolled back."""
    return (
        select(*columns)
        .select_from(GeneratedDecision)
        .join(GeneratedRun, GeneratedRun.id == GeneratedDecision.run_id)
        .outerjoin(Label, Label.item_id == GeneratedDecision.item_id)
        .where(
            GeneratedDecision.outcome == "accept",
            GeneratedRun.verdict.in_(list(verdicts)),
            Label.item_id.is_(None),
        )
    )
