"""Energies: by hand and by SciPy, the threshold by hand, and what a round keeps and lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

from labeller.errors import CleaningError
from labeller.learning import energy
from labeller.learning.saved import load_model
from labeller.learning.snapshot import Labels
from labeller.progress import Silent
from labeller.services import budget, energies, unfamiliar
from labeller.services.energies import Familiarity
from store.vectors import VectorFile
from tests.labeller.learning.shapes import label, run, shapes


def test_energy_by_hand_and_by_scipy() -> None:
    # two equal logits: minus (logit + log 2); the temperature divides the logits
    assert energy.calibrated(np.array([[3.0, 3.0]]), 1.0)[0] == pytest.approx(-3 - np.log(2))
    assert energy.calibrated(np.array([[4.0, 0.0]]), 2.0)[0] == pytest.approx(
        -np.log(np.exp(2) + 1)
    )
    logits = np.random.default_rng(0).normal(0, 20, (200, 7)).astype(np.float32)
    expected = -logsumexp(logits.astype(np.float64) / 1.7, axis=1)
    np.testing.assert_allclose(energy.calibrated(logits, 1.7), expected, rtol=1e-12)


def test_the_threshold_by_hand() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1.0, 101.0))
    assert energies.threshold(values) == 96.0  # of 100, the rank is ceil(0.95 * 101) = 96
    assert energies.threshold(np.arange(1.0, 201.0)) == 191.0  # ceil(0.95 * 201)
    assert energies.threshold(values[:99]) is None


def test_one_in_twenty_of_the_same_kind_lies_above() -> None:
    rng = np.random.default_rng(2)
    above = [
        float(np.mean(rng.normal(size=400) > (energies.threshold(rng.normal(size=100)) or 0)))
        for _ in range(300)
    ]
    assert 0.03 < np.mean(above) < 0.05


def test_what_the_threshold_is_taken_from(tmp_path: Path) -> None:
    file = VectorFile.open(tmp_path / "e.f32", 1, "float32")
    ids = np.arange(1, 321)
    file.write(ids[:310], ids[:310, None].astype(np.float32))
    known = Labels(np.array([400, 401]), np.array([0, 1]))
    columns = np.where(ids <= 5, 2, ids % 2)  # a class without a training label: left out
    all_labelled = energy.familiarity(file, Labels(ids, columns), known, np.array([], np.int64))
    # 305 images with an energy, of which the rank is ceil(0.95 * 306) = 291, from 6 on
    assert (all_labelled.threshold, all_labelled.n, all_labelled.labelled) == (296.0, 305, 305)
    some = energy.familiarity(file, Labels(ids[:50], columns[:50]), known, ids[50:200])
    assert (some.n, some.labelled) == (195, 45)
    assert some.threshold == 5 + np.ceil(0.95 * 196)
    many = energy.familiarity(file, Labels(ids[:250], columns[:250]), known, ids[250:])
    assert (many.n, many.labelled) == (245, 245), "images without a label have no say"
    few = energy.familiarity(file, Labels(ids[:50], columns[:50]), known, ids[50:60])
    assert (few.threshold, few.n, few.shares) == (None, 55, None)
    assert energies.kept({energies.KEY: some.to_json()}) == some


def test_how_exact_a_threshold_is() -> None:
    known = Familiarity(1.0, 1_000, 1_000)
    assert known.shares is not None
    low, high = known.shares
    rng = np.random.default_rng(0)
    above = []
    for _ in range(300):
        values = rng.random(1_000)
        above.append(1 - (energies.threshold(values) or 0))
    assert np.quantile(above, [0.025, 0.975]) == pytest.approx([low, high], abs=0.003)
    assert "of familiar images 3.7 to 6.4 % lie above" in energies.told(known)
    assert "20 of them without a label" in energies.told(Familiarity(1.0, 120, 100))


def test_a_model_of_before_says_what_its_threshold_was_taken_from() -> None:
    old = {"threshold": -2.0, "n": 45, "audit_n": 3, "audit_above": 1, "audit_share": 1 / 3}
    known = energies.kept({energies.KEY: old})
    assert known == Familiarity(-2.0, 45, None)
    assert known.shares is None
    assert "45 labelled validation images" in energies.told(known)


@pytest.mark.usefixtures("quick")
def test_a_round_keeps_energies_and_lists_what_is_unfamiliar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shapes(tmp_path / "p", 60, start_workers=False)
    assert "no model yet" in (unfamiliar.listing(project).why_not or "")
    label(project, range(1, 31))
    run(project, batch=5)
    with project.store.read() as unit:
        model = unit.models.in_use()
        assert model is not None
        record = unit.predictions.get(model.id)
        items = unit.items.many(range(31, 61))
    assert record is not None
    path = energies.path_of(project.file(record.file))
    kept = VectorFile.open(path, 1, "float32", "round-0000")
    trained = load_model(project, model)
    ids, logits = trained.logits(np.arange(1, 61), Silent())
    expected = -logsumexp(logits.astype(np.float64) / trained.temperature, axis=1)
    np.testing.assert_allclose(kept.read(ids)[:, 0], expected, rtol=1e-4)
    few = unfamiliar.listing(project)
    assert (model.metrics["energy"]["threshold"], few.total) == (None, 0)
    assert f"there are {model.metrics['energy']['n']} of the 100" in (few.why_not or "")

    monkeypatch.setattr(energies, "FEWEST", 3)
    monkeypatch.setattr(energies, "QUANTILE", 0.5)
    label(project, [31])
    run(project, batch=5)
    assert not path.exists(), "superseded with its predictions"
    path = project.vectors / "energies-round-0001.f32"
    far = [i for i, one in items.items() if one.split != "audit" and i > 31][:2]
    sealed = next(i for i, one in items.items() if one.split == "audit")
    VectorFile.open(path, 1, "float32", "round-0001").write(
        [*far, sealed], [[98.0], [99.0], [99.5]]
    )
    found = unfamiliar.listing(project)
    assert [one.item.id for one in found.shown[:2]] == far[::-1]
    assert [one.energy for one in found.shown[:2]] == [99.0, 98.0]
    assert sealed not in [one.item.id for one in found.shown]
    assert found.pool.max() == 99.0

    key = unfamiliar.decide(project, far[1], None, "anna", "s")
    with project.store.read() as unit:
        event = unit.labels.history(far[1])[-1]
        assert (event.kind, event.reason) == ("skip", unfamiliar.NONE_OF_THESE)
    assert unfamiliar.listing(project).total == found.total - 1
    with pytest.raises(CleaningError):
        unfamiliar.undo(project, far[1], key, "ben", "t")
    unfamiliar.undo(project, far[1], key, "anna", "s")
    assert unfamiliar.listing(project).total == found.total
    with project.store.read() as unit:
        disc = unit.classes.all()[1].id
    unfamiliar.decide(project, far[0], disc, "anna", "s")
    assert unfamiliar.listing(project).shown[0].item.id == far[1]
    with project.store.read() as unit:
        spent = unit.budget.get().spent
    budget.set_total(project, spent)
    with pytest.raises(CleaningError, match="budget is spent"):
        unfamiliar.decide(project, far[1], disc, "anna", "s")
    assert energies.path_of(path.with_name("predictions-round-0001.f32")) == path
    energies.delete(path.with_name("predictions-round-0001.f32"))
    assert not list(project.vectors.glob("energies-*"))
    assert "no energies" in (unfamiliar.listing(project).why_not or "")
