"""The command line as a person or a script meets it: real processes, a whole journey."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from labeller.cli import cli
from labeller.jobs import control
from labeller.project import open_project

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-P", "-m", "labeller"]
PATIENCE = 200.0  # seconds: what a busy machine may take for a process to start and to end
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 60, 220)}


class Shell:
    """Runs commands in a folder of its own, without the caller's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LABELLER_")}
        self.environment = {
            **kept,
            "LABELLER_STATE": str(folder / "state"),
            "OMP_NUM_THREADS": "2",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            **{"stderr": subprocess.PIPE, **options},
        )

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in stderr, stderr
        return process.returncode, stdout, stderr

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """Run a command with --json; its stdout must be one JSON object and nothing else."""
        return answer(*self.run(*arguments, "--json"))

    def quick(self, *arguments: str | Path) -> dict[str, Any]:
        """Do the same in this process, where the command as a process is not what is tested."""
        with contextlib.chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            patch.setenv("LABELLER_STATE", self.environment["LABELLER_STATE"])
            return answer(*here(*map(str, arguments), "--json"))

    def fails(self, *arguments: str | Path) -> str:
        """Run a command that must fail; returns stderr."""
        code, stdout, stderr = self.run(*arguments)
        assert (code, stdout) == (1, ""), stderr
        return stderr


def here(*words: str) -> tuple[int, str, str]:
    """Run a command in this process, which is quicker: exit code, stdout, stderr."""
    result = CliRunner().invoke(cli, words)
    return result.exit_code, result.stdout, result.stderr


