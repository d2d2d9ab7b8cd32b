"""A folder that holds Python modules under well-known names: none of them ever runs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller import processes

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0
MODULES = (
    "PIL",
    "click",
    "email",
    "fastai",
    "json",
    "labeller",
    "numpy",
    "platformdirs",
    "psutil",
    "random",
    "sitecustomize",
    "sqlalchemy",
    "store",
    "strategies",
    "streamlit",
    "torch",
    "usercustomize",
)


def set_traps(folder: Path, caught: Path, leave_out: tuple[str, ...] = ()) -> None:
    """Write modules that note that they were run; half of them are packages."""
    for number, name in enumerate(MODULES):
        if name in leave_out:
            continue
        text = f"open({str(caught)!r}, 'a').write({f'{folder.name}/{name}'!r} + '\\n')\n"
        if number % 2:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(text)
            (folder / name / "__main__.py").write_text(text)
        else:
            (folder / f"{name}.py").write_text(text)


def draw_images(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


class Stand:
    """Runs programs where a hostile folder is the working folder, and its variables name it."""

    def __init__(self, folder: Path, state: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LABELLER_")}
        self.environment = {**kept, "LABELLER_STATE": str(state), "OMP_NUM_THREADS": "1"}
        self.folder = folder

    def run(self, *command: str | Path) -> str:
        """Run a command in the folder and return its output; it has to succeed."""
        ended = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


LABELLER = (sys.executable, "-P", "-m", "labeller")  # what the script bin/labeller does


def test_no_command_and_no_job_runs_what_lies_in_folders(tmp_path: Path) -> None:
    caught = tmp_path / "caught"
    photos, here = tmp_path / "photos", tmp_path / "here"
    here.mkdir()
    draw_images(photos)
    set_traps(photos, caught)
    set_traps(here, caught)
    stand = Stand(here, tmp_path / "state")
    stand.run(*LABELLER, "init", "birds")
    set_traps(here / "birds", caught)
    stand.folder = here / "birds"
    stand.run(*LABELLER, "import", ".", photos)
    stand.run(
        *LABELLER, "round", ".", "--batch", "2"
    )  # a job's process, and those that read images
    stand.run(*LABELLER, "predict", ".", photos / "cat", "--out", tmp_path / "predicted.csv")
    stand.run(*LABELLER, "status", ".")
    assert not caught.exists(), caught.read_text()
    lines = (tmp_path / "predicted.csv").read_text().splitlines()
    assert len(lines) == 9


@pytest.mark.parametrize(
    "named",
    [".", *(pytest.param(n, marks=pytest.mark.slow) for n in ("", "{here}", "{here}/birds"))],
)
def test_a_pythonpath_into_data_does_not_reach_the_jobs(tmp_path: Path, named: str) -> None:
    caught, here = tmp_path / "caught", tmp_path / "here"
    here.mkdir()
    stand = Stand(here, tmp_path / "state")
    stand.run(*LABELLER, "init", "birds", "--classes", "a,b")
    set_traps(here, caught)
    set_traps(here / "birds", caught)
    draw_images(tmp_path / "photos")
    environment = {"PYTHONPATH": os.pathsep.join([named.format(here=here), "/opt/site"])}
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from labeller.jobs import control\n"
        "from labeller.project import open_project\n"
        "from labeller.processes import clean_environment\n"
        f"os.environ.update({environment!r})\n"
        f"os.chdir({str(here)!r})\n"
        "assert '/opt/site' in clean_environment()['PYTHONPATH'].split(os.pathsep)\n"
        f"project = open_project({str(here / 'birds')!r})\n"
        f"sources = [{str(tmp_path / 'photos')!r}]\n"
        "params = {'sources': sources, 'copy': False, 'labels': 'none'}\n"
        "job = control.submit(project, 'import', params)\n"
        "import time\n"
        "while job.state in ('waiting', 'running'):\n"
        "    time.sleep(0.1)\n"
        "    with project.store.read() as unit:\n"
        "        job = unit.jobs.get(job.id)\n"
        "assert job.state == 'done', job\n"
    )
    stand.folder = tmp_path
    stand.run(sys.executable, "-P", "-c", code)
    assert not caught.exists(), caught.read_text()


def test_python_m_labeller_does_not_search_where_it_stands(tmp_path: Path) -> None:
    caught, here = tmp_path / "caught", tmp_path / "here"
    here.mkdir()
    # What Python itself imports before our first line, nobody can hold back but with -P.
    early = ("labeller", "sitecustomize", "usercustomize")
    set_traps(here, caught, leave_out=early)
    stand = Stand(here, tmp_path / "state")
    stand.environment["PYTHONPATH"] = str(ROOT)
    stand.run(sys.executable, "-m", "labeller", "init", "birds", "--classes", "a,b")
    stand.run(sys.executable, "-m", "labeller", "status", "birds")
    assert not caught.exists(), caught.read_text()


def test_one_module_starts_processes() -> None:
    starting = {
        "Popen",
        "run",
        "call",
        "check_call",
        "check_output",
        "getoutput",
        "system",
        "popen",
    }
    elsewhere = []
    for file in sorted(ROOT.glob("**/*.py")):
        within = file.relative_to(ROOT)
        if within.parts[0] not in ("app.py", "labeller", "store", "strategies", "migrations"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                names.append(getattr(node, "module", None) or "")
                if any(name.split(".")[0] in ("multiprocessing", "pty") for name in names):
                    elsewhere.append(f"{within}:{node.lineno}")
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            starts = owner == "subprocess" and node.func.attr in starting
            replaces = owner == "os" and node.func.attr.startswith(("exec", "spawn", "posix_spawn"))
            if starts or replaces or (owner == "os" and node.func.attr in ("system", "popen")):
                elsewhere.append(f"{within}:{node.lineno}")
    here = Path(processes.__file__).relative_to(ROOT).as_posix()
    assert elsewhere, "the search finds nothing at all"
    assert [place for place in elsewhere if not place.startswith(here)] == []
