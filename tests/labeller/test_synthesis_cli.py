"""The command `synthesise`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from labeller import jobs
from labeller.cli import cli
from labeller.cli import rounds as waiting
from labeller.project import Project
from labeller.services import budget
from labeller.services.status import status
from store.records import JobRecord
from tests.labeller.synthesised import claimed, hashes, label, project_of, work

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of 18 labelled pictures, whose jobs are done in this process."""
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    made = project_of(tmp_path / "p", 18, synthetic_price=0.5)
    label(made, range(1, 19))

    def at_once(project: Project, job: JobRecord) -> tuple[JobRecord, bool]:
        try:
            work(project, claimed(project, job))
        except Exception:  # the row says why
            assert jobs.control.get(project, job.id).state == "failed"
        return jobs.control.get(project, job.id), False

    monkeypatch.setattr("labeller.cli.synthesis.follow", at_once)
    return made


def here(project: Project, *words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["synthesise", str(project.root), *words])
    return result.exit_code, result.stdout, result.stderr


def json_of(project: Project, *words: str) -> dict[str, Any]:
    code, out, err = here(project, *words, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_make_delete_and_make_again(project: Project) -> None:
    words = ("--count", "6", "--recipe", "hflip", "--recipe", "crop", "--seed", "4")
    told = json_of(project, *words)
    assert (told["run"], told["state"], told["strategy"], told["seed"]) == (1, "done", "balance", 4)
    assert (told["planned"], told["made"], told["failed"], told["unchanged"]) == (6, 6, 0, 0)
    assert (told["spent"], told["budget_left"], told["job"]) == (3.0, None, 1)
    first = hashes(project, 1)
    gone = json_of(project, "--delete", "1")
    assert (gone["run"], gone["deleted"], gone["refunded"]) == (1, 6, 3.0)
    json_of(project, *words)
    assert hashes(project, 2) == first
    assert status(project)["synthetic"] == {"items": 6, "runs": 1}
    assert (
        "made     6 synthetic items\n"
        in CliRunner().invoke(cli, ["status", str(project.root)]).output
    )
    code, out, _ = here(project, "--delete", "2")
    assert (code, out) == (0, "Deleted run 2: 6 items; 3 given back.\n")
    assert status(project)["synthetic"] == {"items": 0, "runs": 0}


def test_a_dry_run_makes_nothing(project: Project) -> None:
    budget.set_total(project, 20)
    told = json_of(project, "--dry-run", "--count", "9", "--class", "b")
    assert (told["wanted"], told["possible"], told["cost"], told["left"]) == (9, 4, 2.0, 2.0)
    by_name = {one["name"]: one for one in told["classes"]}
    assert [by_name[name]["planned"] for name in "abc"] == [0, 4, 0]
    assert by_name["b"]["after"] == by_name["b"]["labels"] + 4
    code, out, _ = here(project, "--dry-run", "--count", "9")
    assert code == 0
    assert "balance: 4 items of 12 labelled training images, for 2 (0.5 each; 2 left)." in out
    assert "The budget pays 4 of 9 items." in out
    with project.store.read() as unit:
        assert unit.jobs.all() == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--recipe", "blurr"), "Did you mean 'blur'"),
        (("--class", "z"), "There is no class 'z'. Classes: a, b, c."),
        (("--strategy", "smote"), "'smote' is no synthesis strategy"),
        (("--strategy", "weak_spots"), "Start a round first"),
        (("--strategy", "weak_spots", "--dry-run"), "Start a round first"),
        (("--delete", "7"), "no synthesis run with number 7"),
        (("--resume", "7"), "no synthesis run with number 7"),
    ],
)
def test_what_cannot_be_is_said(project: Project, words: tuple[str, ...], why: str) -> None:
    code, out, err = here(project, *words)
    assert (code, out) == (1, "")
    assert why in err


def test_options_that_exclude_each_other(project: Project) -> None:
    code, _, err = here(project, "--resume", "1", "--delete", "1")
    assert code == 2
    assert "exclude each other" in err


def test_a_stopped_run_says_how_to_go_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from labeller.services import synthesis_making

    def full(*_given: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(synthesis_making, "sync_file", full)
        code, _, err = here(project, "--count", "3", "--recipe", "hflip")
    assert code == 1
    assert "Run 1: 0 of 3 items are made and stay." in err
    assert f"labeller synthesise {project.root} --resume 1" in err
    assert "No space left" in err
    told = json_of(project, "--resume", "1")
    assert (told["run"], told["made"], told["state"]) == (1, 3, "done")


def test_it_waits_for_a_job_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LABELLER_START_WORKERS", "true")
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.05)
    project = project_of(tmp_path / "p", 6)
    label(project, range(1, 7))
    code, out, err = here(project, "--count", "2", "--recipe", "hflip", "--seed", "9")
    assert code == 0, err
    assert out.startswith("Run 1 (balance, seed 9): 2 of 2 items made, for 2, in ")
    assert "The next round learns from them: labeller round" in out
