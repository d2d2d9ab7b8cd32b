"""Synthesis as pages and commands use it: outlook, runs, children, what people say, deletion."""

from __future__ import annotations

import io
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller.errors import JobCancelled, JobError, SynthesisError
from labeller.progress import Silent
from labeller.project import Project
from labeller.services import budget, synthesis, synthesis_making, synthesis_rendering
from labeller.services.synthesis import SynthesisPlan
from labeller.services.synthesis_files import affordable
from strategies import registry
from strategies.synthesis import AugmenterMissing
from strategies.synthesis.recipes import BY_NAME, USUAL
from tests.labeller.synthesised import (
    CLASSES,
    children,
    claimed,
    hashes,
    label,
    project_of,
    rendered_here,
    run,
    submitted,
    work,
)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render in this process: what is tested is not the processes."""
    monkeypatch.setattr(synthesis_making, "rendered", rendered_here)


@pytest.fixture
def no_libmagic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the import of libmagic's wrapper fail, here and in the processes, as without it."""
    fake = tmp_path / "without"
    fake.mkdir()
    (fake / "magic.py").write_text(
        "raise ImportError('failed to find libmagic.  Check your installation')\n"
    )
    monkeypatch.syspath_prepend(str(fake))
    monkeypatch.setenv("PYTHONPATH", str(fake))
    for name in [name for name in sys.modules if name == "magic" or name.startswith("augly")]:
        monkeypatch.delitem(sys.modules, name)


class Stop(Silent):
    """A progress that is cancelled after so many looks."""

    def __init__(self, after: int) -> None:
        self.left = after

    def check(self) -> None:
        """Raise once the looks are used up."""
        self.left -= 1
        if self.left < 0:
            raise JobCancelled("enough")


def spent(project: Project) -> float:
    return budget.meter(project).spent


@pytest.mark.parametrize(
    ("free", "price", "wanted"),
    [
        (None, 1.0, None),
        (5.0, 0.0, None),
        (5.0, 1.0, 5),
        (4.999, 1.0, 4),
        (0.0, 1.0, 0),
        (-1.0, 1.0, 0),
        (0.9, 0.3, 3),  # 0.9 / 0.3 is less than 3 in binary
        (10.66, 0.3333, 31),  # 31 cost 10.332, 32 cost 10.666
    ],
)
def test_what_a_budget_pays(free: float | None, price: float, wanted: int | None) -> None:
    assert affordable(free, price) == wanted


def test_groups_hold_every_recipe_once() -> None:
    found = synthesis.groups()
    assert list(found) == [
        "light",
        "camera",
        "compression",
        "screenshot",
        "geometry",
        "occlusion",
        "text",
        "emoji",
    ]
    names = [recipe.name for recipes in found.values() for recipe in recipes]
    assert sorted(names) == sorted(BY_NAME)


