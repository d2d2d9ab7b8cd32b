"""Whatever is done, in whatever order: lineage is whole, splits hold, each item is paid once."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labeller.errors import JobCancelled, SynthesisError
from labeller.progress import Silent
from labeller.services import budget, synthesis, synthesis_making
from labeller.services.synthesis import SynthesisPlan
from labeller.services.synthesis_plan import Limits
from store.records import NewEvent
from strategies.synthesis import Plan
from strategies.synthesis.recipes import called
from tests.labeller.synthesised import (
    children,
    claimed,
    hashes,
    label,
    project_of,
    rendered_here,
    submitted,
    work,
)

ITEMS = 14
PRICE = 0.3
RECIPES = ("hflip", "crop", "grayscale")  # quick ones; grey pictures have no greyscale


class Interrupted(Silent):
    """A progress that stops its job after so many looks: as cancelled, or as a fault does."""

    def __init__(self, after: int, error: Exception) -> None:
        self.left, self.error = after, error

    def check(self) -> None:
        """Raise once the looks are used up."""
        self.left -= 1
        if self.left < 0:
            raise self.error


class Synthesis(RuleBasedStateMachine):
    """A project whose labels, budget and synthesis runs change at will."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.patches = contextlib.ExitStack()
        for name, value in (("rendered", rendered_here), ("BATCH", 3)):
            self.patches.enter_context(mock.patch.object(synthesis_making, name, value))
        self.project = project_of(
            self.root / "p", ITEMS, side=(10, 9), grey=True, synthetic_price=PRICE
        )
        self.bought = 3.0
        self.events = 0
        label(self.project, [1, 2, 3])

    def teardown(self) -> None:
        self.patches.close()
        self.project.store.close()
        shutil.rmtree(self.root)

    @rule(item=st.integers(1, ITEMS), column=st.integers(0, 2))
    def label_or_relabel(self, item: int, column: int) -> None:
        before = budget.meter(self.project)
        if before.free is not None and before.free < 1:
            return
        label(self.project, [item], column)
        self.bought += budget.meter(self.project).spent - before.spent

    @rule(item=st.integers(1, ITEMS))
    def undo(self, item: int) -> None:
        before = budget.meter(self.project).spent
        with self.project.store.write() as unit:
            events = [one for one in unit.labels.history(item) if one.kind == "label"]
            if unit.labels.current(item) is None or not events:
                return
            self.events += 1
            event = NewEvent(
                key=f"undo{self.events}", kind="undo", item_id=item, undoes=events[-1].key
            )
            unit.labels.record("anna", "s", "page", [event], 1.0)
        self.bought += budget.meter(self.project).spent - before

    @rule(extra=st.one_of(st.none(), st.floats(0, 4)))
    def set_budget(self, extra: float | None) -> None:
        spent = budget.meter(self.project).spent
        budget.set_total(self.project, None if extra is None else spent + extra)

    @rule(
        count=st.integers(1, 9),
        seed=st.integers(0, 3),
        looks=st.one_of(st.none(), st.integers(0, 9)),
        fault=st.booleans(),
    )
    def make(self, count: int, seed: int, looks: int | None, fault: bool) -> None:
        recipes: dict[str, Limits] = {name: {} for name in RECIPES}
        try:
            job = submitted(self.project, SynthesisPlan("balance", count, recipes, seed))
        except SynthesisError:
            found = synthesis.outlook(self.project, SynthesisPlan("balance", count))
            assert found.why_not is not None
            return
        self._work(job, looks, fault)

    @precondition(lambda self: any(view.resumable for view in synthesis.runs(self.project)))
    @rule(looks=st.one_of(st.none(), st.integers(0, 9)), fault=st.booleans())
    def go_on(self, looks: int | None, fault: bool) -> None:
        run = next(view.run.id for view in synthesis.runs(self.project) if view.resumable)
        self._work(claimed(self.project, synthesis.resume(self.project, run)), looks, fault)

    def _work(self, job: object, looks: int | None, fault: bool) -> None:
        error = OSError("pulled the plug") if fault else JobCancelled("enough")
        progress = Silent() if looks is None else Interrupted(looks, error)
        with contextlib.suppress(OSError, JobCancelled, SynthesisError):
            work(self.project, job, progress)  # type: ignore[arg-type]

    @precondition(lambda self: bool(synthesis.runs(self.project)))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        ids = [view.run.id for view in synthesis.runs(self.project)]
        synthesis.delete(self.project, data.draw(st.sampled_from(ids)))

    @precondition(lambda self: bool(synthesis.runs(self.project)))
    @rule(drop=st.booleans())
    def judge(self, drop: bool) -> None:
        newest = synthesis.runs(self.project)[0].run.id
        ids = [one.id for one in children(self.project, newest)][:2]
        synthesis.judge(self.project, ids, "drop" if drop else None, "ann")

    @invariant()
    def every_item_is_paid_once(self) -> None:
        runs = [view.run for view in synthesis.runs(self.project)]
        made = {run.id: len(children(self.project, run.id)) for run in runs}
        for run in runs:
            assert run.state != "running"
            assert round(run.spent, 6) == round(PRICE * made[run.id], 6)
            if run.state != "deleted":
                assert run.made == made[run.id] <= run.planned
        now = budget.meter(self.project)
        assert round(now.spent, 6) == round(self.bought + PRICE * sum(made.values()), 6)
        assert now.total is None or now.spent <= now.total + 1e-9

    @invariant()
    def lineage_is_whole_and_no_split_is_crossed(self) -> None:
        with self.project.store.read() as unit:
            items = unit.items.many(range(1, ITEMS + 1))
            trainable = unit.synthetic.trainable()
            labels = {i: unit.labels.current(i) for i in items}
        for view in synthesis.runs(self.project):
            found = children(self.project, view.run.id)
            assert len({one.place for one in found}) == len(found)
            hashes(self.project, view.run.id)  # the files are those of the rows
            for child in found:
                plan = Plan.from_json(child.plan)
                assert (plan.parent, plan.recipe) == (child.parent_id, child.recipe)
                assert called(plan.recipe).checked(plan.values) == plan.values
                assert items[child.parent_id].split == "train"
        for child in trainable:
            own = labels[child.parent_id]
            assert own is not None
            assert own.class_id == child.class_id
            assert child.verdict != "drop"


Synthesis.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=8,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking took minutes
)
TestSynthesis = Synthesis.TestCase
