"""The synthesis job: killed and resumed, asking the model, and teaching the next one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from labeller import jobs
from labeller.errors import SynthesisError
from labeller.learning import device, heads, synthesis_arrays
from labeller.learning.extraction import extract
from labeller.learning.features import features_of, open_features
from labeller.learning.fitting import Labelled, absent_classes, joined
from labeller.learning.pictures import load_images
from labeller.learning.saved import load_model
from labeller.learning.snapshot import Labels, take
from labeller.learning.synthesis_arrays import Arrays
from labeller.learning.synthetic import PREFIX, gather, ready
from labeller.progress import Silent
from labeller.project import Project, open_project
from labeller.services import budget, synthesis, synthesis_rendering
from labeller.services.synthesis import SynthesisPlan
from labeller.services.synthesis_plan import Limits
from labeller.squares import Resize, square, square_of
from strategies.base import Needs
from strategies.synthesis import Parents, render, strategy_called, trial_plans
from strategies.synthesis.recipes import called
from tests.labeller import synthesised
from tests.labeller.learning.killed_synthesis import BATCH
from tests.labeller.learning.shapes import label, run, shapes
from tests.labeller.synthesised import children, hashes, project_of

ROOT = Path(__file__).resolve().parents[3]
COUNT = 10


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of 75 images, 45 of them labelled, with a model; tests work on copies."""
    root = tmp_path_factory.mktemp("taught") / "p"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HeadConfig", quick_head())
        project = shapes(root, 75, start_workers=False)
        label(project, range(1, 46))
        run(project)
    project.store.close()
    yield root
    shutil.rmtree(root)


def quick_head() -> object:
    from functools import partial

    return partial(heads.HeadConfig, epochs=3, steps=18)


@pytest.fixture
def project(taught: Path, tmp_path: Path) -> Project:
    """A copy of the project with a model."""
    shutil.copytree(taught, tmp_path / "p")
    return open_project(tmp_path / "p")


def split_of(project: Project, ids: set[int]) -> set[str]:
    with project.store.read() as unit:
        return {item.split for item in unit.items.many(sorted(ids)).values()}