def test_every_strategy_is_offered_with_what_stands_in_its_way(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    views = {one.name: one for one in synthesis.strategies(project)}
    assert list(views) == list(registry.names("synthesis"))
    assert all("labelled" in (one.why_not or "") for one in views.values())
    label(project, [1])
    views = {one.name: one for one in synthesis.strategies(project)}
    assert views["balance"].why_not is None
    assert views["balance"].needs == ()
    assert "two labelled" in (views["latent_mixup"].why_not or "")
    assert "two labelled" in (views["interpolate"].why_not or "")
    assert "Start a round" in (views["weak_spots"].why_not or "")
    assert "Start a round" in (views["disagreement"].why_not or "")
    label(project, [2])
    views = {one.name: one for one in synthesis.strategies(project)}
    assert views["latent_mixup"].why_not is None
    assert "two labelled" in (views["interpolate"].why_not or "")  # none of one class
    assert [one.name for one in views.values() if not one.pictures] == [
        "interpolate",
        "latent_mixup",
    ]


def test_outlook_tells_cost_and_classes_before_and_after(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 12, synthetic_price=0.5)
    label(project, [1, 2, 4, 7], column=0)
    label(project, [6, 3, 5], column=1)  # 3 validates, 5 is of the audit set
    found = synthesis.outlook(project, SynthesisPlan(count=5))
    assert (found.wanted, found.possible, found.cost, found.left) == (5, 5, 2.5, None)
    assert (found.parents, found.pictures, found.why_not) == (5, True, None)
    assert found.recipes == tuple(one.name for one in USUAL)
    told = [(one.name, one.labels, one.synthetic, one.planned, one.after) for one in found.classes]
    # c has no parent; b catches up with a, from 1 to 4, then they take turns
    assert told[0][:3] == ("a", 4, 0)
    assert told[1][:3] == ("b", 1, 0)
    assert (told[0][4], told[1][4]) == (5, 5)
    assert told[2] == ("c", 0, 0, 0, 0)
    budget.set_total(project, 8.2)  # 7 are spent: 1.2 pay two
    found = synthesis.outlook(project, SynthesisPlan(count=5))
    assert (found.possible, found.cost) == (2, 1.0)
    assert found.left == pytest.approx(1.2)
    assert found.notes == ("The budget pays 2 of 5 items.",)
    assert [one.planned for one in found.classes] == [0, 2, 0]
    unknown = synthesis.outlook(project, SynthesisPlan("disagreement", count=5))
    assert (unknown.possible, unknown.why_not is None) == (0, False)
    assert [one.after for one in unknown.classes] == [None, None, None]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (SynthesisPlan("smote"), "'smote' is no synthesis strategy"),
        (SynthesisPlan(count=0), "0 items cannot be made"),
        (SynthesisPlan(recipes={"blurr": {}}), "Did you mean 'blur'"),
        (SynthesisPlan(recipes={"blur": {"size": (0, 1)}}), "no parameter 'size'"),
        (SynthesisPlan(recipes={"blur": {"radius": (0, 9)}}), "radius must be from"),
        (SynthesisPlan(seed=-1), "seed must be from 0"),
        (SynthesisPlan(classes=()), "No class is chosen"),
        (SynthesisPlan(classes=(99,)), "no class with number 99"),
        (SynthesisPlan(classes=(3,)), "as one of the chosen classes"),
    ],
)
def test_a_plan_that_cannot_be_is_told_and_refused(
    tmp_path: Path, plan: SynthesisPlan, why: str
) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, [1, 2], column=0)
    found = synthesis.outlook(project, plan)
    assert why in (found.why_not or "")
    assert found.possible == 0
    with pytest.raises(SynthesisError, match=why.replace("(", r"\(")):
        synthesis.start(project, plan)
    with project.store.read() as unit:
        assert unit.jobs.all() == []


def test_a_run_makes_pays_and_records_its_children(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 18, synthetic_price=0.25)
    label(project, range(1, 19))
    before = spent(project)
    job = synthesis.start(project, SynthesisPlan(count=12, seed=3))
    assert synthesis.job(project) == job
    with pytest.raises(JobError, match="already"):
        synthesis.start(project, SynthesisPlan())
    told = work(project, claimed(project, job))
    assert synthesis.job(project) is None
    assert (told["made"], told["planned"], told["failed"], told["spent"]) == (12, 12, 0, 3.0)
    assert spent(project) == before + 3.0
    (view,) = synthesis.runs(project)
    assert (view.run.state, view.run.seed, view.run.job_id) == ("done", 3, job.id)
    assert view.plan == SynthesisPlan(count=12, seed=3)
    assert (view.verdicts, view.resumable, view.job) == (
        {"keep": 0, "drop": 0, "none": 12},
        False,
        None,
    )
    assert sorted(hashes(project, 1)) == list(range(12))
    with project.store.read() as unit:
        parents = unit.items.many([one.parent_id for one in children(project, 1)])
        for child in children(project, 1):
            own = unit.labels.current(child.parent_id)
            assert parents[child.parent_id].split == "train"
            assert own is not None
            assert own.class_id == child.class_id
            assert child.plan["parent"] == child.parent_id
            assert child.plan["recipe"] == child.recipe
            assert set(child.plan["parameters"]) == {
                one.name for one in BY_NAME[child.recipe].parameters
            }
    found = synthesis.outlook(project, SynthesisPlan(count=3))
    assert sum(one.synthetic for one in found.classes) == 12
    assert max(one.before for one in found.classes) - min(one.before for one in found.classes) <= 1


