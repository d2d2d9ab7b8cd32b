"""A model put in use again predicts the pool anew: whole, cancelled, or replaced meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from labeller.cli import cli
from labeller.errors import JobCancelled, PredictionError, StreamRunError
from labeller.learning import predictors, tidy
from labeller.learning.pool_job import run_pool_job
from labeller.learning.saved import load_model
from labeller.progress import Silent
from labeller.project import Project
from labeller.services import energies, model_shelf, pool_predictions, propagation, unfamiliar
from labeller.services.propagation import PropagationPlan
from labeller.services.streams_pool import source_of
from store.records import JobRecord
from tests.labeller.learning.shapes import Told, label, run, shapes
from tests.labeller.streaming import do_jobs

pytestmark = pytest.mark.usefixtures("quick")
IDS = np.arange(1, 61)


@pytest.fixture
def back(tmp_path: Path) -> Project:
    """A project of two rounds whose first model is in use again."""
    project = shapes(tmp_path / "p", 60, start_workers=False)
    label(project, range(1, 31))
    first = run(project, batch=5)
    label(project, range(31, 40))
    run(project, batch=5)
    model_shelf.use(project, first["model"])
    return project


def claimed(project: Project, model: int) -> JobRecord:
    """Submit the job and claim it."""
    job = pool_predictions.start(project, model)
    assert job is not None
    with project.store.write() as unit:
        mine = unit.jobs.claim("here", 1, job_id=job.id)
    assert mine is not None
    return mine


def test_all_that_a_model_is_for_works_again(
    back: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energies, "FEWEST", 3)
    with (
        back.store.read() as unit,
        pytest.raises(StreamRunError, match=r"no predictions any more.*models PROJECT --use 1"),
    ):
        source_of(back, unit)
    assert "Predict the pool" in (propagation.outlook(back, PropagationPlan()).why_not or "")
    assert "--use 1" in (unfamiliar.listing(back).why_not or "")
    assert [one.predicted for one in model_shelf.shelf(back)] == [True, False]
    (back.root / "images" / "0059.png").unlink()  # its features are there: no image is read

    assert pool_predictions.start(back, 1) is not None
    done = do_jobs(back)
    assert (done.error, done.result) == (None, {"model": 1, "predicted": 60, "unreadable": 0})
    with back.store.read() as unit:
        source, record = source_of(back, unit), unit.predictions.get(1)
        model = unit.models.get(1)
    assert record is not None
    trained = load_model(back, model)
    (_, probs), *_ = trained.probs(IDS, Silent())
    np.testing.assert_allclose(source.file.read(IDS), probs)
    assert (record.items, record.temperature) == (60, trained.temperature)
    assert propagation.outlook(back, PropagationPlan()).why_not is None
    assert "energies" not in (unfamiliar.listing(back).why_not or "")
    assert [one.predicted for one in model_shelf.shelf(back)] == [True, True]
    assert pool_predictions.start(back, 1) is None


def test_what_was_cancelled_goes_on_and_no_round_removes_it(
    back: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictors, "STEP", 25)
    job = claimed(back, 1)
    with pytest.raises(JobCancelled):
        run_pool_job(back, job, Told("predict", JobCancelled("stop")))
    with back.store.write() as unit:
        unit.jobs.finish(job.id, "cancelled")
        assert unit.predictions.get(1) is None
    assert tidy.leftovers(back) == []
    told = Told()
    assert run_pool_job(back, claimed(back, 1), told)["predicted"] == 60
    assert told.totals("predict") == {35}


def test_a_model_that_is_replaced_meanwhile_keeps_nothing(
    back: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Replaced(Told):
        def update(self, stage: str, *given: Any, **detail: Any) -> None:
            if stage == "predict":
                model_shelf.use(back, 2)
                tidy.leftovers(back)

    monkeypatch.setattr(predictors, "STEP", 25)
    job = claimed(back, 1)
    with pytest.raises(PredictionError, match="place of model 1 before it had predicted the pool"):
        run_pool_job(back, job, Replaced())
    with back.store.write() as unit:
        unit.jobs.finish(job.id, "failed")
    assert {path.name for path in back.vectors.glob("*-round-*")} == {
        f"{kind}-round-0001.f32{end}"
        for kind in ("predictions", "energies")
        for end in ("", ".has", ".sum")
    }
    monkeypatch.undo()
    model_shelf.use(back, 1)
    with pytest.raises(PredictionError, match="place of model 1"):  # when all is predicted by then
        run_pool_job(back, claimed(back, 1), Replaced())
    with back.store.read() as unit:
        assert unit.predictions.get(1) is None


@pytest.mark.parametrize("state", ["done", "failed"])
def test_the_command_that_puts_a_model_in_use_waits_for_its_predictions(
    back: Project, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    def follow(project: Project, job: JobRecord) -> tuple[JobRecord, bool]:
        assert job.params == {"model": 1}
        if state == "failed":
            (back.models / "round-0000" / "weights.pt").unlink()
        return do_jobs(project), False

    monkeypatch.setattr("labeller.cli.models.follow", follow)
    model_shelf.use(back, 2)
    found = CliRunner().invoke(cli, ["models", str(back.root), "--use", "1"])
    assert (found.exit_code == 0) == (state == "done")
    said = "It predicts the pool anew." if state == "done" else "cannot be loaded"
    assert said in found.output
    with back.store.read() as unit:
        assert unit.models.get(1).in_use
        assert pool_predictions.there(back, unit, unit.models.get(1)) == (state == "done")


def test_only_the_model_in_use_predicts_and_only_once(back: Project) -> None:
    job = pool_predictions.start(back, 1)
    assert pool_predictions.start(back, 1) == job
    assert pool_predictions.start(back, 2) is None
    with back.store.write() as unit:
        unit.predictions.drop(2)
    with pytest.raises(PredictionError, match="Model 2 is not in use"):
        pool_predictions.start(back, 2)
    model_shelf.use(back, 2)
    other = pool_predictions.start(back, 2)
    with back.store.read() as unit:
        active = unit.jobs.active(pool_predictions.KIND)
    assert active == [other]