@pytest.mark.parametrize(
    ("moment", "made"),
    [
        ("the plan is written, the run not entered", None),
        pytest.param("some are rendered, none is stored", 0, marks=pytest.mark.slow),
        ("inside the second transaction", BATCH),
        pytest.param("after the last transaction", COUNT, marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_gives_the_same_files(
    tmp_path: Path, moment: str, made: int | None
) -> None:
    project = project_of(tmp_path / "p", 18)
    synthesised.label(project, range(1, 19))
    plan = SynthesisPlan(count=COUNT, seed=21)
    synthesised.run(project, plan)
    expected = hashes(project, 1)
    synthesis.delete(project, 1)
    before = budget.meter(project).spent

    job = synthesis.start(project, plan)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.labeller.learning.killed_synthesis"),
            *(project.root, str(job.id), moment),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (reaped,) = jobs.reap(project)
    assert (reaped.id, reaped.state) == (job.id, "failed")
    views = [view for view in synthesis.runs(project) if view.run.state != "deleted"]
    if made is None:  # nothing was entered: it is begun anew
        assert views == []
        synthesised.run(project, plan)
    else:
        (view,) = views
        assert (view.run.made, view.run.spent) == (made, float(made))
        assert budget.meter(project).spent == before + made
        assert hashes(project, 2) == {place: expected[place] for place in range(made)}
        if made < COUNT:
            assert (view.run.state, view.resumable) == ("failed", True)
            assert "killed" in (view.run.error or "")
            synthesised.work(project, synthesised.claimed(project, synthesis.resume(project, 2)))
    assert hashes(project, 2) == expected
    assert synthesis.runs(project)[0].run.state == "done"
    assert budget.meter(project).spent == before + COUNT
    files = {file.name for file in (project.root / "synthetic" / "2").iterdir()}
    assert files - {"plan.json"} == {f"{place}.png" for place in range(COUNT)}


def test_balance_needs_no_torch(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    synthesised.label(project, range(1, 7))
    job = synthesis.start(project, SynthesisPlan(count=1, recipes={"hflip": {}}))
    project.store.close()
    code = (
        "import sys; from labeller import jobs; from labeller.project import open_project\n"
        f"ended = jobs.run(open_project({str(project.root)!r}), {job.id})\n"
        "assert ended.state == 'done', ended.error\n"
        "assert 'torch' not in sys.modules and 'augly' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_trial_children_are_predicted_as_they_look(project: Project) -> None:
    recipes = (called("random_noise"), called("hflip"))
    snapshot = take(project)
    labels = snapshot.part("train")
    some = Labels(labels.ids[:5], labels.columns[:5])
    parents = Parents(some.ids, some.columns, 3, recipes=recipes)
    arrays = Arrays(project, snapshot, 4, Silent())
    given, model_id = arrays.given(parents, Needs.LABELLED_PROBS | Needs.CHILD_PROBS)

    with project.store.read() as unit:
        record = unit.models.in_use()
        items = unit.items.many(some.ids.tolist())
    assert record is not None
    assert model_id == record.id
    model = load_model(project, record)
    ((ids, probs),) = model.probs(some.ids, Silent())
    assert ids.tolist() == given.ids.tolist() == some.ids.tolist()
    assert given.probs is not None
    assert given.child_probs is not None
    np.testing.assert_allclose(given.probs, np.asarray(probs, np.float64), atol=1e-6)
    rows = trial_plans(some.ids, recipes, np.random.default_rng([4, 3]))
    for r, plans in enumerate(rows):
        for n, plan in enumerate(plans):
            with Image.open(project.file(items[plan.parent].path)) as image:
                child = render(image.convert("RGB"), plan)
            seen = square(child, model.predictor.resize)
            logits = model.predictor.on_pixels(seen[None])
            wanted = np.exp(logits / model.temperature)
            np.testing.assert_allclose(given.child_probs[r, n], wanted[0] / wanted.sum(), atol=2e-3)


@pytest.mark.parametrize(
    ("strategy", "tried"), [("disagreement", {"train"}), ("weak_spots", {"valid"})]
)
def test_strategies_that_ask_the_model_never_see_the_audit_set(
    project: Project, monkeypatch: pytest.MonkeyPatch, strategy: str, tried: set[str]
) -> None:
    seen: set[int] = set()
    used: list[Parents] = []
    real, info = synthesis_rendering.rendered, strategy_called(strategy)

    def spy(*given: object, **named: object) -> object:
        wanted = list(given[1])  # type: ignore[call-overload]
        seen.update(one.item.id for one in wanted)
        return real(given[0], wanted, *given[2:], **named)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis_arrays, "rendered", spy)
    monkeypatch.setattr(synthesis_arrays, "MOST_TRIALS", 6)
    monkeypatch.setattr(synthesis_arrays, "LEAST_ITEMS", 6)
    given = Arrays.given

    def keep(self: Arrays, parents: Parents, needs: Needs) -> tuple[Parents, int | None]:
        found = given(self, parents, needs)
        used.append(found[0])
        return found

    monkeypatch.setattr(Arrays, "given", keep)
    limits = {"pixelization": {"ratio": (0.12, 0.13)}, "hflip": {}}
    told = synthesised.run(project, SynthesisPlan(strategy, 8, limits, seed=1))
    assert told["made"] == 8
    assert split_of(project, seen) == tried
    with project.store.read() as unit:
        there = sum(unit.labels.counts_by_class(*tried).values())  # type: ignore[arg-type]
    # small pictures render fast, so five times as many trials; two recipes share them
    assert len(seen) == min(6 * 5 // 2, there)
    assert split_of(project, {one.parent_id for one in children(project, 1)}) == {"train"}
    plans = info.plan(used[0], 8, np.random.default_rng(1))
    assert [one.plan for one in children(project, 1)] == [plan.to_json() for plan in plans]
    (view,) = synthesis.runs(project)
    with project.store.read() as unit:
        model = unit.models.in_use()
    assert model is not None
    assert view.run.model_id == model.id


def test_classes_that_changed_since_the_model_are_put_right(project: Project) -> None:
    with project.store.write() as unit:
        bars, disc, noise = (one.id for one in unit.classes.all())
        unit.classes.update(noise, archived=True, merged_into=disc)
        new = unit.classes.add("new", None, "#123456", 9).id
    snapshot = take(project)
    assert snapshot.class_ids == (bars, disc, new)
    labels = snapshot.part("train")
    parents = Parents(labels.ids[:4], labels.columns[:4], 3, recipes=(called("hflip"),))
    arrays = Arrays(project, snapshot, 0, Silent())
    given, _ = arrays.given(parents, Needs.LABELLED_PROBS | Needs.CHILD_PROBS)
    with project.store.read() as unit:
        record = unit.models.in_use()
    assert record is not None
    ((_, probs),) = load_model(project, record).probs(labels.ids[:4], Silent())
    wanted = np.stack([probs[:, 0], probs[:, 1] + probs[:, 2], np.zeros(4)], axis=1)
    assert given.probs is not None
    np.testing.assert_allclose(given.probs, wanted, atol=1e-5)


def test_mixtures_are_blended_from_their_owners(project: Project) -> None:
    told = synthesised.run(project, SynthesisPlan("latent_mixup", 6, seed=2))
    synthesised.run(project, SynthesisPlan("interpolate", 6, seed=2))
    synthesised.run(project, SynthesisPlan("balance", 2, {"hflip": {}}, seed=2))
    assert (told["made"], told["failed"]) == (6, 0)
    assert all(one.path is None for one in children(project, 1))
    where, snapshot = device.choose("cpu"), take(project)
    people = snapshot.part("train")
    features = open_features(project, snapshot.ids)
    found = gather(project, snapshot.class_ids, people)
    assert found is not None
    known = ready(project, found, people, 3, features, where, Silent())
    assert known.vectors is not None
    assert known.targets is not None
    assert len(known) == 14
    column = dict(zip(people.ids.tolist(), people.columns.tolist(), strict=True))
    for row, one in enumerate(known.records[:12]):
        weight, partner = one.plan["parameters"]["weight"], one.plan["parameters"]["partner"]
        first, second = features.read(np.array([one.parent_id, partner]))
        np.testing.assert_allclose(
            known.vectors[row], weight * first + (1 - weight) * second, rtol=1e-4, atol=1e-4
        )
        target = np.zeros(3)
        target[column[one.parent_id]] += weight
        target[column[partner]] += 1 - weight
        np.testing.assert_allclose(known.targets[row], target, atol=1e-6)
    assert known.targets[6:12].max(axis=1).tolist() == [1.0] * 6  # both of one class
    trunk = features.backbone.load()
    for row, one in enumerate(known.records[12:], 12):
        pixels = square_of(project.file(one.path or ""), features.recipe.resize, 10**6)
        wanted = extract(trunk, features.recipe, pixels[None], where)[0]
        np.testing.assert_allclose(known.vectors[row], wanted, rtol=2e-3, atol=2e-3)
        assert known.targets[row].tolist() == np.eye(3)[column[one.parent_id]].tolist()


def test_only_children_whose_owners_stand_teach(project: Project) -> None:
    synthesised.run(project, SynthesisPlan("balance", 4, {"hflip": {}}, seed=2))
    synthesised.run(project, SynthesisPlan("latent_mixup", 6, seed=5))
    snapshot = take(project)
    people = snapshot.part("train")
    whole = gather(project, snapshot.class_ids, people)
    assert whole is not None
    pictures, mixtures = children(project, 1), children(project, 2)
    assert len(whole) == 10
    synthesis.judge(project, [pictures[0].id], "drop", "ann")
    partner = int(mixtures[0].plan["parameters"]["partner"])
    without = Labels(people.ids[people.ids != partner], people.columns[people.ids != partner])
    found = gather(project, snapshot.class_ids, without)
    assert found is not None
    assert pictures[0].id not in found.ids
    assert mixtures[0].id not in found.ids
    assert not np.isin(found.owners, partner).any()
    assert found.digest != whole.digest
    inside = whole.within(people.ids[:9])
    wanted = [
        one.id
        for one, owners in zip(whole.records, whole.owners.tolist(), strict=True)
        if set(owners) <= set(people.ids[:9].tolist())
    ]
    assert inside.ids.tolist() == wanted
    assert 0 < len(wanted) < 10
    parent = pictures[1].parent_id
    assert pictures[1].id in whole.ids
    label(project, [parent], kinds=[int(people.columns[people.ids == parent][0] + 1) % 3])
    now = take(project)
    again = gather(project, now.class_ids, now.part("train"))
    assert again is not None
    assert pictures[1].id not in again.ids
    assert pictures[2].id in again.ids or pictures[2].parent_id == parent


def test_joined_examples_are_hard_or_shared() -> None:
    own = Labelled(torch.zeros(3, 2), torch.tensor([0, 2, 1]))
    hard = joined(own, torch.ones(2, 2), torch.tensor([[0.0, 1, 0], [0, 0, 1]]))
    assert hard.y.tolist() == [0, 2, 1, 1, 2]
    assert hard.x[3:].tolist() == [[1, 1], [1, 1]]
    soft = joined(own, torch.ones(1, 2), torch.tensor([[0.75, 0.25, 0]]))
    assert soft.y.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0.75, 0.25, 0]]
    assert absent_classes(soft.y, 3).tolist() == [0, 0, 0]
    assert absent_classes(torch.tensor([[0.5, 0.5, 0.0]]), 3)[2] < -1_000


def test_fine_tuning_reads_the_pictures_of_children(project: Project) -> None:
    synthesised.run(project, SynthesisPlan("balance", 3, {"hflip": {}}, seed=2))
    synthesised.run(project, SynthesisPlan("latent_mixup", 3, seed=2))
    snapshot = take(project)
    people = snapshot.part("train")
    found = gather(project, snapshot.class_ids, people)
    assert found is not None
    used = ready(project, found, people, 3, None, device.choose("cpu"), Silent())
    assert (len(used), used.left_out) == (3, 3)
    images = load_images(project, people, Resize(16), Silent(), used).examples
    assert images.x.shape == (len(people) + 3, 16, 16, 3)
    assert images.y[-3:].tolist() == used.columns.tolist()
    for row, one in enumerate(used.records, len(people)):
        wanted = square_of(project.file(one.path or ""), Resize(16), 10**6)
        assert np.array_equal(images.x[row].numpy(), wanted)
    project.file(used.records[0].path or "").unlink()
    fewer = load_images(project, people, Resize(16), Silent(), used)
    assert len(fewer.examples) == len(images) - 1
    assert fewer.synthetic is not None
    assert fewer.synthetic.ids.tolist() == used.ids.tolist()[1:]
    parent = used.owners[1, 0]
    with project.store.read() as unit:
        project.file(unit.items.many([int(parent)])[int(parent)].path).unlink()
    orphaned = load_images(project, people, Resize(16), Silent(), used)
    assert [one.item_id for one in orphaned.lost] == [parent]
    assert orphaned.synthetic is not None
    assert parent not in orphaned.synthetic.owners
    assert len(orphaned.examples) == len(orphaned.labels) + len(orphaned.synthetic)


@pytest.mark.usefixtures("quick")
def test_features_of_children_are_kept_and_follow_the_recipe(project: Project) -> None:
    synthesised.run(project, SynthesisPlan("balance", 3, {"hflip": {}}, seed=2))
    stray = project.vectors / f"{PREFIX}features-of-another-recipe.f16"
    stray.write_bytes(b"old")
    told = run(project)
    assert not stray.exists()
    assert "synthetic" in told["timings"]
    with project.store.read() as unit:
        model = unit.models.in_use()
    assert model is not None
    assert model.config["synthetic"] == 3
    features = open_features(project, take(project).ids)
    file = project.vectors / f"{PREFIX}{features.recipe.file}"
    stamp = file.stat().st_mtime_ns
    run(project)
    assert file.stat().st_mtime_ns == stamp
    assert features_of(project, features.recipe).having(np.arange(1, 76)).tolist() == list(
        range(1, 76)
    )


def test_samples_are_drawn_by_the_seed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis_arrays, "MOST_TRIALS", 20)
    monkeypatch.setattr(synthesis_arrays, "MOST_TIMES", 1.0)
    snapshot = take(project)
    labels = snapshot.part("train")
    drawn = Arrays(project, snapshot, 3, Silent()).sample(labels, 2, 1)
    assert len(drawn) == 10
    assert drawn.ids.tolist() == sorted(drawn.ids.tolist())
    again = Arrays(project, snapshot, 3, Silent()).sample(labels, 2, 1)
    assert again.ids.tolist() == drawn.ids.tolist()
    other = Arrays(project, snapshot, 4, Silent()).sample(labels, 2, 1)
    assert other.ids.tolist() != drawn.ids.tolist()
    assert len(Arrays(project, snapshot, 3, Silent()).sample(labels, 20, 1)) == 8
    assert np.isin(drawn.ids, labels.ids).all()


def test_without_a_model_or_validation_labels_the_job_says_so(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", 6)
    synthesised.label(project, [1, 2])
    arrays = Arrays(project, take(project), 0, Silent())
    parents = Parents(np.array([1, 2]), np.array([1, 2]), 3)
    with pytest.raises(SynthesisError, match="no model yet"):
        arrays.given(parents, Needs.LABELLED_PROBS | Needs.CHILD_PROBS)


def test_children_of_a_class_count_for_the_next_run(project: Project) -> None:
    with project.store.read() as unit:
        first = unit.classes.all()[0].id
    limits: dict[str, Limits] = {"hflip": {}, "vflip": {}}
    synthesised.run(project, SynthesisPlan("balance", 4, limits, seed=1, classes=(first,)))
    synthesised.run(project, SynthesisPlan("balance", 8, limits, seed=2))
    made = Counter(one.class_id for one in children(project, 2))
    assert sorted(made.values()) == [4, 4]  # the others catch up with the first
    assert first not in made