@pytest.mark.usefixtures("here")
def test_outlook_foretells_what_balance_gives_each_class(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 30)
    label(project, [1, 2, 4, 6, 7, 8, 10, 12], column=0)
    label(project, [13, 14], column=1)
    label(project, [16, 18, 19], column=2)
    with project.store.read() as unit:
        ids = {one.name: one.id for one in unit.classes.all()}
    plan = SynthesisPlan(count=9, seed=1, classes=(ids["b"], ids["c"]))
    found = {one.class_id: one.planned for one in synthesis.outlook(project, plan).classes}
    run(project, plan)
    made = Counter(child.class_id for child in children(project, 1))
    assert found == {ids["a"]: 0, ids["b"]: 5, ids["c"]: 4} == {ids["a"]: 0, **made}
    again = {one.class_id: one.after for one in synthesis.outlook(project, plan).classes}
    assert again == {ids["a"]: 8, ids["b"]: 11, ids["c"]: 12} or again == {
        ids["a"]: 8,
        ids["b"]: 12,
        ids["c"]: 11,
    }  # 7 and 7 before, 9 more: what was made counts


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 18)
    label(project, range(1, 19))
    plan = SynthesisPlan(count=34, seed=11, classes=(1,))  # of one class: every usual recipe
    run(project, plan)
    first = hashes(project, 1)
    assert synthesis.delete(project, 1) == 34
    assert not (project.root / "synthetic" / "1").exists()
    run(project, plan)
    assert hashes(project, 2) == first
    assert len(set(first.values())) == 34
    assert {one.recipe for one in children(project, 2)} == {one.name for one in USUAL}
    other = run(project, SynthesisPlan(count=34, seed=12, classes=(1,)))
    assert hashes(project, other["run"]) != first


@pytest.mark.usefixtures("here")
def test_without_a_seed_every_run_gets_another(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 12, seed=5)
    label(project, range(1, 13))
    seeds = [run(project, SynthesisPlan(count=2))["seed"] for _ in range(2)]
    run(project, SynthesisPlan(count=2, seed=7))
    synthesis.delete(project, 1)
    seeds.append(run(project, SynthesisPlan(count=2))["seed"])
    assert seeds == [5, 6, 8]


@pytest.mark.usefixtures("here")
def test_what_changes_nothing_costs_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 12, grey=True)
    label(project, range(1, 13))
    before = spent(project)
    told = run(project, SynthesisPlan(count=6, recipes={"grayscale": {}, "hflip": {}}))
    assert (told["planned"], told["made"], told["unchanged"], told["failed"]) == (6, 3, 3, 0)
    assert "changed nothing" in told["message"]
    assert spent(project) == before + 3
    assert {one.recipe for one in children(project, 1)} == {"hflip"}
    (view,) = synthesis.runs(project)
    assert (view.run.made, view.run.failed, view.run.state) == (3, 3, "done")


@pytest.mark.usefixtures("here")
def test_a_parent_that_is_gone_costs_its_children_alone(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, range(1, 7))
    (project.root / "images" / "000.png").unlink()
    told = run(project, SynthesisPlan(count=8, recipes={"hflip": {}, "crop": {}}))
    gone = told["failed"]
    assert (told["made"], gone > 0) == (8 - gone, True)
    assert "000.png" in told["errors"][0]
    assert 1 not in {one.parent_id for one in children(project, 1)}
    assert synthesis.runs(project)[0].run.spent == 8 - gone


@pytest.mark.usefixtures("here")
def test_the_budget_ends_a_run_and_more_of_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis_making, "BATCH", 4)
    project = project_of(tmp_path / "p", 12, synthetic_price=2.0)
    label(project, range(1, 13))
    job = submitted(project, SynthesisPlan(count=10, seed=2))
    budget.set_total(project, 12 + 11)  # five can be paid, though ten were planned: it came late
    monkeypatch.setattr("labeller.learning.synthesis_job.affordable", lambda *_given: None)
    monkeypatch.setattr("labeller.learning.synthesis_job.check", lambda *_given: None)
    told = work(project, job)
    assert (told["planned"], told["made"], told["spent"]) == (10, 5, 10.0)
    assert "budget" in told["message"]
    (view,) = synthesis.runs(project)
    assert (view.run.state, view.resumable) == ("cancelled", True)
    assert "budget is spent" in (view.run.error or "")
    assert budget.meter(project).spent == 22
    assert sorted(hashes(project, 1)) == [0, 1, 2, 3, 4]
    files = {file.name for file in (project.root / "synthetic" / "1").iterdir()}
    assert files == {"plan.json", *(f"{place}.png" for place in range(5))}
    budget.set_total(project, 100)
    told = work(project, claimed(project, synthesis.resume(project, 1)))
    assert (told["made"], told["spent"]) == (10, 20.0)
    assert sorted(hashes(project, 1)) == list(range(10))


