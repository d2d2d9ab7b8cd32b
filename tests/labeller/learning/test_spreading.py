"""Label spreading: against the closed form, beyond the graph, calibrated, and as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from labeller.learning import spreading
from labeller.learning.calibration import fit_temperature, probabilities
from labeller.learning.snapshot import Labels
from labeller.services import propagation, streams
from labeller.services.propagation import PropagationPlan
from tests.labeller.learning.shapes import label, run, shapes
from tests.labeller.streaming import do_jobs

Floats = npt.NDArray[np.floating[Any]]


def clouds(n: int, seed: int = 0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return points (n, 3) of length one around three axes, and which axis each is near."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 3
    points = np.eye(3)[kinds] + rng.normal(0, 0.25, (n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True), kinds


def closed_form(vectors: Floats, columns: npt.NDArray[np.int64], classes: int) -> Floats:
    """Return (1 − α)(I − αS)⁻¹Y with S by hand from the nearest neighbours of every point."""
    n, k = len(vectors), spreading.NEIGHBOURS
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    weights = np.zeros((n, n))
    for row in range(n):
        weights[row, np.argsort(distances[row], kind="stable")[:k]] = 1  # itself among them
    np.fill_diagonal(weights, 0)
    degree = weights.sum(axis=0)
    degree[degree == 0] = 1
    similar = weights / np.sqrt(degree[:, None] * degree[None])
    known = np.zeros((n, classes))
    labelled = columns >= 0
    known[labelled, columns[labelled]] = 1
    found = (1 - spreading.ALPHA) * np.linalg.solve(np.eye(n) - spreading.ALPHA * similar, known)
    total = found.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    return shares


def test_the_closed_form() -> None:
    vectors, kinds = clouds(60)
    columns = np.full(60, -1)
    columns[[0, 1, 2, 5, 9]] = [0, 1, 3, 3, 0]  # four classes, of which the third has no label
    shares = spreading.spread_over(vectors, columns, 4)
    np.testing.assert_allclose(shares, closed_form(vectors, columns, 4), atol=2e-4)
    assert (shares[:, 2] == 0).all()
    right = np.where(kinds == 2, 3, kinds)
    assert (shares.argmax(axis=1) == right).mean() > 0.9


def test_beyond_the_graph_and_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "NODES", 100)
    vectors, kinds = clouds(401)
    ids = np.arange(1, 401)  # item i is row i
    train = Labels(ids[:30], kinds[1:31])
    wrong = kinds[31:61].copy()
    wrong[:3] = (wrong[:3] + 1) % 3
    valid = Labels(ids[30:60], wrong)
    found = spreading.spread(
        train, valid, ids[60:], 3, lambda i: vectors[i], np.random.default_rng(0)
    )
    assert len(found.nodes) == 100
    assert set(train.ids) <= set(found.nodes)
    kept = np.isin(valid.ids, found.nodes)
    assert (found.valid_n, int(kept.sum())) == (10, 10), "a tenth of the nodes at most"

    columns = np.full(100, -1)
    columns[np.searchsorted(found.nodes, train.ids)] = train.columns
    shares = closed_form(vectors[found.nodes], columns, 3)
    at = np.searchsorted(found.nodes, valid.ids[kept])
    logits = np.log(np.maximum(shares[at], spreading.FLOOR))
    temperature = fit_temperature(logits, valid.columns[kept])
    assert found.temperature == pytest.approx(temperature, rel=0.02)
    assert found.valid_accuracy == pytest.approx(
        (shares[at].argmax(axis=1) == valid.columns[kept]).mean()
    )

    outside = np.setdiff1d(ids[60:], found.nodes)[:20]
    asked = np.concatenate([outside[:10], found.nodes[-5:], outside[10:]])
    probs = found.probs(asked, lambda i: vectors[i])
    expected = []
    for item in asked:
        near = np.argsort(((vectors[item] - vectors[found.nodes]) ** 2).sum(axis=1))
        own = np.flatnonzero(found.nodes == item)
        expected.append(shares[own if len(own) else near[: spreading.NEIGHBOURS]].mean(axis=0))
    by_hand = probabilities(np.log(np.maximum(expected, spreading.FLOOR)), found.temperature)
    np.testing.assert_allclose(probs, by_hand, atol=2e-3)
    assert (probs.argmax(axis=1) == kinds[asked]).mean() > 0.85


def test_nothing_to_calibrate_on_and_nothing_that_comes() -> None:
    far = np.array([[1.0, 0], [0.99, 0.14], [-1, 0], [-0.99, 0.14]])
    ids = np.arange(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spreading, "NEIGHBOURS", 2)  # itself and one more: two islands
        found = spreading.spread(
            Labels(ids[:1], np.array([1])),
            Labels(ids[:0], ids[:0]),
            ids[1:],
            2,
            lambda i: far[i],
            np.random.default_rng(0),
        )
        probs = found.probs(ids, lambda i: far[i])
    assert (found.temperature, found.valid_n, found.valid_accuracy) == (1.0, 0, None)
    assert probs[1, 1] > 0.99
    np.testing.assert_allclose(probs[2:], 0.5)


@pytest.mark.usefixtures("quick")
def test_as_a_job(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60, start_workers=False)
    label(project, range(1, 31))
    run(project, batch=5)
    with project.store.write() as unit:
        unit.queue.replace([])
    before = propagation.outlook(project, PropagationPlan("spreading"))
    assert (before.why_not, before.classes, before.items) == (None, (), 24)
    started = propagation.start(project, PropagationPlan("spreading", 0.6, audit_share=0.0))
    done = do_jobs(project)
    assert (done.state, done.error) == ("done", None)
    view = streams.view_of(project, started.id, "propagation")
    assert view.run.machine["passed"] == 24
    assert view.run.machine["nodes"] == 48, "48 of 60 items lie outside the audit set"
    assert view.run.machine["valid_n"] == 6
    with project.store.read() as unit:
        ids, classes, sure = unit.generated_labels.accepted(started.id)
        known = [one.id for one in unit.classes.all()]
        splits = {one.split for one in unit.items.many(ids.tolist()).values()}
    assert len(ids) > 12
    assert splits == {"train", "valid"}
    assert (sure >= 0.6).all()
    right = [known[(item - 1) % 3] for item in ids.tolist()]
    assert np.mean(classes == right) > 0.8