def answer(code: int, stdout: str, stderr: str) -> dict[str, Any]:
    """Return the one JSON object that a command has written."""
    assert code == 0, stderr
    assert stdout.count("\n") == 1
    data = json.loads(stdout)
    assert isinstance(data, dict)
    return data


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def seconds_of_children() -> float:
    """Return the processor time of ended child processes; other load leaves it as it is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def picture(path: Path, colour: str, seed: int) -> None:
    """Write a noisy image of mostly one colour; each seed gives other bytes."""
    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[colour]) + rng.normal(0, 25, (48, 48, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def pictures(folder: Path, each: int, first: int, by_class: bool) -> None:
    seed = first
    for colour in COLOURS:
        for _ in range(each):
            picture((folder / colour if by_class else folder) / f"{seed:04}.png", colour, seed)
            seed += 1


def colour_of(path: str) -> str:
    """Label an image as a person would: by looking at it."""
    with Image.open(path) as image:
        mean = np.asarray(image.convert("RGB"), float).mean((0, 1))
    distance = {name: float(np.abs(mean - rgb).sum()) for name, rgb in COLOURS.items()}
    return min(distance, key=distance.__getitem__)


def write_labels(path: Path, rows: list[tuple[str, str]], header: str = "path") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([(header, "class"), *rows])


def round_by_external_worker(shell: Shell, *options: str) -> dict[str, Any]:
    """Run a round that waits for a worker started apart."""
    shell.environment["LABELLER_START_WORKERS"] = "false"
    process = shell.start("round", "colours", *options, "--json")
    project = open_project(shell.folder / "colours")
    end = time.monotonic() + PATIENCE
    while True:
        with project.store.read() as unit:
            if unit.jobs.active("round"):
                break
        assert time.monotonic() < end
        time.sleep(0.1)
    project.store.close()
    assert shell.json("worker", "colours", "--once")["jobs"] == 1
    out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, error
    assert "labeller worker" in error  # it says what it waits for
    del shell.environment["LABELLER_START_WORKERS"]
    data = json.loads(out)
    assert isinstance(data, dict)
    return data


def test_the_whole_loop_from_init_to_export(shell: Shell) -> None:
    pictures(shell.folder / "known", 20, 0, by_class=True)
    pictures(shell.folder / "new", 20, 1_000, by_class=False)
    (shell.folder / "new" / "broken.jpg").write_text("this is no image")

    made = shell.json("init", "colours", "--budget", "30")
    assert (made["classes"], made["budget"], made["items"]) == ([], 30.0, 0)

    first = shell.json("import", "colours", "known")
    assert (first["added"], first["labelled"], first["failed"]) == (60, 60, 0)
    second = shell.json("import", "colours", "new", "known", "--copy")
    assert (second["added"], second["known"], second["failed"]) == (60, 60, 1)
    assert "broken.jpg" in second["problems"][0]["path"]
    assert second["problems"][0]["reason"]

    status = shell.quick("status", "colours")
    assert (status["items"], status["labelled"]) == (120, 60)
    assert status["budget"] == {"total": 30.0, "spent": 0.0, "reserved": 0.0, "left": 30.0}
    assert sorted(c["name"] for c in status["classes"]) == ["blue", "green", "red"]
    assert status["model"] is None

    done = shell.json("round", "colours", "--strategy", "margin", "--batch", "20")
    assert (done["strategy"], done["queued"]) == ("margin", 20)
    low, high = done["audit_interval"]
    assert low < 1.0
    assert high > 0.9  # three plain colours
    assert (done["audit_accuracy"] is None) == (done["audit_labels"] < 20)
    assert "audit labels" in done["audit_text"]
    assert done["seconds"] > 0

    queue = shell.json("queue", "colours")
    assert [len(queue["items"]), queue["waiting"]] == [20, 20]
    for item in queue["items"]:
        assert len(item["sha256"]) == 64
        if item["strategy"] is None:  # an item of the audit set stays sealed
            assert (item["suggestion"], item["score"]) == (None, None)
        else:
            assert item["suggestion"]["class"] in COLOURS
            assert 0 < item["suggestion"]["confidence"] <= 1
    assert any(item["strategy"] is None for item in queue["items"])
    assert len(shell.quick("queue", "colours", "--limit", "3")["items"]) == 3

    rows = [(item["path"], colour_of(item["path"])) for item in queue["items"]]
    write_labels(shell.folder / "labels.csv", rows)
    labelled = shell.json("label", "colours", "labels.csv", "--annotator", "ann")
    assert (labelled["labelled"], labelled["cost"], labelled["budget_left"]) == (20, 20.0, 10.0)
    again = shell.quick("label", "colours", "labels.csv", "--annotator", "ann")
    assert (again["labelled"], again["budget_left"]) == (0, 10.0)

    status = shell.quick("status", "colours")
    assert (status["labelled"], status["budget"]["left"]) == (80, 10.0)
    assert (status["queue"]["waiting"], status["queue"]["done"]) == (0, 20)
    assert (status["model"]["id"], status["model"]["behind"]) == (done["model"], 20)
    assert status["model"]["audit_labels"] > done["audit_labels"], "on the labels of now"
    assert [job["state"] for job in status["jobs"]] == ["done"]

    more = round_by_external_worker(shell, "--strategy", "random")
    assert (more["round"], more["queued"]) == (done["round"] + 1, 40)
    assert more["model"] != done["model"]

    rest = shell.quick("queue", "colours")["items"]
    write_labels(
        shell.folder / "rest.csv",
        [(item["sha256"], colour_of(item["path"])) for item in rest],
        "sha256",
    )
    refused = shell.fails("label", "colours", "rest.csv")
    assert "40" in refused
    assert "10" in refused
    assert shell.quick("status", "colours")["labelled"] == 80  # refused whole

    assert shell.json("export", "colours", "--to", "out.csv")["rows"] == 80
    with (shell.folder / "out.csv").open(newline="", encoding="utf-8") as file:
        exported = list(csv.DictReader(file))
    assert len(exported) == 80
    assert {row["annotator"] for row in exported if row["provenance"] == "cli"} == {"ann"}
    assert all(row["class"] == colour_of(row["path"]) for row in exported)
    assert shell.quick("export", "colours", "--to", "out.jsonl")["rows"] == 80
    lines = (shell.folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == 80


def test_text_output_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    pictures(tmp_path / "known", 4, 0, by_class=True)
    code, out, _ = here("init", "colours", "--classes", "red, green,blue", "--budget", "50")
    assert code == 0
    assert "3 classes and a budget of 50" in out
    assert "12 added" in here("import", "colours", "known")[1]
    out = here("status", "colours")[1]
    assert "12 labelled" in out
    assert "0 of 50 spent" in out
    assert "model    none yet" in out
    assert "queue is empty" in here("queue", "colours")[1]


def test_the_demo_is_ready_to_label(shell: Shell) -> None:
    began = seconds_of_children()
    made = shell.json("demo", "fashion")
    assert seconds_of_children() - began < 30
    assert made["items"] > 2_000
    assert made["labelled"] > 100
    assert made["queued"] > 0
    recent = json.loads((shell.folder / "state" / "recent.json").read_text())
    assert [entry["path"] for entry in recent] == [made["path"]]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a project `p` of two classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    assert here("init", "p", "--classes", "a,b")[0] == 0
    return tmp_path


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("status nowhere", "no labelling project"),
        ("init p", "is a project already"),
        ("init q --classes a,a", "comes twice"),
        ("round p", "no images yet"),
        ("round p --strategy luck", "'luck' is no strategy"),
        ("import p nosuch", "nosuch"),
        ("label p labels.csv", "labels.csv"),
        ("export p --to labels.xlsx", ".csv or .jsonl"),
        ("export p --to nowhere/labels.csv", "cannot be written"),
        ("worker p --once --kinds knit", "unknown kind"),
    ],
)
def test_errors_name_the_reason_and_exit_with_one(empty: Path, words: str, reason: str) -> None:
    code, out, error = here(*words.split())
    assert (code, out) == (1, "")
    assert error.startswith("Error: ")
    assert reason in error


def test_a_bad_setting_is_an_error_like_others(empty: Path) -> None:
    (empty / "p" / "project.toml").write_text("batch = 'many'")
    code, _, error = here("status", "p")
    assert code == 1
    assert "batch must be int" in error


def test_an_import_of_nothing_readable_is_an_error_that_lists_it(shell: Shell) -> None:
    shell.quick("init", "p", "--classes", "a,b")
    (shell.folder / "junk").mkdir()
    (shell.folder / "junk" / "a\x1b[31m.png").write_text("no image")
    code, out, error = shell.run("import", "p", "junk", "--json")
    assert code == 1
    assert json.loads(out)["failed"] == 1
    assert "[31m.png" in error
    assert "\x1b" not in error  # a name cannot command the terminal


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("init", "Missing argument"),
        ("round p --batch 0", "--batch"),
        ("retrain p", "No such command"),
        ("status p --yaml", "No such option"),
    ],
)
def test_wrong_usage_exits_with_two(words: str, reason: str) -> None:
    code, out, error = here(*words.split())
    assert (code, out) == (2, "")
    assert reason in error


def test_help_is_quick_and_imports_nothing_heavy(shell: Shell) -> None:
    code = "import sys, labeller.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"torch", "fastai", "streamlit", "sqlalchemy", "numpy", "pandas", "fastapi", "PIL"}
    assert not heavy & set(done.stdout.split())
    began = seconds_of_children()
    assert shell.run("--help")[0] == 0
    assert seconds_of_children() - began < 1.0


def test_status_and_queue_do_not_import_torch(shell: Shell) -> None:
    shell.quick("init", "p", "--classes", "a,b")
    for command in (["status", "p"], ["queue", "p"], ["strategies"]):
        code = (
            "import sys\nfrom labeller.cli import cli\n"
            f"cli({command!r}, standalone_mode=False)\n"
            "assert not {'torch', 'fastai', 'streamlit'} & set(sys.modules)"
        )
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=shell.folder,
            env=shell.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )


def test_ctrl_c_cancels_a_round_and_says_so(shell: Shell) -> None:
    pictures(shell.folder / "known", 6, 0, by_class=True)
    shell.quick("init", "colours")
    shell.quick("import", "colours", "known")
    process = shell.start("round", "colours")
    project = open_project(shell.folder / "colours")
    end = time.monotonic() + PATIENCE
    while True:
        with project.store.read() as unit:
            if any(job.state == "running" for job in unit.jobs.active("round")):
                break
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Cancelling job" in error
    assert "cancelled" in error.splitlines()[-1]
    with project.store.read() as unit:
        (job,) = unit.jobs.all()
    assert control.get(project, job.id).state == "cancelled"


def test_ctrl_c_keeps_what_an_import_has_read(shell: Shell) -> None:
    pictures(shell.folder / "many", 400, 0, by_class=False)
    shell.quick("init", "colours", "--classes", "red,green,blue")
    process = shell.start("import", "colours", "many", "--json")
    project = open_project(shell.folder / "colours")
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        with project.store.read() as unit:
            if unit.items.count().items:
                break
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in error
    report = json.loads(out)
    with project.store.read() as unit:
        assert unit.items.count().items == report["added"]
    if report["cancelled"]:  # the machine may have been quick
        assert process.returncode == 130
        assert 0 < report["added"] < 1_200


def test_a_terminal_gets_a_bar_and_stdout_stays_clean(shell: Shell) -> None:
    pictures(shell.folder / "known", 30, 0, by_class=True)
    shell.quick("init", "colours", "--classes", "red,green,blue")
    reader, writer = pty.openpty()
    process = shell.start("import", "colours", "known", "--json", stderr=writer)
    os.close(writer)
    shown = b""
    while True:
        try:
            chunk = os.read(reader, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(reader)
    assert json.loads(out)["added"] == 90
    assert b"[" in shown
    assert b"\r\x1b[K" in shown


def test_a_token_opens_the_api_for_its_annotator(shell: Shell, monkeypatch: Any) -> None:
    from labeller import tokens

    shell.quick("init", "p", "--classes", "a,b")
    data = shell.json("token", "p", "--annotator", "ann")
    monkeypatch.setenv("LABELLER_PROJECT", str(shell.folder / "p"))
    grant = tokens.check(data["token"])
    assert (grant.annotator, grant.project.root) == ("ann", shell.folder / "p")
    assert data["hours"] == 12
    assert shell.run("token", "p")[1].count("\n") == 1


def test_run_starts_the_workbench_on_this_machine_only(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.quick("init", "p", "--classes", "a,b")
    code = (
        "import os, sys, json\n"
        "os.execve = lambda path, arguments, environment: print(json.dumps(\n"
        "    [arguments, environment.get('LABELLER_PROJECT'), os.getcwd()]))\n"
        "from labeller.cli import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)"
    )

    def arguments(*words: str) -> tuple[list[str], str | None, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, "run", *words],
            cwd=shell.folder,
            env=shell.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        command, project, folder = json.loads(done.stdout)
        return command, project, folder, done.stderr

    command, project, folder, error = arguments("p", "--port", "8765")
    assert "--server.address=localhost" in command
    assert "--server.port=8765" in command
    assert command[command.index("run") + 1] == str(ROOT / "app.py")
    assert (project, folder, error) == (str(shell.folder / "p"), str(ROOT), "")
    command, project, _, error = arguments("--address", "0.0.0.0", "--headless")
    assert "--server.headless=true" in command
    assert project is None
    assert error == ""  # the server says how to sign in
    command, _, _, _ = arguments("--login", "never", "--allow-host", "a.example")
    assert "--server.address=localhost" in command