@pytest.mark.usefixtures("here")
def test_cancelling_keeps_what_is_made_and_resuming_makes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis_making, "BATCH", 4)
    project = project_of(tmp_path / "p", 18)
    label(project, range(1, 19))
    whole = run(project, SynthesisPlan(count=10, seed=4))
    expected = hashes(project, whole["run"])
    synthesis.delete(project, whole["run"])
    told = run(project, SynthesisPlan(count=10, seed=4), Stop(7))
    assert told["cancelled"]
    kept = hashes(project, 2)
    assert kept == {place: expected[place] for place in range(told["made"])}
    assert 0 < told["made"] < 10
    (view, _) = synthesis.runs(project)
    assert (view.run.state, view.resumable, view.run.spent) == (
        "cancelled",
        True,
        float(told["made"]),
    )
    label(project, [1], column=2)  # what is labelled meanwhile changes no picture
    work(project, claimed(project, synthesis.resume(project, 2)))
    assert hashes(project, 2) == expected
    (view, _) = synthesis.runs(project)
    assert (view.run.state, view.run.made, view.run.spent, view.resumable) == (
        "done",
        10,
        10.0,
        False,
    )
    with pytest.raises(SynthesisError, match="it is done"):
        synthesis.resume(project, 2)
    with pytest.raises(SynthesisError, match="no synthesis run with number 9"):
        synthesis.resume(project, 9)


@pytest.mark.usefixtures("here")
def test_a_child_gets_the_label_that_its_parent_has_by_then(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, [1, 2], column=0)
    told = run(project, SynthesisPlan(count=4, seed=1, recipes={"hflip": {}, "crop": {}}), Stop(3))
    assert told["made"] < 4
    label(project, [1, 2], column=1)
    work(project, claimed(project, synthesis.resume(project, 1)))
    classes = [one.class_id for one in children(project, 1)]
    assert classes == sorted(classes)
    assert len(set(classes)) == 2
    with project.store.read() as unit:  # the first ones have a label that their parent lost
        assert {one.class_id for one in unit.synthetic.trainable()} == {max(classes)}


@pytest.mark.usefixtures("here")
def test_judging_and_deleting(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 12)
    label(project, range(1, 13))
    run(project, SynthesisPlan(count=6))
    ids = [one.id for one in children(project, 1)]
    shown, media = synthesis.picture(project, children(project, 1)[0])
    assert media in ("image/png", "image/jpeg")
    assert Image.open(shown).size == (children(project, 1)[0].width, children(project, 1)[0].height)
    assert synthesis.judge(project, ids[:2], "drop", " ann ") == 2
    assert synthesis.judge(project, ids[2:3], "keep", "ann") == 1
    assert [one.id for one in synthesis.children(project, 1, "drop")] == ids[:2]
    assert [one.id for one in synthesis.children(project, 1, "none", after=ids[3], limit=1)] == [
        ids[4]
    ]
    assert synthesis.children(project, 1)[0].verdict_by == "ann"
    with pytest.raises(SynthesisError, match="name is empty"):
        synthesis.judge(project, ids, "drop", "  ")
    assert synthesis.runs(project)[0].verdicts == {"keep": 1, "drop": 2, "none": 3}
    assert synthesis.judge(project, ids[:1], None, "ann") == 1
    assert synthesis.runs(project)[0].verdicts["drop"] == 1

    before = spent(project)
    assert synthesis.delete(project, 1) == 6
    assert spent(project) == before - 6
    assert children(project, 1) == []
    assert not list((project.root / "synthetic").iterdir())
    assert synthesis.runs(project)[0].run.state == "deleted"
    assert synthesis.delete(project, 1) == 0
    assert spent(project) == before - 6
    with pytest.raises(SynthesisError, match="number 5"):
        synthesis.delete(project, 5)


def test_a_run_that_runs_is_not_deleted_and_can_be_cancelled(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, [1, 2])
    with pytest.raises(SynthesisError, match="No items are being made"):
        synthesis.cancel(project)
    job = synthesis.start(project, SynthesisPlan(count=2))
    assert synthesis.cancel(project).state == "cancelled"  # it waited
    with project.store.write() as unit:
        unit.synthetic.start("balance", SynthesisPlan(seed=0).to_json(), 0, 2, job_id=job.id)
    with pytest.raises(SynthesisError, match="still runs"):
        synthesis.delete(project, 1)


