"""Synthetic items: the runs that made them, their lineage, and what people say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Select, delete, func, insert, or_, select, update

from store.budget import Budgets
from store.classes import Classes
from store.errors import Conflict, NotFound
from store.models import Item, Label
from store.models_made import SynthesisRun, SyntheticItem
from store.records_made import (
    ChildVerdict,
    NewSyntheticItem,
    SynthesisRunRecord,
    SyntheticRecord,
)
from store.repository import Repository, amount, as_record, chunks, thousandths

RUN = tuple(getattr(SynthesisRun, name) for name in SynthesisRunRecord.__dataclass_fields__)
ITEM = tuple(getattr(SyntheticItem, name) for name in SyntheticRecord.__dataclass_fields__)


class SyntheticItems(Repository):
    """The synthetic items of the project and the runs that made them."""

    def start(
        self,
        strategy: str,
        params: Mapping[str, Any],
        seed: int,
        planned: int,
        model_id: int | None = None,
        job_id: int | None = None,
    ) -> SynthesisRunRecord:
        """Begin a run that is to make `planned` items."""
        values = {
            "state": "running",
            "strategy": strategy,
            "params": dict(params),
            "seed": seed,
            "model_id": model_id,
            "job_id": job_id,
            "planned": planned,
            "made": 0,
            "failed": 0,
            "spent": 0,
            "created_at": self._clock(),
        }
        made = self._connection.execute(
            insert(SynthesisRun).values(values).returning(SynthesisRun.id)
        )
        return self.run(made.scalar_one())

    def run(self, run_id: int) -> SynthesisRunRecord:
        """Return one run.

        Raises
        ------
        NotFound
            When there is none.
        """
        row = self._connection.execute(select(*RUN).where(SynthesisRun.id == run_id)).first()
        if row is None:
            raise NotFound(f"There is no synthesis run with number {run_id}.")
        return _run(row)

    def runs(self) -> list[SynthesisRunRecord]:
        """Return all runs, newest first, deleted ones too."""
        query = select(*RUN).order_by(SynthesisRun.id.desc())
        return [_run(row) for row in self._connection.execute(query)]

    def by_job(self, job_id: int) -> SynthesisRunRecord | None:
        """Return the newest run of a job."""
        query = select(*RUN).where(SynthesisRun.job_id == job_id)
        row = self._connection.execute(query.order_by(SynthesisRun.id.desc()).limit(1)).first()
        return _run(row) if row else None

    def add(
        self, run_id: int, items: Sequence[NewSyntheticItem], price: float, failed: int = 0
    ) -> list[int]:
        """Record children and pay for them, all or none.

        Parameters
        ----------
        run_id : int
        items : sequence of NewSyntheticItem
            Their parents are labelled items of the training split.
        price : float
            What each costs of the budget.
        failed : int
            How many others could not be made, since the last call.

        Returns
        -------
        list of int
            Their ids, in order.

        Raises
        ------
        Conflict
            When the run does not run any more, a parent is not a labelled training item, or the
            budget cannot pay; nothing is stored then.
        """
        self._gate()
        if self.run(run_id).state != "running":
            raise Conflict(f"Synthesis run {run_id} was ended. Nothing was stored.")
        self._check_parents({item.parent_id for item in items})
        cost = price * len(items)
        note = f"{len(items)} synthetic items of run {run_id}"
        if not Budgets(self._connection, self._clock).spend(cost, note):
            raise Conflict(
                f"The budget cannot pay {len(items)} more synthetic items. Raise it, or stop here."
            )
        ids = [self._insert(run_id, item) for item in items]
        self._connection.execute(
            update(SynthesisRun)
            .where(SynthesisRun.id == run_id)
            .values(
                made=SynthesisRun.made + len(items),
                failed=SynthesisRun.failed + failed,
                spent=SynthesisRun.spent + thousandths(cost),
            )
        )
        return ids

    def _check_parents(self, ids: set[int]) -> None:
        fit: set[int] = set()
        for part in chunks(sorted(ids)):
            query = (
                select(Item.id)
                .join(Label, Label.item_id == Item.id)
                .where(Item.id.in_(part), Item.split == "train")
            )
            fit.update(self._connection.execute(query).scalars())
        if ids - fit:
            raise Conflict(f"Item {min(ids - fit)} is no labelled training item: it has no child.")

    def _insert(self, run_id: int, item: NewSyntheticItem) -> int:
        values = {name: getattr(item, name) for name in NewSyntheticItem.__dataclass_fields__}
        values |= {"run_id": run_id, "plan": dict(item.plan)}
        made = self._connection.execute(
            insert(SyntheticItem).values(values).returning(SyntheticItem.id)
        )
        return made.scalar_one()

    def finish(
        self,
        run_id: int,
        state: Literal["done", "failed", "cancelled"],
        error: str | None = None,
    ) -> bool:
        """End a running run and say whether it was running."""
        changed = self._connection.execute(
            update(SynthesisRun)
            .where(SynthesisRun.id == run_id, SynthesisRun.state == "running")
            .values(state=state, error=error, finished_at=self._clock())
        )
        return changed.rowcount == 1

    def delete(self, run_id: int) -> list[str]:
        """Delete a run's children and give back what they cost; the files are the caller's.

        Returns
        -------
        list of str
            The paths of the files that nothing refers to any more.

        Raises
        ------
        Conflict
            When the run still runs.
        """
        self._gate()
        run = self.run(run_id)
        if run.state == "running":
            raise Conflict(f"Synthesis run {run_id} still runs. Cancel it first.")
        query = select(SyntheticItem.path).where(SyntheticItem.run_id == run_id)
        paths = [path for path in self._connection.execute(query).scalars() if path is not None]
        self._connection.execute(delete(SyntheticItem).where(SyntheticItem.run_id == run_id))
        self._connection.execute(
            update(SynthesisRun).where(SynthesisRun.id == run_id).values(state="deleted", spent=0)
        )
        Budgets(self._connection, self._clock).refund(run.spent, f"synthesis run {run_id} deleted")
        return paths

    def resume(self, run_id: int, job_id: int) -> SynthesisRunRecord:
        """Let another job go on with a run that was stopped before its end.

        What could not be made is tried again, so it is counted anew.

        Raises
        ------
        Conflict
            When the run runs, has come to its end, or was deleted.
        """
        self._gate()
        changed = self._connection.execute(
            update(SynthesisRun)
            .where(SynthesisRun.id == run_id, SynthesisRun.state.in_(("failed", "cancelled")))
            .values(state="running", job_id=job_id, failed=0, error=None, finished_at=None)
        )
        run = self.run(run_id)
        if not changed.rowcount:
            raise Conflict(f"Synthesis run {run_id} cannot go on: it is {run.state}.")
        return run

    def places(self, run_id: int) -> set[int]:
        """Return the places of the run's plan that are made."""
        query = select(SyntheticItem.place).where(SyntheticItem.run_id == run_id)
        return set(self._connection.execute(query).scalars())

    def get(self, synthetic_id: int) -> SyntheticRecord | None:
        """Return one synthetic item."""
        found = self._items(select(*ITEM).where(SyntheticItem.id == synthetic_id))
        return found[0] if found else None

    def many(self, synthetic_ids: Sequence[int]) -> dict[int, SyntheticRecord]:
        """Return synthetic items by id; those that are gone have no entry."""
        found: dict[int, SyntheticRecord] = {}
        for part in chunks(list(synthetic_ids)):
            for one in self._items(select(*ITEM).where(SyntheticItem.id.in_(part))):
                found[one.id] = one
        return found

    def page(
        self,
        run_id: int | None = None,
        parent_id: int | None = None,
        class_id: int | None = None,
        verdict: ChildVerdict | Literal["none"] | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[SyntheticRecord]:
        """Return one page of synthetic items in order of id.

        Parameters
        ----------
        run_id, parent_id, class_id : int, optional
            Only those of this run, of this parent, made of this class or one merged into it.
        verdict : {"keep", "drop", "none"}, optional
            Only those judged so; ``"none"`` for those nobody judged.
        after : int
            The last of the page before.
        limit : int
        """
        query = select(*ITEM).where(SyntheticItem.id > after)
        if run_id is not None:
            query = query.where(SyntheticItem.run_id == run_id)
        if parent_id is not None:
            query = query.where(SyntheticItem.parent_id == parent_id)
        if class_id is not None:
            members = Classes(self._connection, self._clock).members(class_id)
            query = query.where(SyntheticItem.class_id.in_(members))
        if verdict == "none":
            query = query.where(SyntheticItem.verdict.is_(None))
        elif verdict is not None:
            query = query.where(SyntheticItem.verdict == verdict)
        return self._items(query.order_by(SyntheticItem.id).limit(limit))

    def trainable(self) -> list[SyntheticRecord]:
        """Return what a model may learn from, in order of id.

        Those that nobody dropped, whose parent is in the training split and still has the label
        that the child inherited.
        """
        query = (
            select(*ITEM, Label.class_id)
            .join(Item, Item.id == SyntheticItem.parent_id)
            .join(Label, Label.item_id == SyntheticItem.parent_id)
            .where(
                Item.split == "train",
                or_(SyntheticItem.verdict.is_(None), SyntheticItem.verdict == "keep"),
            )
            .order_by(SyntheticItem.id)
        )
        targets = Classes(self._connection, self._clock).targets()
        rows = self._connection.execute(query).all()
        found = [(_item(row[:-1], targets), targets[row[-1]]) for row in rows]
        return [item for item, label in found if item.class_id == label]

    def judge(self, synthetic_ids: Sequence[int], verdict: ChildVerdict | None, by: str) -> int:
        """Note what a person says of children, None to take it back; return how many there are."""
        self._gate()
        values = {"verdict": verdict, "verdict_by": by, "verdict_at": self._clock()}
        if verdict is None:
            values = {"verdict": None, "verdict_by": None, "verdict_at": None}
        return sum(
            self._connection.execute(
                update(SyntheticItem).where(SyntheticItem.id.in_(part)).values(values)
            ).rowcount
            for part in chunks(list(synthetic_ids))
        )

    def counts(self, run_id: int) -> dict[str, int]:
        """Count a run's children by verdict: ``keep``, ``drop`` and ``none``."""
        verdict = func.coalesce(SyntheticItem.verdict, "none")
        query = select(verdict, func.count()).where(SyntheticItem.run_id == run_id)
        found: dict[str, int] = dict(self._connection.execute(query.group_by(verdict)).all())
        return {name: found.get(name, 0) for name in ("keep", "drop", "none")}

    def max_id(self) -> int:
        """Return the highest id, 0 when there is no synthetic item."""
        return self._count(select(func.max(SyntheticItem.id)))

    def _items(self, query: Select[*tuple[Any, ...]]) -> list[SyntheticRecord]:
        targets = Classes(self._connection, self._clock).targets()
        return [_item(row, targets) for row in self._connection.execute(query)]


def _run(row: Any) -> SynthesisRunRecord:
    return as_record(SynthesisRunRecord, (*row[:10], amount(row[10]), *row[11:]))


def _item(row: Any, targets: Mapping[int, int]) -> SyntheticRecord:
    return as_record(SyntheticRecord, (*row[:4], targets[row[4]], *row[5:]))
