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
from labeller.learning.training import Calibration
from labeller.progress import Silent
from labeller.services import budget, energies, unfamiliar
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
    values = np.random.default_rng(1).permutation(np.arange(1.0, 41.0))
    assert energies.threshold(values) == 39.0  # of 40, the rank is ceil(0.95 * 41) = 39
    assert energies.threshold(np.arange(1.0, 101.0)) == 96.0  # ceil(0.95 * 101)
    assert energies.threshold(values[:39]) is None


def test_one_in_twenty_of_the_same_kind_lies_above() -> None:
    rng = np.random.default_rng(2)
    above = [
        float(np.mean(rng.normal(size=400) > (energies.threshold(rng.normal(size=60)) or 0)))
        for _ in range(300)
    ]
    assert 0.03 < np.mean(above) < 0.05


def test_what_the_threshold_is_taken_from(tmp_path: Path) -> None:
    logits = np.zeros((50, 2), np.float32)
    logits[:, 0] = np.arange(50)
    truth = np.zeros(50, np.int64)
    truth[45:] = 1  # a class without a training label: left out, though its logits are extreme
    calibration = Calibration(2.0, "validation", 45, 1.0, 50, logits, truth)
    file = VectorFile.open(tmp_path / "e.f32", 1, "float32")
    file.write([3, 4, 5], [[-0.5], [-30.0], [-1.0]])
    labels = Labels(np.array([1, 2]), np.array([0, 0]))
    found = energy.familiarity(calibration, labels, file, np.array([3, 4, 5, 6]))
    # energies fall from -log 2 on; of 45 the rank is ceil(43.7) = 44: the second highest
    assert found.threshold == pytest.approx(-np.log(np.exp(0.5) + 1))
    assert (found.n, found.audit_n, found.audit_above) == (45, 3, 1)
    assert found.to_json()["audit_share"] == pytest.approx(1 / 3)
    assert energies.kept({energies.KEY: found.to_json()}) == found
    few = energy.familiarity(
        Calibration(1.0, "validation", 9, 1.0, 9, logits[:9], truth[:9]), labels, file, labels.ids
    )
    assert (few.threshold, few.n, few.share) == (None, 9, None)


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
    assert f"there are {model.metrics['energy']['n']} of the 40" in (few.why_not or "")

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