def test_large_parents_are_opened_small(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 2, ("train",), side=(2_400, 1_200))
    label(project, [1])
    run(project, SynthesisPlan(count=1, recipes={"hflip": {}}))
    (child,) = children(project, 1)
    assert (child.width, child.height) == (1_024, 512)


def test_previews_are_small_and_cost_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 12, side=(600, 300))
    assert synthesis.preview(project, {"hflip": {}}) == []
    label(project, range(1, 13))
    before = spent(project)
    limits = {"hflip": {}, "rotate": {"degrees": (10, 12)}}
    found = synthesis.preview(project, limits, 3, seed=8)
    assert [one.recipe for one in found] == ["rotate", "hflip"] * 3
    assert len({one.class_id for one in found}) == len(CLASSES)
    for one in found:
        assert one.parent.split == "train"
        assert one.png is not None
        with Image.open(io.BytesIO(one.png)) as image:
            assert image.size[0] <= 256
    degrees = [float(one.parameters["degrees"]) for one in found if one.recipe == "rotate"]
    assert all(10 <= value <= 12 for value in degrees)
    again = synthesis.preview(project, limits, 3, seed=8)
    assert [(one.parent.id, one.png) for one in again] == [
        (one.parent.id, one.png) for one in found
    ]
    flipped = np.asarray(Image.open(io.BytesIO(found[1].png or b"")))
    parent = Image.open(project.file(found[1].parent.path)).resize((256, 128))
    assert np.abs(flipped[:, ::-1].astype(int) - np.asarray(parent)).mean() < 3
    assert spent(project) == before
    with project.store.read() as unit:
        assert unit.synthetic.runs() == []
    with pytest.raises(SynthesisError, match="too many"):
        synthesis.preview(project, {}, 20)


def test_without_a_picture_to_change_the_preview_says_so(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 2, ("train",), grey=True)
    label(project, [1, 2])
    found = synthesis.preview(project, {"grayscale": {}}, 2)
    assert [one.png for one in found] == [None, None]
    assert all("changes nothing" in (one.error or "") for one in found)
    (project.root / "images" / "000.png").unlink()
    errors = {one.parent.id: one.error for one in synthesis.preview(project, {"hflip": {}}, 2)}
    assert "gone" in (errors[1] or "")
    assert errors[2] is None


@pytest.mark.usefixtures("no_libmagic")
def test_children_are_made_without_libmagic(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, range(1, 7))
    assert synthesis.outlook(project, SynthesisPlan()).why_not is None
    (shown, *_) = synthesis.preview(project, {"brightness": {}})
    assert (shown.png or b"").startswith(b"\x89PNG")
    assert run(project, SynthesisPlan(count=2))["made"] == 2


def test_without_augly_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, range(1, 7))

    def missing() -> None:
        raise AugmenterMissing("AugLy is not installed. Install the package augly with pip.")

    monkeypatch.setattr(synthesis_rendering, "check_augmenter", missing)
    assert "augly" in (synthesis.outlook(project, SynthesisPlan()).why_not or "")
    views = {one.name: one.why_not for one in synthesis.strategies(project)}
    assert "augly" in (views["balance"] or "")
    assert views["latent_mixup"] is None  # mixtures need no picture
    for start in (
        lambda: synthesis.preview(project, {"hflip": {}}),
        lambda: synthesis.start(project, SynthesisPlan()),
    ):
        with pytest.raises(SynthesisError, match="Install the package augly"):
            start()


def test_a_worker_without_augly_fails_its_run_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the machine of the worker it may be missing where the page has it."""
    project = project_of(tmp_path / "p", 6)
    label(project, range(1, 7))
    (tmp_path / "without" / "augly").mkdir(parents=True)
    (tmp_path / "without" / "augly" / "__init__.py").write_text("raise ImportError('no augly')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    with pytest.raises(SynthesisError, match="Install the package augly"):
        run(project, SynthesisPlan(count=2))
    (view,) = synthesis.runs(project)
    assert (view.run.state, view.run.made, view.run.spent) == ("failed", 0, 0.0)
    assert "augly" in (view.run.error or "")


def test_a_damaged_plan_is_told(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    label(project, [1, 2])
    run(project, SynthesisPlan(count=2, seed=3), Stop(1))
    (project.root / "synthetic" / "1" / "plan.json").write_text("{")
    job = claimed(project, synthesis.resume(project, 1))
    with pytest.raises(SynthesisError, match=r"plan\.json: the plan of the run cannot be read"):
        work(project, job)
    assert synthesis.runs(project)[0].run.state == "cancelled"  # as it was
