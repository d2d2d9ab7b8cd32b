"""The documents are in step with the code."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from dataclasses import fields
from pathlib import Path

import click
import numpy as np
import pytest

from labeller.cli import cli
from labeller.config import Settings
from strategies import registry
from strategies.base import Pool

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


GENERATED = [f"docs/{name}.md" for name in ("commands", "settings", "strategies")]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_generated_parts_are_what_the_code_writes_now() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "-I", "docs", "--check", *GENERATED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"Run `make docs`.\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_is_documented_with_an_example(name: str) -> None:
    command = cli.commands[name]
    assert f"Usage: labeller {name}" in read("docs/commands.md")
    help_text = command.get_help(click.Context(command, info_name=name))
    assert re.search(rf"Example:\n +labeller {name}\b", help_text)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.name


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in read("docs/settings.md")


def test_the_readme_is_short_and_leads_on() -> None:
    assert len(read("README.md").splitlines()) <= 200
    for page in (ROOT / "docs").glob("*.md"):
        assert f"docs/{page.name}" in read("README.md"), page.name


def test_the_changelog_names_every_command() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in text
    assert "## Errata" in text
    for name in cli.commands:
        assert f"`{name}`" in text, name


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (folder / target).exists(), target
    parts = r"`((?:labeller|strategies|store|tests|migrations|docs|benchmarks)/[\w./]+)`"
    for named in re.findall(parts, text):
        if "NAME" not in named:
            assert (ROOT / named).exists(), named


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        named = re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)
        assert set(named) <= targets, page


def test_the_strategy_of_the_recipe_works(monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", read("CONTRIBUTING.md"), re.DOTALL)
    assert code is not None
    monkeypatch.setattr(registry, "_REGISTERED", {})
    module = types.ModuleType("strategies.pool.brightest")
    exec(compile(code[1], "CONTRIBUTING.md", "exec"), module.__dict__)
    embeddings = np.diag([1.0, 3.0, 2.0])
    pool = Pool(ids=np.array([7, 8, 9]), embeddings=embeddings)
    picked = module.brightest(pool, 2, np.random.default_rng(0))
    assert picked.ids.tolist() == [8, 9]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_with_hashes_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9][^\s\\]*==[^\s\\]+.*$", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) == len(lines) > 50
    assert all(line.endswith("\\") for line in lines)  # the hashes follow


def test_requirements_hold_every_dependency_of_the_project() -> None:
    import tomllib

    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {"requirements.txt": table["dependencies"]}
    wanted["requirements-dev.txt"] = table["dependencies"] + table["optional-dependencies"]["dev"]
    for name, dependencies in wanted.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for dependency in dependencies:
            bare = re.split(r"[\[<>=]", dependency)[0]
            assert re.search(rf"^{re.escape(bare)}(\[\w+\])?==", text, re.MULTILINE), dependency
