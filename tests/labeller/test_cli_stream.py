"""`labeller stream`: tried, run in a job process, audited, judged; what cannot be is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from labeller.cli import cli
from labeller.project import Project, change_settings
from labeller.services import propagation, streams
from tests.labeller.streaming import do_jobs, fixed, pool, say


def call(*arguments: object, code: int = 0) -> str:
    """Run a command in this process and return what it prints on stdout."""
    done = CliRunner().invoke(cli, [str(one) for one in arguments])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def said(*arguments: object) -> dict[str, Any]:
    """Run a command with --json and return its object."""
    found: dict[str, Any] = json.loads(call(*arguments, "--json"))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of 200 items that a model judges, and a budget of 40."""
    sure = np.random.default_rng(0).uniform(0.5, 1, 200).tolist()
    return pool(tmp_path / "p", sure, budget=40)


def test_a_stream_from_the_command_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ann")
    root = project.root
    tried = said("stream", root, "--dry-run", "--ask", 20)
    counts = [tried[name] for name in ("asked", "accepted", "deferred", "unreached")]
    assert sum(counts) == tried["seen"] == 200
    assert tried["curve"]["asked"][-1] == tried["asked"] <= 20
    assert "Nothing was written. Of 200 items" in call("stream", root, "--dry-run", "--ask", 20)
    with project.store.read() as unit:
        assert unit.generated.all() == []
    change_settings(project, start_workers=True)
    made = said("stream", root, "--ask", 20)
    assert [made[name] for name in ("asked", "accepted", "deferred", "unreached")] == counts
    assert (made["run"], made["state"], made["verdict"]) == (1, "finished", "open")
    audited = said("stream", root, "--audit", 1)
    assert audited["queued"] > 0
    assert audited["audit"]["open"] >= audited["queued"]
    with project.store.read() as unit:
        item = int(unit.generated_labels.audit_open(1)[0])
    say(project, item, 0)
    assert said("stream", root, "--accept", 1)["verdict"] == "accepted"
    back = said("stream", root, "--roll-back", 1)
    assert (back["verdict"], back["audit"]["open"]) == ("rolled_back", 0)
    assert "finished, open" in call("stream", root, "--reopen", 1)


def test_a_threshold_and_options_as_on_the_page(project: Project) -> None:
    root = project.root
    tried = said("stream", root, "--threshold", 0.6, "--dry-run")
    plan = streams.StreamPlan("fixed_threshold", options={"threshold": 0.6})
    assert tried["asked"] == streams.dry_run(project, plan).asked > 0
    assert tried["expected_errors_interval"][0] <= tried["expected_errors"]
    assert tried["audit_labels"] == 0
    tried = said("stream", root, "--dry-run")
    assert tried["asked"] == streams.dry_run(project, streams.StreamPlan()).asked
    given = ("--strategy", "split", "--option", "step=0.1", "--threshold", 0.7)
    tried = said("stream", root, *given, "--option", "share = 0", "--dry-run")
    options = {"step": 0.1, "share": 0.0, "threshold": 0.7}
    plan = streams.StreamPlan("split", options=options)
    assert tried["asked"] == streams.dry_run(project, plan).asked
    assert "no audit label bears that out yet" in call("stream", root, "--dry-run")


def test_a_run_that_stands_still_is_ended(project: Project) -> None:
    run = streams.start(project, fixed(follow=True, ask_at_most=3, options={"threshold": 0.0}))
    do_jobs(project)
    assert "new ones join when they arrive" in call("stream", project.root, "--accept", run.id)
    assert said("stream", project.root, "--end", run.id)["state"] == "finished"
    text = call("stream", project.root, "--go-on", run.id, code=1)
    assert "Run 1 is finished: Ended by a person." in text


def test_a_propagation_is_none_of_its_runs(project: Project) -> None:
    other = propagation.start(project, propagation.PropagationPlan())
    do_jobs(project)
    for action in ("--go-on", "--end", "--audit", "--accept", "--roll-back"):
        text = call("stream", project.root, action, other.id, code=1)
        assert f"Run {other.id} is a propagation, no stream." in text
    with project.store.read() as unit:
        assert unit.generated.get(other.id).verdict == "open"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--strategy", "margin"], 1, "'margin' is no stream strategy"),
        (["--error", "2"], 1, "above 0 and at most 0.5"),
        (["--accept", "7"], 1, "no run of generated labels with number 7"),
        (["--accept", "1", "--dry-run"], 2, "not more"),
        (["--accept", "1", "--roll-back", "1"], 2, "not more"),
        (["--ask", "0"], 2, "--ask"),
        (["--threshold", "1.5"], 1, "threshold must be a number, from 0 to 1"),
        (["--strategy", "budget_ratio", "--threshold", "0.5"], 1, "has no option threshold"),
        (["--option", "step"], 2, "not NAME=NUMBER"),
        (["--option", "step=fast"], 2, "not NAME=NUMBER"),
        (["--strategy", "split", "--option", "pace=1"], 1, "Its options: threshold, step, share"),
    ],
)
def test_what_cannot_be_is_said(
    project: Project, arguments: list[str], code: int, text: str
) -> None:
    assert text in call("stream", project.root, *arguments, code=code)
