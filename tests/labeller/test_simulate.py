"""The command `simulate`: a real process on a real folder of class folders."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from labeller.cli import cli

ROOT = Path(__file__).resolve().parents[2]
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60)}


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.chdir(tmp_path)


def folder(path: Path, each: int, colours: tuple[str, ...] = ("red", "green")) -> Path:
    """Make a folder of class folders with noisy images of one colour."""
    rng = np.random.default_rng(0)
    for colour in colours:
        (path / colour).mkdir(parents=True)
        for number in range(each):
            pixels = np.array(COLOURS[colour]) + rng.normal(0, 40, (32, 32, 3))
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(path / colour / f"{number}.png")
    return path


def here(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["simulate", *words])
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_is_replayed_stopped_and_finished(tmp_path: Path) -> None:
    folder(tmp_path / "known", 20)
    words = ["known", "--strategies", "margin", "--budget", "6", "--batch", "3", "--seeds", "2"]
    words += ["--out", "out", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "labeller", "simulate", *words],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 200
    while not list(Path("out/runs").glob("*.json")) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=200)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "Finished runs are kept" in stderr
    assert "Traceback" not in stderr
    first = Path("out/runs/margin-000.json")
    written = first.stat().st_mtime_ns
    assert not Path("out/result.json").exists()

    code, stdout, stderr = here(*words)
    assert code == 0, stderr
    assert stdout.count("\n") == 1
    data = json.loads(stdout)
    assert first.stat().st_mtime_ns == written
    assert {row["strategy"] for row in data["strategies"]} == {"margin", "random"}
    for row in data["strategies"]:
        assert 0 <= row["area"] <= 1
        assert [labels for labels, _, _ in row["curve"]] == [3, 6]
        assert all(low <= mean <= high for _, mean, (low, high) in row["curve"])
    assert (data["pool"], data["test"]) == (30, 10)
    with Path("out/curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2
    assert list(rows[0]) == ["strategy", "seed", "labels", "accuracy"]
    assert Path("out/curves.png").read_bytes().startswith(b"\x89PNG")

    words[words.index("--budget") + 1] = "9"
    code, stdout, stderr = here(*words)
    assert (code, stdout) == (1, "")
    assert "other settings (budget 6)" in stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("known", "--strategies", "margn"), "Did you mean 'margin'"),
        (("known", "--budget", "10"), "leaves nothing to pick"),
        (("known", "--budget", "31", "--batch", "3"), "more than the 30 labelled images"),
        (("one", "--budget", "6", "--batch", "3"), "needs two classes"),
        (("few", "--budget", "6", "--batch", "3"), "Too few images"),
        (("empty", "--budget", "6", "--batch", "3"), "empty"),
        (("nowhere",), "nowhere"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    folder(tmp_path / "known", 20)
    folder(tmp_path / "one", 20, ("red",))
    folder(tmp_path / "few", 3)
    (tmp_path / "empty").mkdir()
    code, stdout, stderr = here(*words)
    assert code in (1, 2)
    assert stdout == ""
    assert text in stderr
    assert "Traceback" not in stderr
