"""Numbers that no project can work with: each is refused in one sentence, whoever gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labeller.errors import BudgetError, ConfigError
from labeller.project import Project, change_settings, create_project, open_project
from labeller.services import budget
from store.records import NewEvent, NewItem


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    return create_project(tmp_path / "p", ["a"], budget=10)


HUGE = "9" * 400
BAD = [
    ("label_price", "0.0004", "smallest price, 0.001"),
    ("label_price", "inf", "no number that can be used"),
    ("label_price", "nan", "no number that can be used"),
    ("label_price", "1e400", "no number that can be used"),
    ("label_price", HUGE, "no number that can be used"),
    ("label_price", "-1", "out of range"),
    ("label_price", "1e10", "out of range"),
    ("synthetic_price", "0.0009", "smallest price"),
    ("token_hours", "inf", "no number that can be used"),
    ("audit_share", "nan", "no number that can be used"),
    ("seed", HUGE, "more digits than can be kept"),
    ("seed", str(2**63), "more digits than can be kept"),
    ("training_examples", HUGE, "more digits than can be kept"),
]


@pytest.mark.parametrize(("name", "text", "reason"), BAD)
def test_a_setting_that_cannot_be_used_is_said(
    project: Project, name: str, text: str, reason: str
) -> None:
    file = project.root / "project.toml"
    whole = file.read_text()
    file.write_text(f"{whole}\n{name} = {text}\n")
    with pytest.raises(ConfigError, match=rf"project\.toml: {name}.*{reason}"):
        open_project(project.root)
    file.write_text(whole)
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    with pytest.raises(ConfigError, match=reason):
        change_settings(project, **{name: value})
    assert file.read_text() == whole


def test_the_command_and_the_environment_say_it_without_a_traceback(project: Project) -> None:
    for name, text in (("LABEL_PRICE", "0.0004"), ("LABEL_PRICE", "inf"), ("SEED", HUGE)):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "labeller", "status", str(project.root)],
            env={**os.environ, f"LABELLER_{name}": text},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert f"LABELLER_{name}" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("total", [float("inf"), float("nan"), -1.0, 1e13, 0.0004])
def test_a_budget_that_cannot_be_is_refused(project: Project, total: float) -> None:
    with pytest.raises(BudgetError):
        budget.set_total(project, total)
    assert budget.meter(project).total == 10


def test_the_smallest_price_is_paid_exactly(project: Project) -> None:
    project = change_settings(project, label_price=0.001)
    with project.store.write() as unit:
        item = NewItem("f" * 64, "/x.png", False, 1, 1, "PNG", 1, "g", "train")
        (number,) = unit.items.add([item])
        event = NewEvent("k", "label", number, unit.classes.all()[0].id)
        unit.labels.record("ann", "s", "page", [event], project.settings.label_price)
    assert budget.meter(project).spent == 0.001
