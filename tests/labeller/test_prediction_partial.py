"""A prediction that was stopped goes on with its own rows, and with no others."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from labeller.cli import cli
from labeller.errors import JobCancelled, PredictionError
from labeller.progress import Silent
from labeller.project import Project, create_project
from labeller.services import predicting
from labeller.services.prediction_files import STAGE, predict_to_file
from tests import predicted
from tests.predicted import add_model, share_of

NUMBER = 8


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose model is the small process."""
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    made = create_project(tmp_path / "pets", ["cat", "dog"], start_workers=False)
    add_model(made)
    return made


def folder_of(path: Path, seed: int) -> Path:
    """Make a folder of images; those of another seed have the same names."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(NUMBER):
        pixels = rng.integers(0, 255, (10, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{number}.png")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", 1)


class After(Silent):
    """A progress that does something after some rows; by itself it stops."""

    def __init__(self, rows: int) -> None:
        self.rows, self.seen = rows, 0

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        self.seen = done if stage == STAGE else 0

    def check(self) -> None:
        if self.seen == self.rows:
            self.rows = -1  # while nothing is ready it is asked again and again
            self.act()

    def act(self) -> None:
        raise JobCancelled("Stopped.")


def stopped(project: Project, out: Path, *sources: Path, rows: int = 3) -> Path:
    """Stop a prediction after some rows; return its partial file."""
    with pytest.raises(JobCancelled):
        predict_to_file(project, sources, out, progress=After(rows))
    assert not out.exists()
    return out.with_name(f".{out.name}.partial")


def shares(out: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return {row["key"]: row["probabilities"]["cat"] for row in rows}


def those_of(folder: Path) -> dict[str, float]:
    return {file.name: share_of(file) for file in folder.iterdir()}


def refused(project: Project, out: Path, *sources: Path) -> str:
    with pytest.raises(PredictionError) as caught:
        predict_to_file(project, sources, out)
    assert str(out) in str(caught.value)
    assert "(--restart)" in str(caught.value)
    assert not out.exists()
    return str(caught.value)


def test_rows_of_other_sources_are_not_taken(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out.jsonl", folder_of(tmp_path / "day2" / "photos", 2)
    stopped(project, out, photos)
    assert "other sources (photos)" in refused(project, out, other)
    report = predict_to_file(project, [other], out, restart=True)
    assert (report.predicted, report.resumed) == (NUMBER, 0)
    assert shares(out) == those_of(other)


def test_a_file_that_took_the_place_of_another_is_not_taken_for_it(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    stopped(project, out, photos, rows=NUMBER)
    old = (photos / "2.png").stat()
    (photos / "2.png").write_bytes((photos / "3.png").read_bytes())
    os.utime(photos / "2.png", ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    assert "2.png is another image, or was changed" in refused(project, out, photos)


def test_a_key_that_moved_to_another_image_is_not_taken(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out, table = tmp_path / "out.jsonl", tmp_path / "list.csv"
    (photos / "1.png").write_bytes((photos / "0.png").read_bytes()[::-1])
    for name in ("0.png", "1.png"):
        os.utime(photos / name, ns=(10**18, 10**18))
    table.write_text("key,path\na,photos/0.png\n")
    stopped(project, out, table, rows=1)
    table.write_text("key,path\na,photos/1.png\n")
    assert "a is another image" in refused(project, out, table)


def test_an_archive_that_was_made_anew_is_another_one(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out, archive = tmp_path / "out.jsonl", tmp_path / "more.zip"
    for names in ("012", "210"):
        with zipfile.ZipFile(archive, "w") as file:
            for name, source in zip("012", names, strict=True):
                file.write(photos / f"{source}.png", f"{name}.png")
        if names == "012":
            stopped(project, out, archive)
    assert "0.png is another image" in refused(project, out, archive)


def test_another_project_with_a_model_of_the_same_number(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    stopped(project, out, photos)
    other = create_project(tmp_path / "other", ["cat", "dog"], start_workers=False)
    assert add_model(other) == 1
    assert "begun by another project" in refused(other, out, photos)


def test_sources_beside_the_result_may_move_with_it(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    photos.rename(work / "photos")
    stopped(project, work / "out.jsonl", work / "photos", rows=5)
    work.rename(tmp_path / "moved")
    moved = tmp_path / "moved"
    report = predict_to_file(project, [moved / "photos"], moved / "out.jsonl")
    assert (report.predicted, report.resumed) == (NUMBER, 5)
    assert shares(moved / "out.jsonl") == those_of(moved / "photos")


def test_two_predictions_do_not_write_the_same_file(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    told: list[str] = []

    class Second(After):
        def act(self) -> None:
            for restart in (False, True):
                with pytest.raises(PredictionError) as caught:
                    predict_to_file(project, [photos], out, restart=restart)
                told.append(str(caught.value))

    report = predict_to_file(project, [photos], out, progress=Second(2))
    assert report.predicted == NUMBER
    assert shares(out) == those_of(photos)
    assert all(f"{out}: another prediction writes this file" in one for one in told)
    assert len(told) == 2


@pytest.mark.parametrize("damage", [b"\0" * 40, b"abc", b"\xff\xfe", b'\t{"key": "a"}', b"\t[]"])
def test_a_damaged_file_is_gone_on_with_before_the_damage(
    project: Project, photos: Path, tmp_path: Path, damage: bytes
) -> None:
    out = tmp_path / "out.jsonl"
    partial = stopped(project, out, photos, rows=6)
    lines = partial.read_bytes().splitlines(keepends=True)
    lines[3] = damage + b"\n"
    partial.write_bytes(b"".join(lines) + b"cut o")
    report = predict_to_file(project, [photos], out)
    assert (report.predicted, report.resumed, report.damaged) == (NUMBER, 2, 4)
    assert shares(out) == those_of(photos)


def test_without_its_first_line_nothing_is_known_of_the_rows(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    partial = stopped(project, out, photos, rows=6)
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(b"".join(lines[1:]))
    done = CliRunner().invoke(cli, ["predict", str(project.root), str(photos), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert f"{NUMBER} images predicted" in done.output
    assert "6 lines that the stopped run had left were damaged" in done.output
    assert shares(out) == those_of(photos)


def test_a_last_line_that_a_kill_cut_off_is_no_damage(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    partial = stopped(project, out, photos, rows=6)
    with partial.open("ab") as file:
        file.write(b"cut o")
    report = predict_to_file(project, [photos], out)
    assert (report.resumed, report.damaged) == (6, 0)
    assert shares(out) == those_of(photos)
